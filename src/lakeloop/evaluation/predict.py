"""One model on the test rows: its answers and scores. The model is the reloaded artifact, nothing else.

What is served is what is judged: the artifact goes through the server's own `Predictor`. No torch.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa

from lakeloop.artifact import ArtifactDescription
from lakeloop.errors import ArtifactError
from lakeloop.evaluation.metrics import Scores, compute_scores
from lakeloop.serving.predictor import Prediction, Predictor

ModelName = Literal["baseline", "finetune", "champion"]


@dataclass(frozen=True)
class Judged:
    """A model with its answers, in the order of the rows that it was asked."""

    name: ModelName
    digest: str
    description: ArtifactDescription
    predictions: tuple[Prediction, ...]
    scores: Scores
    seconds: float
    """Time for all rows, loading not included."""

    @property
    def texts_per_second(self) -> float:
        return len(self.predictions) / max(self.seconds, 1e-9)


@dataclass(frozen=True)
class Mistake:
    """A row that a model got wrong."""

    row_id: str
    text: str
    label: str
    predicted: str
    score: float
    """Probability of the wrong answer, 0..1."""
    score_of_label: float
    """Probability of the right one."""


def judge_artifact(
    name: ModelName, folder: Path, digest: str, rows: pa.Table, labels: Sequence[str], *, threads: int
) -> Judged:
    """Load the artifact in `folder` and score its answers on `rows` (columns text, label).

    Raises:
        ArtifactError: the artifact is not whole, or is not the one with this `digest`.
    """
    predictor = Predictor(folder, threads=threads)
    if predictor.digest != digest:
        raise ArtifactError(
            "this is not the artifact that was trained",
            where=f"{name}, {folder}",
            expected=f"digest {digest}",
            found=f"digest {predictor.digest}",
            remedy="train again; nothing was evaluated",
        )
    started = time.perf_counter()
    predictions = tuple(predictor.predict(rows["text"].to_pylist()))
    seconds = time.perf_counter() - started
    scores = compute_scores(
        labels,
        rows["label"].to_pylist(),
        [prediction.label for prediction in predictions],
        [prediction.scores for prediction in predictions],
    )
    return Judged(name, digest, predictor.description, predictions, scores, seconds)


def worst_mistakes(judged: Judged, rows: pa.Table, count: int) -> list[Mistake]:
    """The `count` wrong answers that the model was surest of, surest first."""
    mistakes = [
        Mistake(
            row["row_id"],
            row["text"],
            row["label"],
            prediction.label,
            prediction.score,
            prediction.scores.get(row["label"], 0.0),
        )
        for row, prediction in zip(rows.to_pylist(), judged.predictions, strict=True)
        if prediction.label != row["label"]
    ]
    return sorted(mistakes, key=lambda mistake: (-mistake.score, mistake.row_id))[:count]


def prediction_rows(judged: Sequence[Judged], rows: pa.Table) -> pa.Table:
    """The answers of all models as rows of the table `evaluations` (without its partition)."""
    return pa.Table.from_pylist(
        [
            {
                "candidate": model.name,
                "model_digest": model.digest,
                "row_id": row_id,
                "label": label,
                "predicted": prediction.label,
                "score": prediction.score,
                "split": "test",
            }
            for model in judged
            for row_id, label, prediction in zip(
                rows["row_id"].to_pylist(), rows["label"].to_pylist(), model.predictions, strict=True
            )
        ]
    )
