"""Random outcomes of each kind of task, as a model of some skill would leave them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lakeloop.measures.base import Outcomes

WORDS = ("the", "cat", "sat", "on", "a", "mat", "今天", "天气", "很好", "我们", "去", "公园")


def classes(rows: int, size: int = 4, seed: int = 0) -> Outcomes:
    """Rare and frequent classes, ties among the probabilities, and a few answers that are no class."""
    random = np.random.default_rng(seed)
    truth = np.minimum(random.geometric(0.5, rows) - 1, size - 1)
    logits = random.normal(size=(rows, size)).round(1)
    logits[np.arange(rows), truth] += 1
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    answer = np.where(random.random(rows) < 0.02, -1, chances.argmax(axis=1))
    return Outcomes(truth, answer, chances)


def labels(rows: int, size: int = 5, seed: int = 0) -> Outcomes:
    random = np.random.default_rng(seed)
    truth = random.random((rows, size)) < np.linspace(0.02, 0.5, size)
    chances = np.clip(0.3 * truth + 0.7 * random.random((rows, size)).round(2), 0, 1)
    return Outcomes(truth, chances > 0.5, chances)


def numbers(rows: int, seed: int = 0) -> Outcomes:
    random = np.random.default_rng(seed)
    truth = random.integers(0, 20, rows).astype(np.float64)
    answer = (truth + random.normal(0, 5, rows)).round(0)
    return Outcomes(truth, answer, answer[:, None])


def stretches(rows: int, seed: int = 0) -> Outcomes:
    random = np.random.default_rng(seed)

    def some() -> list[tuple[int, int, str]]:
        starts = random.choice(20, random.integers(0, 4), replace=False) * 5
        return [(int(at), int(at) + 4, str(random.choice(["place", "person", "thing"]))) for at in starts]

    truth = [some() for _ in range(rows)]
    answer = [
        [(start + int(random.random() < 0.2), end, kind) for start, end, kind in row if random.random() < 0.8]
        + (some()[:1] if random.random() < 0.3 else [])
        for row in truth
    ]
    return Outcomes(_objects(truth), _objects(answer), np.empty((rows, 0)))


def texts(rows: int, seed: int = 0) -> Outcomes:
    random = np.random.default_rng(seed)
    truth = [" ".join(random.choice(WORDS, random.integers(3, 12))) for _ in range(rows)]
    answer = [
        text if random.random() < 0.2 else " ".join(w for w in text.split() if random.random() < 0.8)
        for text in truth
    ]
    tokens = random.integers(1, 20, rows)
    losses = np.column_stack([tokens * random.gamma(2.0, 1.0, rows), tokens])
    return Outcomes(_objects(truth), _objects(answer), np.array([truth, answer], dtype=object).T, losses)


OF_KIND = {
    "classification": classes,
    "multi_label": labels,
    "regression": numbers,
    "token_classification": stretches,
    "seq2seq": texts,
    "causal_lm": texts,
}


def _objects(rows: list[Any]) -> NDArray[Any]:
    found = np.empty(len(rows), dtype=object)
    for number, row in enumerate(rows):
        found[number] = row
    return found
