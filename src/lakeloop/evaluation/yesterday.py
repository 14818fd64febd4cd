"""The evidence of an evaluation that is older than evidence: its record held all that was found, by names.

Nothing else knows these names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakeloop.evidence import Evidence, ModelEvidence
from lakeloop.gate.decide import best_of
from lakeloop.measures.registry import metric_of
from lakeloop.records import StageRecord
from lakeloop.spec.train import CHAMPION
from lakeloop.spec.yesterday import lift_training

_CANDIDATES = ("baseline", "finetune")
"""The cheapest first; there were no others."""


def lift(record: StageRecord) -> Evidence:
    """What `record`, of an evaluation that left no evidence, says was found; of single rows, nothing."""
    training: Any = record.config["training"]
    training = lift_training(training, {})
    kind = training["task"]["kind"]
    metric = metric_of(kind, str(record.config["metric"]))
    candidates = tuple(
        _model(record, name, training["candidates"][name]["method"])
        for name in _CANDIDATES
        if name in record.inputs
    )
    return Evidence(
        loop=record.loop,
        partition=record.partition,
        task=kind,
        metric=metric.name,
        dataset=record.outputs["dataset"],
        dataset_digest=record.inputs["dataset"],
        rows=int(record.outputs["rows"]),
        rows_digest=record.outputs["rows_digest"],
        candidates=candidates,
        champion=_model(record, CHAMPION, "") if CHAMPION in record.inputs else None,
        leader=best_of(candidates, metric).name,
        made_at=record.provenance.finished_at,
        run_id=record.provenance.run_id,
    )


def _model(record: StageRecord, name: str, method: str) -> ModelEvidence:
    folder = record.outputs[f"{name}_folder"]
    return ModelEvidence(
        name=name,
        version=folder.rpartition("/")[2] if name == CHAMPION else None,
        digest=record.inputs[name],
        folder=folder,
        method=method,
        rows_digest=record.outputs["rows_digest"],
        scores=_scores(record.metrics, f"{name}/"),
    )


def _scores(metrics: Mapping[str, float], prefix: str) -> dict[str, float]:
    """`macro`, not `baseline/macro`; those of single classes had one more part."""
    named = {name.removeprefix(prefix): value for name, value in metrics.items() if name.startswith(prefix)}
    return {name: value for name, value in named.items() if "/" not in name}
