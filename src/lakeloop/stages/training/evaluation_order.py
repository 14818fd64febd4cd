"""What an evaluation is of: which models are to answer which rows, by all that decides its outcome."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakeloop.errors import ConfigurationError
from lakeloop.records import RECORD_FORMAT, StageRecord, fingerprint
from lakeloop.settings import Settings
from lakeloop.spec.identity import identity, training_identity
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.paths import confine
from lakeloop.spec.train import BEST, CHAMPION
from lakeloop.spec.yesterday import lift_config
from lakeloop.stages.frame.missing import run_first
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.training.frozen import newest_dataset

if TYPE_CHECKING:
    from lakeloop.evaluation.judge import Contender
    from lakeloop.evaluation.synonyms import Synonyms
    from lakeloop.evidence import Evidence
    from lakeloop.registry.history import ModelVersion
    from lakeloop.search.found import SearchFound

STAGE = "evaluate"
MOST_STRANGERS = 2000
"""Texts that have none of the answers of which models are asked, at most: the first of the file."""
_OF_WEIGHTS = ("clean", "evaluate")
"""Sections that decide weights only: the record of a training has them as its identity does."""


@dataclass(frozen=True)
class EvaluationOrder:
    """An evaluation, by all that decides its outcome."""

    config: Mapping[str, Any]
    dataset: str
    """Folder of the data set in the lake."""
    dataset_digest: str
    candidates: tuple[Contender, ...]
    """The cheapest first."""
    champion: ModelVersion | None
    best: ModelVersion | None
    """The best version of the loop's history, where it is not the champion and can answer."""
    strangers: tuple[str, ...] = ()
    """Texts of `evaluate.out_of_scope`."""
    synonyms: Synonyms | None = None
    """Words of `evaluate.synonyms`."""

    @property
    def contenders(self) -> tuple[Contender, ...]:
        """All models that are judged: the candidates, the champion, the best version."""
        from lakeloop.evaluation.judge import Contender

        named = ((CHAMPION, self.champion), (BEST, self.best))
        return self.candidates + tuple(
            Contender(name, each.digest, each.folder_name, each.name, each.card.thresholds)
            for name, each in named
            if each
        )

    @property
    def inputs(self) -> dict[str, str]:
        models = {each.name: each.digest for each in self.contenders}
        strangers = {"out_of_scope": fingerprint(texts=self.strangers)} if self.strangers else {}
        words = {"synonyms": self.synonyms.fingerprint} if self.synonyms else {}
        return {**models, "dataset": self.dataset_digest, **strangers, **words}


@dataclass(frozen=True)
class Missing:
    """Why there is nothing to evaluate, and what to run first."""

    reason: str
    to_do: str


def config_now(context: StageContext) -> dict[str, Any]:
    return {**identity(context.loop, "scores"), "training": training_identity(context.loop)}


def new_order(context: StageContext, partition: str) -> EvaluationOrder | Missing:
    """The evaluation of the newest candidates, or why there is none; in an experiment, of its own."""
    from lakeloop.evaluation.judge import Contender
    from lakeloop.evaluation.synonyms import synonyms_of
    from lakeloop.registry.registry import Registry

    ledger = context.lake.ledger
    dataset = newest_dataset(context, partition)
    if dataset is None:
        first = run_first(context, "dataset", partition)
        return Missing(f"no data set was frozen for {partition}", first)
    trained = {
        each.name: ledger.latest(context.record_name("train", each.name), partition, "done")
        for each in context.loop.train.all_candidates
    }
    candidates = tuple(
        Contender(*model)
        for name, record in trained.items()
        if record
        for model in _models_of(context, name, record)
    )
    if not candidates:
        name = context.record_name("train", next(iter(trained)))
        first = run_first(context, "train", partition, name)
        where = f" in experiment {context.experiment}" if context.experiment else ""
        return Missing(f"no candidate was trained for {partition}{where}", first)
    history = Registry(context.lake, context.attempt).read()
    return EvaluationOrder(
        config={**config_now(context), "training": _training_of(context, trained)},
        dataset=dataset.outputs["dataset"],
        dataset_digest=dataset.outputs["digest"],
        candidates=candidates,
        champion=history.alias("champion"),
        best=history.best,
        strangers=strangers_of(context.loop, context.settings),
        synonyms=synonyms_of(context.loop.evaluate, context.settings),
    )


def strangers_of(loop: LoopSpec, settings: Settings) -> tuple[str, ...]:
    """The texts of `evaluate.out_of_scope`; none where it names no file.

    Raises:
        ConfigurationError: the file may not be read, or has no text.
    """
    if (path := loop.evaluate.out_of_scope) is None:
        return ()
    where = "evaluate.out_of_scope"
    file = confine(path, settings, where)
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        found = f"{file}: {error.strerror if isinstance(error, OSError) else error}"
        raise ConfigurationError(
            "cannot read it", where=where, expected="a file of UTF-8 text", found=found
        ) from None
    texts = tuple(dict.fromkeys(text for line in lines if (text := line.strip())))[:MOST_STRANGERS]
    if not texts:
        raise ConfigurationError(
            "no texts in it", where=where, expected="a text on each line", found=f"{file}: empty"
        )
    return texts


def _models_of(context: StageContext, name: str, record: StageRecord) -> Iterator[tuple[str, str, str]]:
    """Name, digest and folder of each model that a training has left: a search leaves its best few."""
    from lakeloop.search.stored import search_of

    if (search := search_of(context.lake.files, record)) is None:
        yield name, record.outputs["digest"], record.outputs["artifact"]
        return
    for model in search.kept:
        yield model.name, model.digest, model.artifact


def searches_of(context: StageContext, partition: str, evidence: Evidence) -> tuple[SearchFound, ...]:
    """The searches that candidates of an evaluation are from."""
    from lakeloop.search.stored import search_of

    found = []
    for each in context.loop.train.all_candidates:
        name = context.record_name("train", each.name)
        record = context.lake.ledger.latest(name, partition, "done")
        judged = any(record and model.digest == record.outputs["digest"] for model in evidence.candidates)
        if record and judged and (search := search_of(context.lake.files, record)):
            found.append(search)
    return tuple(found)


def _training_of(context: StageContext, trained: Mapping[str, StageRecord | None]) -> dict[str, Any]:
    """The identity of the training that made the candidates: the loop file may say another by now."""
    training = training_identity(context.loop)
    for name, record in trained.items():
        if record is None or record.format != RECORD_FORMAT:
            continue
        training["candidates"][name] = record.config["train"]
        for section in _OF_WEIGHTS:
            training.pop(section, None)
            training |= {section: record.config[section]} if section in record.config else {}
    return training


def config_of(evaluation: StageRecord, today: Mapping[str, Any]) -> dict[str, Any]:
    if evaluation.format == RECORD_FORMAT:
        return dict(evaluation.config)
    return lift_config(STAGE, evaluation.config, today) or {}
