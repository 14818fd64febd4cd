from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, log_loss

from training.scores import Scores, score

ROWS = st.lists(st.tuples(st.integers(0, 3), st.lists(st.floats(-9, 9, width=32), min_size=4, max_size=4)))


@given(rows=ROWS.filter(bool))
def test_scores_are_those_of_scikit_learn(rows: list[tuple[int, list[float]]]) -> None:
    labels = np.array([label for label, _ in rows], dtype=np.int64)
    logits = np.array([values for _, values in rows], dtype=np.float32)
    found = score(logits, labels)
    predicted = logits.argmax(axis=1)
    exponents = np.exp(logits.astype(np.float64))
    assert found.macro_f1 == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert found.accuracy == pytest.approx(accuracy_score(labels, predicted))
    assert found.loss == pytest.approx(
        log_loss(labels, exponents / exponents.sum(axis=1, keepdims=True), labels=[0, 1, 2, 3]), abs=1e-6
    )


def test_of_equal_macro_f1_the_smaller_loss_is_better() -> None:
    sure, unsure = Scores(0.9, 0.9, 0.2), Scores(0.9, 0.9, 0.4)
    assert max(unsure, sure, Scores(0.8, 0.99, 0.1), key=lambda scores: scores.rank) is sure
