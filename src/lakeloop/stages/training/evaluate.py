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
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakeloop.durable import write_atomically
from lakeloop.errors import DataError
from lakeloop.evidence import Evidence, ModelEvidence
from lakeloop.measures.base import shown
from lakeloop.records import StageRecord, now
from lakeloop.scratch.folder import passing_folder
from lakeloop.spec.train import BEST, CHAMPION
from lakeloop.stages.frame.experiment import refuse
from lakeloop.stages.frame.pending import Pending, Standing
from lakeloop.stages.frame.session import StageContext, StageSession
from lakeloop.stages.training.evaluation_order import (
    STAGE,
    EvaluationOrder,
    Missing,
    config_now,
    config_of,
    new_order,
    searches_of,
    strangers_of,
)
from lakeloop.stages.training.frozen import leaks_of
from lakeloop.stages.training.waiting import waiting_in

if TYPE_CHECKING:
    import pyarrow as pa

    from lakeloop.datasets.freeze import DatasetCard
    from lakeloop.evaluation.fair import FairRows
    from lakeloop.evaluation.judge import Beyond, Judged
    from lakeloop.lake.claims import Fence
    from lakeloop.lake.files import LakeFiles
    from lakeloop.tasks.base import Grid, Task

_SHOWN_MISTAKES = 20
_SHARED = "without-texts.html"
"""The page that trackers are given, beside the one that is shown here."""


def evaluate(context: StageContext, partition: str) -> StageRecord:
    """Score the newest candidates of this partition's data set, and the champion, on its test rows.

    In an experiment its own candidates, and their answers are not kept: table `evaluations` is production's.
    Test rows that the champion was trained on are left out, for all models. Outputs: evidence (its folder)
    and evidence_digest, evaluations (digest of the answers) and evaluations_version, report, dataset, rows.
    Metrics: `<model>/<metric>`. Skipped when the partition has no data set or no trained candidate.

    Raises:
        DataError: a candidate was trained on another data set, or the champion on too many test rows.
        ArtifactError: an artifact is not whole, or is not the one that was trained.
        FenceError: a newer attempt took over.
    """
    order = new_order(context, partition)
    if isinstance(order, Missing):
        with context.stage(context.record_name(STAGE), partition, config=config_now(context)) as stage:
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
        ConfigurationError: asked of an experiment.
        LakeloopError: see `evaluate`.
    """
    from lakeloop.evaluation.judge import Contender
    from lakeloop.evaluation.stored import evidence_of
    from lakeloop.evaluation.synonyms import synonyms_of
    from lakeloop.registry.registry import Registry

    refuse(context, "released")
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
    order = EvaluationOrder(
        # As of then: the loop file may have changed since, or that run had set other keys.
        config=config_of(earlier, config_now(context)),
        dataset=evidence.dataset,
        dataset_digest=evidence.dataset_digest,
        candidates=tuple(Contender(m.name, m.digest, m.folder) for m in evidence.candidates),
        champion=champion,
        best=history.best,
        strangers=strangers_of(context.loop, context.settings),
        synonyms=synonyms_of(context.loop.evaluate, context.settings),
    )
    return _carry_out(context, partition, order)


def _carry_out(context: StageContext, partition: str, order: EvaluationOrder) -> StageRecord:
    with context.stage(context.record_name(STAGE), partition, config=order.config) as stage:
        stage.inputs(**order.inputs)
        return stage.unchanged() or _evaluate(context, stage, order)


def _evaluate(context: StageContext, stage: StageSession, order: EvaluationOrder) -> StageRecord:
    from lakeloop.datasets.freeze import read_card, read_split
    from lakeloop.evaluation.fair import fair_rows
    from lakeloop.evaluation.judge import Beyond
    from lakeloop.evaluation.report import Report, render
    from lakeloop.evaluation.stored import store
    from lakeloop.tasks.registry import task_of

    fence = stage.claim()
    task, files = task_of(context.loop.task), context.lake.files
    with passing_folder(stage.work, "fetched") as scratch:
        dataset = files.fetch(order.dataset, scratch / "dataset")
        card = read_card(dataset)
        fair = fair_rows(files, read_split(dataset, "test"), card, order.champion, task)
        fair, order = _without_best_that_knows(fair, order, files)
        beyond = Beyond(
            read_split(dataset, "validation"),
            order.strangers,
            context.loop.deploy.abstain,
            context.loop.evaluate.explain,
            order.synonyms,
        )
        judged = _judge_all(context, order, fair.table, task, scratch, beyond)
        evidence = _evidence(context, stage, order, judged, fair, task, card)
        searches = searches_of(context, stage.partition, evidence)
        found = Report(evidence, context.loop, card, searches, context.experiment)
        named = {} if context.experiment else _publish_answers(context, stage, judged, fair, fence)
        path, report = _publish_page(context, stage, render(found), scratch / "report")
        digest = store(files, evidence, scratch / "evidence")
    _track(stage, evidence, path.with_name(_SHARED), render(found, texts=False))
    return _done(stage, evidence, digest, {**named, "report": report}, {"report": str(path)})


def _publish_answers(
    context: StageContext, stage: StageSession, judged: Sequence[Judged], fair: FairRows, fence: Fence
) -> dict[str, str]:
    """Replace the day's rows of table `evaluations`; returns what names them in the record."""
    from lakeloop.evaluation.judge import answer_rows
    from lakeloop.tasks.registry import task_of

    rows = answer_rows(judged, fair.table, task_of(context.loop.task))
    where = {"partition": stage.partition}
    published = context.lake.replace("evaluations", rows, where=where, fence=fence)
    return {"evaluations": published.digest, "evaluations_version": str(published.version)}


def _without_best_that_knows(
    fair: FairRows, order: EvaluationOrder, files: LakeFiles
) -> tuple[FairRows, EvaluationOrder]:
    """The best version is left out where it was trained on some of the rows that all others are asked."""
    from lakeloop.evaluation.fair import known_rows

    if order.best is None or not known_rows(files, fair.table, order.best.card.dataset_digest):
        return fair, order
    note = f"the best version {order.best.name} is not compared: it was trained on some of them"
    return replace(fair, note="; ".join(filter(None, (fair.note, note)))), replace(order, best=None)


def _judge_all(
    context: StageContext,
    order: EvaluationOrder,
    rows: pa.Table,
    task: Task,
    scratch: Path,
    beyond: Beyond,
) -> list[Judged]:
    from lakeloop.evaluation.judge import judge

    threads = context.settings.training_threads or os.cpu_count() or 1
    judged = []
    for contender in order.contenders:
        # One at a time: an artifact is 200 MB, and the next one needs the room.
        folder = context.lake.files.fetch(contender.folder, scratch / "model")
        model = judge(contender, folder, rows, task, threads=threads, beyond=beyond)
        shutil.rmtree(folder)
        if contender.version is None:
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


def _looked_at(
    context: StageContext, judged: Sequence[Judged], rows: pa.Table, task: Task
) -> list[ModelEvidence]:
    """What the probes find of each model, and the newest day that it was trained on."""
    from lakeloop.datasets.freeze import newest_day
    from lakeloop.evaluation.probes.overall import require_decisive
    from lakeloop.evaluation.probes.registry import look_at

    digests = {model.description.dataset_digest for model in judged}
    days = {digest: newest_day(context.lake.files, digest) for digest in digests}
    models = [look_at(model, rows, task) for model in judged]
    require_decisive(models, context.loop.metric)
    return [model.model_copy(update={"newest_day": days[model.dataset_digest]}) for model in models]


def _evidence(
    context: StageContext,
    stage: StageSession,
    order: EvaluationOrder,
    judged: Sequence[Judged],
    fair: FairRows,
    task: Task,
    card: DatasetCard,
) -> Evidence:
    from lakeloop.evaluation.confused import examples_of
    from lakeloop.evaluation.fair import known_rows
    from lakeloop.evaluation.mistakes import worst_mistakes
    from lakeloop.evaluation.paired import compare_all
    from lakeloop.gate.decide import best_of
    from lakeloop.stages.training.grouped import with_groups

    files, metric = context.lake.files, context.loop.metric
    rows = with_groups(fair.table, context.lake, context.loop)
    named = {model.name: model for model in _looked_at(context, judged, rows, task)}
    candidates = tuple(named[each.name] for each in order.candidates)
    leader = best_of(candidates, metric).name
    of_leader = next(model for model in judged if model.contender.name == leader)
    wrong, mistakes = worst_mistakes(of_leader, fair.table, task, _SHOWN_MISTAKES)
    return Evidence(
        loop=context.loop.name,
        partition=stage.partition,
        task=task.kind,
        metric=metric.name,
        dataset=order.dataset,
        dataset_digest=order.dataset_digest,
        rows=fair.table.num_rows,
        rows_digest=fair.digest,
        note=fair.note,
        candidates=candidates,
        champion=named.get(CHAMPION),
        best=named.get(BEST),
        comparisons=compare_all(of_leader, judged, rows, task, metric),
        **_of_data(context, order, card),
        leaked=known_rows(files, fair.table, order.dataset_digest),
        leader=leader,
        wrong=wrong,
        mistakes=mistakes,
        explained_by=of_leader.explained_by,
        examples=examples_of(of_leader, fair.table, task, named[leader].tables),
        error=task.error,
        made_at=now(),
        run_id=context.attempt.run_id,
    )


def _of_data(context: StageContext, order: EvaluationOrder, card: DatasetCard) -> dict[str, Any]:
    """What is known of the data set, whatever models answer: answers without rows, suspected leaks."""
    from lakeloop.datasets.freeze import untested
    from lakeloop.datasets.missing import unlearnt

    return {
        "untested": untested(card),
        "unlearnt": unlearnt(card, context.loop.task),
        "leaks": leaks_of(context, order.dataset_digest),
    }


def _publish_page(context: StageContext, stage: StageSession, page: str, scratch: Path) -> tuple[Path, str]:
    """Write the page for a browser and into the lake; returns its path and its name in the lake."""
    folder = "-".join(filter(None, (stage.partition, context.experiment)))
    path = context.settings.reports(context.loop.name) / folder / "index.html"
    write_atomically(path, page)
    # By content: the page of a second evaluation is another folder, for these never change.
    name = f"reports/{folder}/{hashlib.sha256(page.encode()).hexdigest()[:16]}"
    write_atomically(scratch / path.name, page)  # the page for a browser is that of the last evaluation
    context.lake.files.put(scratch, name)
    return path, name


def _track(stage: StageSession, evidence: Evidence, path: Path, page: str) -> None:
    """Scores, counts and a page of them, which is written to `path`; no text of rows leaves the lake."""
    # Kept: trackers copy what is at this place when they come to it.
    write_atomically(path, page)
    name = f"{stage.context.loop.name}-report-{stage.partition}"
    stage.tracker.artifact(name, "report", path, {"dataset": evidence.dataset_digest, "rows": evidence.rows})
    _track_comparisons(stage, evidence)
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
        if grid.of_rows:
            continue
        if grid.kind == "table":
            stage.tracker.table(grid.title.lower(), ["model", *grid.columns], _rows_of_all(evidence, grid))
        else:
            stage.tracker.table(grid.title.lower(), list(grid.columns), [list(row) for row in grid.rows])


def _track_comparisons(stage: StageSession, evidence: Evidence) -> None:
    """The leader beside the champion and the best version, and the slices of each."""
    if not evidence.comparisons:
        return
    stage.tracker.table(
        "beside",
        ["other", "metric", "test", "rows", "gained", "lost", "advantage", "low", "high", "p_better"],
        [
            [c.other, c.metric, c.test, c.rows, c.gained, c.lost, c.advantage, c.low, c.high, c.p_better]
            for c in evidence.comparisons
        ],
    )
    stage.tracker.table(
        "slices",
        ["other", "slice", "rows", "gained", "lost", "loss", "p_worse"],
        [
            [found.other, each.name, each.rows, each.gained, each.lost, each.loss, each.p_worse]
            for found in evidence.comparisons
            for each in found.slices
        ],
    )


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
