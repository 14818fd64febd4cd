"""Stage `monitor`: what the model answered on one day, beside what it was trained on. It decides nothing.

Counted is every logged prediction of the day but those to smoke texts of a roll-out: these are chosen by a
person, and on a quiet day they would be most of what was asked. How answers are dealt into shares is the
task's, the arithmetic is in `lakeloop.monitoring`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lakeloop.artifact import ArtifactDescription
from lakeloop.records import StageRecord, fingerprint
from lakeloop.stages.frame.session import StageContext, StageSession

if TYPE_CHECKING:
    import pyarrow as pa

    from lakeloop.monitoring.shares import ShareComparison
    from lakeloop.tasks.base import Answer

STAGE = "monitor"
_NOT_READ = ("text", "text_sha256")
"""Columns of the prediction log that are large, and say nothing about answers."""


def monitor(context: StageContext, partition: str) -> StageRecord:
    """Compare the answers of the day `partition` with the targets of the champion's training rows.

    Skipped when there were no predictions that day, no champion to compare with, or no answer of the kind of
    the champion's task.

    Raises:
        ArtifactError: the champion's description in the lake is not the one that was stored.
    """
    from lakeloop.registry.registry import Registry
    from lakeloop.registry.stored import description_of

    with context.stage(STAGE, partition) as stage:
        rows = _predictions(context, partition)
        if not rows.num_rows:
            return stage.skipped(
                f"no predictions on {partition}",
                to_do=f"lakeloop serve {context.loop.name}, ask it, and wait a minute",
            )
        champion = Registry(context.lake).champion()
        if champion is None:
            return stage.skipped(
                f"{rows.num_rows} predictions, but no champion to compare them with",
                to_do=f"lakeloop run {context.loop.name}",
            )
        # Batches never change, so their ids stand for their rows.
        batches = sorted(rows["batch_id"].unique().to_pylist())
        stage.inputs(champion=champion.digest, predictions=fingerprint(batches=batches, rows=rows.num_rows))
        if done := stage.unchanged():
            return done
        return _record(stage, rows, champion.name, description_of(context.lake.files, champion))


def _predictions(context: StageContext, partition: str) -> pa.Table:
    from lakeloop.lake.tables import without_smoke

    # The columns that the table has: in a lake of an earlier version answers are in columns of their own.
    schema = context.lake.dataset("predictions", partition=partition).schema
    columns = [name for name in schema.names if name not in _NOT_READ]
    return without_smoke(context.lake.read("predictions", columns=columns, partition=partition))


def _record(
    stage: StageSession, rows: pa.Table, champion: str, description: ArtifactDescription
) -> StageRecord:
    from lakeloop.monitoring.shares import compare_shares
    from lakeloop.tasks.registry import task_class

    task = task_class(description.contract.kind)
    answers = _answers(rows, description.contract.kind)
    if not answers:
        return stage.skipped(f"{rows.num_rows} predictions, none of the task of {champion} ({task.kind})")
    comparison = compare_shares(task.shares(answers, description.profile), description.profile.shares)
    metrics = {
        "monitor/predictions": float(rows.num_rows),
        "monitor/of_another_task": float(rows.num_rows - len(answers)),
        "monitor/total_variation": comparison.total_variation,
        **_requests(rows),
        **{f"monitor/{name}": number for name, number in task.numbers(answers).items()},
        **{f"monitor/share/{name}": share for name, share in comparison.observed.items()},
        **{f"monitor/difference/{name}": abs(d) for name, d in comparison.differences.items()},
    }
    stage.tracker.log(metrics)
    stage.tracker.table("shares", ["answer", "observed", "trained_on", "difference"], _table(comparison))
    versions = sorted(_counts(rows, "model_version").items())
    stage.tracker.table("versions", ["model_version", "predictions"], [[v, n] for v, n in versions])
    moved = comparison.most_moved
    return stage.done(
        reason=(
            f"{rows.num_rows} predictions; {comparison.total_variation:.1%} of them would have to change to "
            f"be spread as in the training of {champion}; {moved} moved most: "
            f"{comparison.observed[moved]:.1%} instead of {comparison.expected[moved]:.1%}"
        ),
        outputs={"champion": champion, "versions": ", ".join(version for version, _ in versions)},
        metrics=metrics,
    )


def _answers(rows: pa.Table, kind: str) -> list[Answer]:
    """The answers of a kind of task; those of a champion that was of another kind are left out."""
    from pydantic import ValidationError

    from lakeloop.tasks.registry import answer_type, logged_answer

    of_kind = answer_type(kind)
    found: list[Answer] = []
    for row in rows.to_pylist():
        try:
            found.append(of_kind.model_validate_json(logged_answer(row)))
        except ValidationError:
            continue
    return found


def _requests(rows: pa.Table) -> dict[str, float]:
    import pyarrow.compute as pc

    # Texts of one request share its latency: each request counts once.
    requests = rows.group_by(["request_id", "predicted_at"]).aggregate([("latency_ms", "max")])
    p50, p95 = pc.quantile(requests["latency_ms_max"], q=[0.5, 0.95]).to_pylist()
    return {
        "monitor/requests": float(requests.num_rows),
        "monitor/latency_p50_ms": float(p50),
        "monitor/latency_p95_ms": float(p95),
    }


def _counts(rows: pa.Table, column: str) -> dict[str, int]:
    return {str(pair["values"]): int(pair["counts"]) for pair in rows[column].value_counts().to_pylist()}


def _table(comparison: ShareComparison) -> list[list[Any]]:
    return [
        [name, comparison.observed[name], comparison.expected[name], difference]
        for name, difference in comparison.differences.items()
    ]
