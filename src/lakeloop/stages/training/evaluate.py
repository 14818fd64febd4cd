"""Stage `evaluate`: the candidates of a data set and the champion answer the same test rows.

Judged are stored artifacts, reloaded as the model server would; torch is not needed. What is found is one
`Evidence` in the lake. How models are judged is `lakeloop.evaluation`; what follows is
`lakeloop.stages.release.release`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakeloop.durable import write_atomically
from lakeloop.errors import DataError
from lakeloop.evidence import Evidence
from lakeloop.measures.base import shown
from lakeloop.records import RECORD_FORMAT, StageRecord, now
from lakeloop.scratch.folder import passing_folder
from lakeloop.spec.identity import identity, training_identity
from lakeloop.spec.train import CHAMPION
from lakeloop.spec.yesterday import lift_config
from lakeloop.stages.catalogue import stage_named
from lakeloop.stages.frame.missing import run_first
from lakeloop.stages.frame.pending import Pending, Standing
from lakeloop.stages.frame.session import StageContext, StageSession
from lakeloop.stages.training.waiting import waiting_in

if TYPE_CHECKING:
    import pyarrow as pa

    from lakeloop.evaluation.fair import FairRows
    from lakeloop.evaluation.judge import Contender, Judged
    from lakeloop.registry.history import ModelVersion
    from lakeloop.search.found import SearchFound
    from lakeloop.tasks.base import Grid, Task

STAGE = "evaluate"
_SHOWN_MISTAKES = 20
_OF_WEIGHTS = ("clean", "evaluate")
"""Sections that decide weights only: the record of a training has them as its identity does."""


@dataclass(frozen=True)
class _Evaluation:
    """An evaluation, by all that decides its outcome."""

    config: Mapping[str, Any]
    dataset: str
    """Folder of the data set in the lake."""
    dataset_digest: str
    candidates: tuple[Contender, ...]
    """The cheapest first."""
    champion: ModelVersion | None

    @property
    def inputs(self) -> dict[str, str]:
        digests = {each.name: each.digest for each in self.candidates}
        champion = {CHAMPION: self.champion.digest} if self.champion else {}
        return {**digests, **champion, "dataset": self.dataset_digest}


@dataclass(frozen=True)
class _Missing:
    """Why there is nothing to evaluate, and what to run first."""

    reason: str
    to_do: str


def evaluate(context: StageContext, partition: str) -> StageRecord:
    """Score the newest candidates of this partition's data set, and the champion, on its test rows.

    Test rows that the champion was trained on are left out, for all models. Outputs: evidence (its folder)
    and evidence_digest, evaluations (digest of the answers) and evaluations_version, report, dataset, rows.
    Metrics: `<model>/<metric>`. Skipped when the partition has no data set or no trained candidate.

    Raises:
        DataError: a candidate was trained on another data set, or the champion on too many test rows.
        ArtifactError: an artifact is not whole, or is not the one that was trained.
        FenceError: a newer attempt took over.
    """
    order = _new_order(context, partition)
    if isinstance(order, _Missing):
        with context.stage(STAGE, partition, config=_config(context)) as stage:
            return stage.skipped(order.reason, to_do=order.to_do)
    return _carry_out(context, partition, order)


def pending(standing: Standing) -> Iterator[Pending]:
    """The newest candidates, where one of them stood in no evaluation; unless a training is running."""
    if step := waiting_in(standing, STAGE):
        yield step


def evaluate_again(context: StageContext, partition: str) -> StageRecord | None:
    """Judge the candidates of the newest evaluation of `partition` again, when the champion is another now.

    To be called before `release`, which decides on no comparison with another champion. None when there is
    nothing to do: nothing was evaluated, the champion is the same, or the evaluation has made a champion.

    Raises:
        LakeloopError: see `evaluate`.
    """
    from lakeloop.evaluation.judge import Contender
    from lakeloop.evaluation.stored import evidence_of
    from lakeloop.registry.registry import Registry

    earlier = context.lake.ledger.latest(STAGE, partition, "done")
    if earlier is None:
        return None
    history = Registry(context.lake, context.attempt).read()
    champion = history.alias("champion")
    if history.made_champion_by(earlier.fingerprint) or earlier.inputs.get(CHAMPION) == (
        champion.digest if champion else None
    ):
        return None
    evidence = evidence_of(context.lake.files, earlier)
    order = _Evaluation(
        # As of then: the loop file may have changed since, or that run had set other keys.
        config=_config_of(earlier, _config(context)),
        dataset=evidence.dataset,
        dataset_digest=evidence.dataset_digest,
        candidates=tuple(Contender(m.name, m.digest, m.folder) for m in evidence.candidates),
        champion=champion,
    )
    return _carry_out(context, partition, order)


def _carry_out(context: StageContext, partition: str, order: _Evaluation) -> StageRecord:
    with context.stage(STAGE, partition, config=order.config) as stage:
        stage.inputs(**order.inputs)
        return stage.unchanged() or _evaluate(context, stage, order)


def _config(context: StageContext) -> dict[str, Any]:
    return {**identity(context.loop, "scores"), "training": training_identity(context.loop)}


def _new_order(context: StageContext, partition: str) -> _Evaluation | _Missing:
    """The evaluation of the newest candidates, or why there is none."""
    from lakeloop.evaluation.judge import Contender
    from lakeloop.registry.registry import Registry

    ledger = context.lake.ledger
    dataset = ledger.latest("dataset", partition, "done")
    if dataset is None:
        first = run_first(context, "dataset", partition)
        return _Missing(f"no data set was frozen for {partition}", first)
    trained = {
        each.name: ledger.latest(stage_named("train").record_name(each.name), partition, "done")
        for each in context.loop.train.all_candidates
    }
    candidates = tuple(
        Contender(*model)
        for name, record in trained.items()
        if record
        for model in _models_of(context, name, record)
    )
    if not candidates:
        name = stage_named("train").record_name(next(iter(trained)))
        first = run_first(context, "train", partition, name)
        return _Missing(f"no candidate was trained for {partition}", first)
    return _Evaluation(
        config={**_config(context), "training": _training_of(context, trained)},
        dataset=dataset.outputs["dataset"],
        dataset_digest=dataset.outputs["digest"],
        candidates=candidates,
        champion=Registry(context.lake, context.attempt).champion(),
    )


def _models_of(context: StageContext, name: str, record: StageRecord) -> Iterator[tuple[str, str, str]]:
    """Name, digest and folder of each model that a training has left: a search leaves its best few."""
    from lakeloop.search.stored import search_of

    if (search := search_of(context.lake.files, record)) is None:
        yield name, record.outputs["digest"], record.outputs["artifact"]
        return
    for model in search.kept:
        yield model.name, model.digest, model.artifact


def _searches(context: StageContext, stage: StageSession, evidence: Evidence) -> tuple[SearchFound, ...]:
    """The searches that candidates of an evaluation are from."""
    from lakeloop.search.stored import search_of

    found = []
    for each in context.loop.train.all_candidates:
        name = stage_named("train").record_name(each.name)
        record = context.lake.ledger.latest(name, stage.partition, "done")
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


def _config_of(evaluation: StageRecord, today: Mapping[str, Any]) -> dict[str, Any]:
    if evaluation.format == RECORD_FORMAT:
        return dict(evaluation.config)
    return lift_config(STAGE, evaluation.config, today) or {}


def _evaluate(context: StageContext, stage: StageSession, order: _Evaluation) -> StageRecord:
    from lakeloop.datasets.freeze import read_card, read_split
    from lakeloop.evaluation.fair import fair_rows
    from lakeloop.evaluation.judge import answer_rows
    from lakeloop.evaluation.report import Report, render
    from lakeloop.evaluation.stored import store
    from lakeloop.tasks.registry import task_of

    fence = stage.claim()
    task, files = task_of(context.loop.task), context.lake.files
    with passing_folder(stage.work, "fetched") as scratch:
        dataset = files.fetch(order.dataset, scratch / "dataset")
        card = read_card(dataset)
        fair = fair_rows(files, read_split(dataset, "test"), card, order.champion, task)
        judged = _judge_all(context, order, fair.table, task, scratch)
        evidence = _evidence(context, stage, order, judged, fair, task)
        page = render(Report(evidence, context.loop, card, _searches(context, stage, evidence)))
        published = context.lake.replace(
            "evaluations",
            answer_rows(judged, fair.table, task),
            where={"partition": stage.partition},
            fence=fence,
        )
        path, report = _publish_page(context, stage, page, scratch / "report")
        digest = store(files, evidence, scratch / "evidence")
    _track(stage, evidence)
    named = {"evaluations": published.digest, "evaluations_version": str(published.version), "report": report}
    return _done(stage, evidence, digest, named, {"report": str(path)})


def _judge_all(
    context: StageContext, order: _Evaluation, rows: pa.Table, task: Task, scratch: Path
) -> list[Judged]:
    from lakeloop.evaluation.judge import Contender, judge

    threads = context.settings.training_threads or os.cpu_count() or 1
    contenders = list(order.candidates)
    if champion := order.champion:
        contenders.append(Contender(CHAMPION, champion.digest, champion.folder_name, champion.name))
    judged = []
    for contender in contenders:
        # One at a time: an artifact is 200 MB, and the next one needs the room.
        folder = context.lake.files.fetch(contender.folder, scratch / "model")
        model = judge(contender, folder, rows, task, threads=threads)
        shutil.rmtree(folder)
        if contender.name != CHAMPION:
            _require_trained_on(order.dataset_digest, model)
        judged.append(model)
    return judged


def _require_trained_on(dataset_digest: str, model: Judged) -> None:
    found = model.description.dataset_digest
    if found != dataset_digest:
        raise DataError(
            f"the {model.contender.name} was trained on another data set: test rows may be among its"
            " training rows",
            where=f"artifact {model.contender.digest[:12]}",
            expected=f"data set {dataset_digest[:12]}",
            found=f"data set {found[:12]}",
            remedy="train this partition again",
        )


def _evidence(
    context: StageContext,
    stage: StageSession,
    order: _Evaluation,
    judged: Sequence[Judged],
    fair: FairRows,
    task: Task,
) -> Evidence:
    from lakeloop.evaluation.mistakes import worst_mistakes
    from lakeloop.evaluation.probes.overall import require_decisive
    from lakeloop.evaluation.probes.registry import look_at
    from lakeloop.gate.decide import best_of

    models = [look_at(model, fair.table, task) for model in judged]
    require_decisive(models, context.loop.metric)
    candidates = tuple(model for model in models if model.name != CHAMPION)
    leader = best_of(candidates, context.loop.metric).name
    of_leader = next(model for model in judged if model.contender.name == leader)
    wrong, mistakes = worst_mistakes(of_leader, fair.table, task, _SHOWN_MISTAKES)
    return Evidence(
        loop=context.loop.name,
        partition=stage.partition,
        task=task.kind,
        metric=context.loop.metric.name,
        dataset=order.dataset,
        dataset_digest=order.dataset_digest,
        rows=fair.table.num_rows,
        rows_digest=fair.digest,
        note=fair.note,
        candidates=candidates,
        champion=next((model for model in models if model.name == CHAMPION), None),
        leader=leader,
        wrong=wrong,
        mistakes=mistakes,
        error=task.error,
        made_at=now(),
        run_id=context.attempt.run_id,
    )


def _publish_page(context: StageContext, stage: StageSession, page: str, scratch: Path) -> tuple[Path, str]:
    """Write the page for a browser and into the lake; returns its path and its name in the lake."""
    path = context.settings.reports(context.loop.name) / stage.partition / "index.html"
    write_atomically(path, page)
    # By content: the page of a second evaluation is another folder, for these never change.
    name = f"reports/{stage.partition}/{hashlib.sha256(page.encode()).hexdigest()[:16]}"
    write_atomically(scratch / path.name, page)  # the page for a browser is that of the last evaluation
    context.lake.files.put(scratch, name)
    return path, name


def _track(stage: StageSession, evidence: Evidence) -> None:
    """Scores and counts; no text of rows leaves the lake."""
    stage.tracker.log(_metrics(evidence))
    names = list(dict.fromkeys(name for model in evidence.models for name in model.scores))
    stage.tracker.table(
        "scores",
        ["model", "digest", "method", "rows", *names],
        [
            [model.name, model.digest[:12], model.method, evidence.rows, *map(model.scores.get, names)]
            for model in evidence.models
        ],
    )
    for grid in evidence.model(evidence.leader).tables:
        if grid.kind == "table":
            stage.tracker.table(grid.title.lower(), ["model", *grid.columns], _rows_of_all(evidence, grid))
        else:
            stage.tracker.table(grid.title.lower(), list(grid.columns), [list(row) for row in grid.rows])


def _rows_of_all(evidence: Evidence, grid: Grid) -> list[list[Any]]:
    """The rows of the grids with this title and these columns, of all models."""
    return [
        [model.name, *row]
        for model in evidence.models
        for other in model.tables
        if (other.title, other.columns) == (grid.title, grid.columns)
        for row in other.rows
    ]


def _metrics(evidence: Evidence) -> dict[str, float]:
    return {
        f"{model.name}/{name}": score for model in evidence.models for name, score in model.scores.items()
    }


def _done(
    stage: StageSession, evidence: Evidence, digest: str, outputs: Mapping[str, str], links: Mapping[str, str]
) -> StageRecord:
    from lakeloop.evaluation.stored import folder_of

    metric = stage.context.loop.metric
    scores = ", ".join(f"{name} {shown(score)}" for name, score in evidence.scores_by(metric.name).items())
    return stage.done(
        reason=f"{metric.title} on {evidence.rows} test rows: {scores}"
        + (f"; {evidence.note}" if evidence.note else ""),
        outputs={
            "evidence": folder_of(digest),
            "evidence_digest": digest,
            "dataset": evidence.dataset,
            "rows": str(evidence.rows),
            **outputs,
        },
        metrics=_metrics(evidence),
        links=links,
    )
