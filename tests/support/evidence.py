"""Evidence for tests of what reads it: models with the scores that a test gives them, on the same rows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from lakeloop.evidence import Evidence, ModelEvidence

ROWS_DIGEST = "a" * 64


def model(name: str, scores: dict[str, float], digest: str = "", **fields: Any) -> ModelEvidence:
    """A model; its digest begins with its name unless one is given."""
    return ModelEvidence(
        **{
            "name": name,
            "digest": digest or f"{name:0<64}",
            "folder": f"candidates/{name}",
            "method": "keywords",
            "rows_digest": ROWS_DIGEST,
            "scores": scores,
            **fields,
        }
    )


def evidence(*candidates: ModelEvidence, champion: ModelEvidence | None = None, **fields: Any) -> Evidence:
    """What an evaluation of these models on 445 rows found; the first candidate leads unless told."""
    return Evidence(
        **{
            "loop": "small",
            "partition": "2026-11-16",
            "task": "classification",
            "metric": next(iter(candidates[0].scores)),
            "dataset": "datasets/d",
            "dataset_digest": "d" * 64,
            "rows": 445,
            "rows_digest": ROWS_DIGEST,
            "candidates": candidates,
            "champion": champion,
            "leader": candidates[0].name,
            "made_at": datetime(2026, 11, 22, tzinfo=UTC),
            "run_id": "run",
            **fields,
        }
    )
