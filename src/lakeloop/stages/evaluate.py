"""Stage `evaluate`: the candidates of a data set and the champion answer the same test rows.

Judged are stored artifacts, reloaded as the model server would; torch is not needed. What the scores are is
`lakeloop.evaluation.metrics`, what they lead to is `lakeloop.stages.release`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lakeloop.durable import write_atomically
from lakeloop.errors import DataError
from lakeloop.evaluation.catalogue import metric_named
from lakeloop.gate.gate import CHEAPEST_FIRST, Scored, best_of
from lakeloop.records import StageRecord, now
from lakeloop.stages.dataset import training_config
from lakeloop.stages.session import StageContext, StageSession

if TYPE_CHECKING:
    import pyarrow as pa

    from lakeloop.datasets.freeze import DatasetCard
    from lakeloop.evaluation.fair import FairRows
    from lakeloop.evaluation.predict import Judged
    from lakeloop.lake import Published
    from lakeloop.registry.history import ModelVersion

_SHOWN_MISTAKES = 20
_SCRATCH = "fetched-"
_ABANDONED_SECONDS = 24 * 3600
"""A folder of an attempt that was killed is removed by a later one when it is older than this."""


@dataclass(frozen=True)
class _Contender:
    """A model that is to be judged, still in the lake."""

    name: Literal["baseline", "finetune", "champion"]
    digest: str
    folder_name: str


def evaluate(context: StageContext, partition: str) -> StageRecord:
    """Score the newest candidates of this partition's data set, and the champion, on its test rows.

    Test rows that the champion was trained on are left out, for all models. Outputs: evaluations (digest of
    the answers), report, dataset, rows and rows_digest of the rows that were asked, and for each model
    `<name>` its digest and `<name>_folder`. Metrics: `<name>/macro_f1` and so on.

    Raises:
        DataError: a candidate was trained on another data set, or the champion on too many test rows.
        ArtifactError: an artifact is not whole, or is not the one that was trained.
        FenceError: a newer attempt took over.
    """
    config = {
        "metric": context.loop.evaluate.metric,
        "labels": list(context.loop.task.labels),
        "training": training_config(context.loop),
    }
    with context.stage("evaluate", partition, config=config) as stage:
        dataset = context.lake.ledger.latest("dataset", partition, "done")
        if dataset is None:
            return stage.skipped(f"no data set was frozen for {partition}")
        contenders = _candidates(context, partition)
        if not contenders:
            return stage.skipped(f"no candidate was trained for {partition}")
        champion = _champion(context)
        if champion:
            contenders.append(_Contender("champion", champion.digest, champion.folder_name))
        digests: dict[str, str] = {contender.name: contender.digest for contender in contenders}
        stage.inputs(dataset=dataset.outputs["digest"], **digests)
        if done := stage.unchanged():
            return done
        return _evaluate(context, stage, dataset, contenders, champion)


def _candidates(context: StageContext, partition: str) -> list[_Contender]:
    found = []
    for name in CHEAPEST_FIRST:
        record = context.lake.ledger.latest(f"train-{name}", partition, "done")
        if record is not None:
            found.append(_Contender(name, record.outputs["digest"], record.outputs["artifact"]))
    return found


def _champion(context: StageContext) -> ModelVersion | None:
    from lakeloop.registry.registry import Registry

    return Registry(context.lake, context.attempt).champion()


def _evaluate(
    context: StageContext,
    stage: StageSession,
    dataset: StageRecord,
    contenders: Sequence[_Contender],
    champion: ModelVersion | None,
) -> StageRecord:
    from lakeloop.datasets.freeze import read_card, read_split
    from lakeloop.evaluation.fair import fair_rows
    from lakeloop.evaluation.predict import prediction_rows

    fence = stage.claim()
    with _scratch(stage.work) as scratch:
        folder = context.lake.files.fetch(dataset.outputs["dataset"], scratch / "dataset")
        card = read_card(folder)
        rows = fair_rows(context.lake.files, read_split(folder, "test"), card, champion)
        models = _judge_all(context, contenders, rows.table, card, scratch)
    candidates = [model for model in models if model.name != "champion"]
    leader = _leader(context, candidates, rows.digest)
    report = _write_report(context, stage, models, leader, champion, card, rows)
    answers = prediction_rows(models, rows.table)
    published = context.lake.replace(
        "evaluations", answers, where={"partition": stage.partition}, fence=fence
    )
    _track(stage, models, leader)
    return _done(stage, dataset, contenders, models, published, rows, report)


def _judge_all(
    context: StageContext, contenders: Sequence[_Contender], rows: pa.Table, card: DatasetCard, scratch: Path
) -> list[Judged]:
    from lakeloop.evaluation.predict import judge_artifact

    threads = context.settings.training_threads or os.cpu_count() or 1
    judged = []
    for contender in contenders:
        # One at a time: an artifact is 200 MB, and the next one needs the room.
        folder = context.lake.files.fetch(contender.folder_name, scratch / contender.name)
        model = judge_artifact(
            contender.name, folder, contender.digest, rows, context.loop.task.labels, threads=threads
        )
        shutil.rmtree(folder)
        if contender.name != "champion":
            _require_trained_on(card, model)
        judged.append(model)
    return judged


def _require_trained_on(card: DatasetCard, model: Judged) -> None:
    found = model.description.dataset_digest
    if found != card.digest:
        raise DataError(
            f"the {model.name} was trained on another data set: test rows may be among its training rows",
            where=f"artifact {model.digest[:12]}",
            expected=f"data set {card.digest[:12]}",
            found=f"data set {found[:12]}",
            remedy="train this partition again",
        )


def _leader(context: StageContext, candidates: Sequence[Judged], rows_digest: str) -> Judged:
    metric = metric_named(context.loop.evaluate.metric)
    scored = [
        Scored(
            name=model.name,
            digest=model.digest,
            score=model.scores.named()[metric.name],
            rows=model.scores.rows,
            rows_digest=rows_digest,
        )
        for model in candidates
    ]
    best = best_of(scored, metric)
    return next(model for model in candidates if model.name == best.name)


def _write_report(
    context: StageContext,
    stage: StageSession,
    models: Sequence[Judged],
    leader: Judged,
    champion: ModelVersion | None,
    card: DatasetCard,
    rows: FairRows,
) -> tuple[Path, str]:
    """Write the page for a browser and into the lake; returns its path and its name in the lake."""
    from lakeloop.evaluation.predict import worst_mistakes
    from lakeloop.evaluation.report import Report, render

    page = render(
        Report(
            loop=context.loop.name,
            partition=stage.partition,
            metric=metric_named(context.loop.evaluate.metric),
            rules=context.loop.gate,
            models=models,
            leader=leader,
            champion_version=champion.name if champion else None,
            mistakes=worst_mistakes(leader, rows.table, _SHOWN_MISTAKES),
            note=rows.note,
            card=card,
            made_at=now(),
            run_id=context.attempt.run_id,
        )
    )
    path = context.settings.reports(context.loop.name) / stage.partition / "index.html"
    write_atomically(path, page)
    # By content: the page of a second evaluation is another folder, for these never change.
    name = f"reports/{stage.partition}/{hashlib.sha256(page.encode()).hexdigest()[:16]}"
    with _scratch(stage.work) as folder:  # the page for a browser belongs to whoever evaluates last
        write_atomically(folder / path.name, page)
        context.lake.files.put(folder, name)
    return path, name


def _track(stage: StageSession, models: Sequence[Judged], leader: Judged) -> None:
    """Scores and counts; no text of rows leaves the lake."""
    stage.log(_metrics(models))
    columns = ["model", "digest", "method", "rows", *leader.scores.named()]
    stage.table(
        "scores",
        columns,
        [
            [m.name, m.digest[:12], m.description.method, m.scores.rows, *m.scores.named().values()]
            for m in models
        ],
    )
    labels = [label.label for label in leader.scores.labels]
    width = len(leader.scores.confusion[0])
    stage.table(
        "confusion",
        ["label", *labels, "another"][: 1 + width],
        [[label, *counts] for label, counts in zip(labels, leader.scores.confusion, strict=True)],
    )
    stage.table(
        "labels",
        ["model", "label", "precision", "recall", "f1", "rows"],
        [[m.name, s.label, s.precision, s.recall, s.f1, s.support] for m in models for s in m.scores.labels],
    )


def _metrics(models: Sequence[Judged]) -> dict[str, float]:
    return {
        f"{model.name}/{name}": value
        for model in models
        for name, value in {
            **model.scores.named(),
            "texts_per_second": model.texts_per_second,
            **{f"f1/{label.label}": label.f1 for label in model.scores.labels},
        }.items()
    }


def _done(
    stage: StageSession,
    dataset: StageRecord,
    contenders: Sequence[_Contender],
    models: Sequence[Judged],
    published: Published,
    rows: FairRows,
    report: tuple[Path, str],
) -> StageRecord:
    metric = metric_named(stage.context.loop.evaluate.metric)
    scores = ", ".join(f"{model.name} {model.scores.named()[metric.name]:.4f}" for model in models)
    path, name = report
    return stage.done(
        reason=f"{metric.title} on {models[0].scores.rows} test rows: {scores}"
        + (f"; {rows.note}" if rows.note else ""),
        outputs={
            "evaluations": published.digest,
            "evaluations_version": str(published.version),
            "report": name,
            "dataset": dataset.outputs["dataset"],
            "rows": str(models[0].scores.rows),
            "rows_digest": rows.digest,
            **{contender.name: contender.digest for contender in contenders},
            **{f"{contender.name}_folder": contender.folder_name for contender in contenders},
        },
        metrics=_metrics(models),
        links={"report": str(path)},
    )


@contextmanager
def _scratch(work: Path) -> Iterator[Path]:
    """A folder for this attempt alone, gone afterwards: attempts can overlap, and must not share models."""
    oldest = time.time() - _ABANDONED_SECONDS
    for left in work.glob(f"{_SCRATCH}*"):
        with suppress(FileNotFoundError):  # its attempt ended in this moment
            if left.stat().st_mtime < oldest:
                shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=work, ignore_cleanup_errors=True) as folder:
        yield Path(folder)
