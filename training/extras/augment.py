"""Further training rows, made of those that there are: other words, the same right answer.

Of training rows alone; a text that equals one of the validation rows, or one that is there already, is left
out. What was made is kept in the cache of the jobs: a training that goes on has the same rows.
"""

from __future__ import annotations

import importlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import torch

from lakeloop.cleaning.steps import clean_texts, steps_of
from lakeloop.durable import mark_used, write_atomically
from lakeloop.records import fingerprint
from lakeloop.spec.extras import Augmentation
from training.job import Job

log = logging.getLogger(__name__)

Made = list[tuple[int, str]]
"""Number of a training row, and the text of one that was made of it."""


class Maker(Protocol):
    """One way to say a text in other words."""

    def texts(self, texts: Sequence[str], random: np.random.Generator) -> Sequence[str]:
        """Another text for each of `texts`; the same one where there is none."""


MAKERS: Mapping[str, str] = {
    "synonyms": "training.extras.synonyms:synonyms",
    "masked": "training.extras.masked:masked",
    "back_translation": "training.extras.back_translation:back_translation",
}
"""Kind, as `lakeloop.spec.extras` has it -> the function that makes the maker from its section and a job."""


def augmented(job: Job) -> dict[str, Any]:
    """Add the rows that the job wants to its training rows; returns how many, for the record.

    Raises:
        ConfigurationError: what rows are made with is missing or broken.
    """
    section = job.config.train.augment
    if not isinstance(section, Augmentation):
        return {}
    with job.timed("augment"):
        made = _cached(job, section)
    train = job.dataset.train
    rows, texts = [row for row, _ in made], [text for _, text in made]
    job.dataset, job.made = replace(job.dataset, train=train.and_again(rows, texts)), len(made)
    log.info("%s: %d rows made of %d training rows", section.kind, len(made), len(train))
    job.tracker.log({"augment/rows": float(len(made))})
    return {"augment": {"kind": section.kind, "rows": len(made), "of": len(train)}}


def _cached(job: Job, section: Augmentation) -> Made:
    key = fingerprint(
        work=job.config.key,
        dataset=job.dataset.digest,
        base=job.base.digest,
        texts=list(job.dataset.train.texts),
        section=section.model_dump(mode="json"),
        seed=job.config.train.seed,
    )
    path = job.config.cache / "augmented" / f"{key[:32]}.json"
    try:
        kept = [(row, text) for row, text in json.loads(path.read_text())]
    except (OSError, ValueError):
        made = list(_make(job, section))
        write_atomically(path, json.dumps(made))
        return made
    mark_used(path)
    return kept


def _make(job: Job, section: Augmentation) -> Iterator[tuple[int, str]]:
    module, name = MAKERS[section.kind].split(":")
    # What a model draws when it is loaded must not change what the training draws.
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(job.config.train.seed)
        maker: Maker = getattr(importlib.import_module(module), name)(section, job)
        train, steps = job.dataset.train, steps_of(job.config.clean, keep_length=job.config.task.placed)
        there = {_plain(text) for text in (*train.texts, *job.dataset.validation.texts)}
        for copy in range(section.copies):
            random = np.random.default_rng((job.config.train.seed, copy))
            found = clean_texts(list(maker.texts(train.texts, random)), steps, "train.augment")
            for row, text in enumerate(found):
                if text.strip() and (plain := _plain(text)) not in there:
                    there.add(plain)
                    yield row, text


def _plain(text: str) -> str:
    """What two texts have in common that differ in nothing but spaces and capitals."""
    return " ".join(text.casefold().split())
