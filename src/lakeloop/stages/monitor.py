"""Stage `monitor`: what the model answered on one day, beside what it was trained on. It decides nothing.

Counted is every logged prediction of the day, roll-out smoke texts included (their request ids begin with
`smoke-`). The arithmetic is in `lakeloop.monitoring`.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

from lakeloop.artifact import DESCRIPTION, ArtifactDescription
from lakeloop.errors import ArtifactError
from lakeloop.records import StageRecord, fingerprint
from lakeloop.stages.session import StageContext, StageSession

if TYPE_CHECKING:
    import pyarrow as pa

    from lakeloop.monitoring.shares import ShareComparison
    from lakeloop.registry.history import ModelVersion

STAGE = "monitor"
_COLUMNS = ("batch_id", "request_id", "predicted_at", "model_version", "label", "score", "latency_ms")


def monitor(context: StageContext, partition: str) -> StageRecord:
    """Compare the answers of the day `partition` with the champion's training labels.

    Skipped when there were no predictions that day, or there is no champion to compare with.
    """
    from lakeloop.registry.registry import Registry

    with context.stage(STAGE, partition) as stage:
        rows = context.lake.read("predictions", columns=_COLUMNS, partition=partition)
        if not rows.num_rows:
            return stage.skipped(f"no predictions on {partition}")
        champion = Registry(context.lake).champion()
        if champion is None:
            return stage.skipped(f"{rows.num_rows} predictions, but no champion to compare them with")
        # Batches never change, so their ids stand for their rows.
        batches = sorted(rows["batch_id"].unique().to_pylist())
        stage.inputs(champion=champion.digest, predictions=fingerprint(batches=batches, rows=rows.num_rows))
        if done := stage.unchanged():
            return done
        return _record(stage, rows, champion.name, _trained_on(context, champion))


def _record(stage: StageSession, rows: pa.Table, champion: str, trained_on: dict[str, float]) -> StageRecord:
    from lakeloop.monitoring.shares import compare_shares, shares

    comparison = compare_shares(shares(_counts(rows, "label")), trained_on)
    metrics = {
        "monitor/predictions": float(rows.num_rows),
        "monitor/total_variation": comparison.total_variation,
        **_averages(rows),
        **{f"monitor/share/{label}": share for label, share in comparison.observed.items()},
        **{f"monitor/difference/{label}": abs(d) for label, d in comparison.differences.items()},
    }
    stage.log(metrics)
    stage.table("label_shares", ["label", "observed", "trained_on", "difference"], _table(comparison))
    versions = _counts(rows, "model_version")
    stage.table("versions", ["model_version", "predictions"], [[v, n] for v, n in sorted(versions.items())])
    moved = comparison.most_moved
    return stage.done(
        reason=(
            f"{rows.num_rows} predictions; {comparison.total_variation:.1%} of them would have to change for "
            f"the labels to be as in the training of {champion}; {moved} moved most: "
            f"{comparison.observed[moved]:.1%} instead of {comparison.expected[moved]:.1%}"
        ),
        outputs={"champion": champion, "versions": ", ".join(sorted(versions))},
        metrics=metrics,
    )


def _trained_on(context: StageContext, champion: ModelVersion) -> dict[str, float]:
    """Shares of the labels in the champion's training rows, by its description in the lake.

    Raises:
        ArtifactError: the description is not the one that was stored.
    """
    import fsspec

    folder = champion.folder_name
    stored = context.lake.files.manifest(folder)[DESCRIPTION]
    address = f"{context.lake.files.uri(folder)}/{DESCRIPTION}"
    # One small file: fetching the folder would copy the model's weights.
    with fsspec.open(address, "rb", **context.settings.storage_options) as file:
        content: bytes = file.read()
    if (found := sha256(content).hexdigest()) != stored:
        raise ArtifactError(
            "the champion's description was changed", where=address, expected=stored, found=found
        )
    return ArtifactDescription.model_validate_json(content).train_label_shares


def _averages(rows: pa.Table) -> dict[str, float]:
    import pyarrow.compute as pc

    # Texts of one request share its latency: each request counts once.
    requests = rows.group_by(["request_id", "predicted_at"]).aggregate([("latency_ms", "max")])
    p50, p95 = pc.quantile(requests["latency_ms_max"], q=[0.5, 0.95]).to_pylist()
    return {
        "monitor/requests": float(requests.num_rows),
        "monitor/mean_score": float(pc.mean(rows["score"]).as_py()),
        "monitor/latency_p50_ms": float(p50),
        "monitor/latency_p95_ms": float(p95),
    }


def _counts(rows: pa.Table, column: str) -> dict[str, int]:
    return {str(pair["values"]): int(pair["counts"]) for pair in rows[column].value_counts().to_pylist()}


def _table(comparison: ShareComparison) -> list[list[Any]]:
    return [
        [label, comparison.observed[label], comparison.expected[label], difference]
        for label, difference in comparison.differences.items()
    ]
