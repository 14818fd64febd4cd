"""Two versions side by side: how they were made, what they weigh, and their scores on the same rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from lakeloop.artifact import ArtifactDescription
from lakeloop.evidence import Evidence
from lakeloop.lake.files import LakeFiles
from lakeloop.records import Frozen, StageRecord
from lakeloop.registry.history import ModelVersion
from lakeloop.registry.listing import days_of_datasets
from lakeloop.registry.stored import description_of, sizes_of

_NOT_MADE_WITH = ("format", "loop", "contract", "profile", "validation_metrics", "settings")
"""Fields of a description that say nothing of how the model was made; settings are taken one by one."""
_ABSENT = "not there"
_DATA = ("dataset", "data set")
"""Begins the names of fields that tell which data a model was made of."""


class Compared(Frozen):
    """One field of both."""

    name: str
    first: str
    second: str

    @property
    def equal(self) -> bool:
        return self.first == self.second


class Together(Frozen):
    """An evaluation in which both answered the same rows."""

    partition: str
    rows: int
    rows_digest: str
    scores: tuple[tuple[str, float | None, float | None], ...]
    """Name of the score, that of the first, that of the second."""


class Comparison(Frozen):
    """Two versions of a loop."""

    first: str
    second: str
    made: tuple[Compared, ...]
    """How they were made, field by field: data set, base model, method, every setting."""
    size: tuple[Compared, ...]
    """Bytes of their files."""
    cards: tuple[tuple[str, float | None, float | None], ...]
    """The scores on which each was let in, maybe on other rows."""
    together: Together | None
    """The newest evaluation of both; None where they never stood in one."""


def compare(
    files: LakeFiles,
    first: ModelVersion,
    second: ModelVersion,
    entries: Iterable[StageRecord],
    evidence_of: Callable[[StageRecord], Evidence],
) -> Comparison:
    """Compare two versions; `entries` are those of the ledger, `evidence_of` reads that of an evaluation.

    Raises:
        ArtifactError: the description of a version is not in the lake, or not as it was stored.
    """
    entries = list(entries)
    days = days_of_datasets(entries)
    sides = [_made(description_of(files, each), days) for each in (first, second)]
    sizes = [sizes_of(files, each) for each in (first, second)]
    weights = [
        {"all files": f"{sum(size.values())}", **{name: str(count) for name, count in sorted(size.items())}}
        for size in sizes
    ]
    return Comparison(
        first=first.name,
        second=second.name,
        made=tuple(_beside(*sides)),
        size=tuple(_beside(*weights)),
        cards=_scores(first.card.metrics, second.card.metrics),
        together=_together(first, second, entries, evidence_of),
    )


def differences(first: ArtifactDescription, second: ArtifactDescription) -> list[Compared]:
    """The fields in which two models were made in another way, their data sets aside."""
    sides = [_made(each, {}) for each in (first, second)]
    return [each for each in _beside(*sides) if not each.equal and not each.name.startswith(_DATA)]


def _made(description: ArtifactDescription, days: Mapping[str, str]) -> dict[str, str]:
    fields = description.model_dump(mode="json")
    found = {name: _said(value) for name, value in fields.items() if name not in _NOT_MADE_WITH}
    found["data set day"] = days.get(description.dataset_digest, "not in the ledger any more")
    for name, setting in description.settings.items():
        value = setting["value"] if isinstance(setting, dict) and "value" in setting else setting
        found[f"settings.{name}"] = _said(value)
    return found


def _said(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _beside(first: Mapping[str, str], second: Mapping[str, str]) -> Iterator[Compared]:
    for name in dict.fromkeys((*first, *second)):
        yield Compared(name=name, first=first.get(name, _ABSENT), second=second.get(name, _ABSENT))


def _scores(
    first: Mapping[str, float], second: Mapping[str, float]
) -> tuple[tuple[str, float | None, float | None], ...]:
    return tuple((name, first.get(name), second.get(name)) for name in dict.fromkeys((*first, *second)))


def _together(
    first: ModelVersion,
    second: ModelVersion,
    entries: Iterable[StageRecord],
    evidence_of: Callable[[StageRecord], Evidence],
) -> Together | None:
    both = {first.digest, second.digest}
    evaluations = [
        entry
        for entry in entries
        if entry.stage == "evaluate" and entry.status == "done" and both <= set(entry.inputs.values())
    ]
    if not evaluations:
        return None
    evidence = evidence_of(evaluations[-1])
    models = {model.digest: model for model in evidence.models}
    one, other = models[first.digest], models[second.digest]
    return Together(
        partition=evidence.partition,
        rows=evidence.rows,
        rows_digest=evidence.rows_digest,
        scores=_scores(one.scores, other.scores),
    )
