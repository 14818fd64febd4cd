"""What is scored and shown of answers with labels: known values, and what holds for any answers."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakeloop.measures.base import Outcomes
from lakeloop.measures.intervals import wilson
from lakeloop.measures.registry import metric_of, metrics_of
from lakeloop.spec.tasks import Classification as Section
from lakeloop.tasks.classification import Classification, Label

LABELS = ("business", "sports", "tech")
TASK = Classification(Section(kind="classification", text="text", label="label", labels=LABELS))


def outcomes(actual: list[str], predicted: list[str], sure: float = 0.8) -> Outcomes:
    rest = (1 - sure) / (len(LABELS) - 1)
    answers = [
        Label(label=answer, score=sure, scores={label: sure if label == answer else rest for label in LABELS})
        for answer in predicted
    ]
    return TASK.outcomes(answers, actual)


def score(name: str, actual: list[str], predicted: list[str]) -> float:
    return metric_of("classification", name).compute(outcomes(actual, predicted))


def confusion(found: Outcomes) -> list[list[int]]:
    grid = next(grid for grid in TASK.tables(found) if grid.kind == "confusion")
    return [[int(str(count)) for count in row[1:]] for row in grid.rows]


def test_scores_of_a_hand_worked_example() -> None:
    actual, predicted = ["business", "business", "sports", "tech"], ["business", "sports", "sports", "tech"]
    assert score("accuracy", actual, predicted) == 0.75
    assert score("macro_f1", actual, predicted) == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert score("log_loss", actual, predicted) == pytest.approx(-(3 * math.log(0.8) + math.log(0.1)) / 4)
    assert confusion(outcomes(actual, predicted)) == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    rows = {row[0]: row[1:] for row in TASK.tables(outcomes(actual, predicted))[0].rows}
    assert (rows["business"][0], rows["business"][3], *rows["business"][6:]) == (
        1.0, 0.5, pytest.approx(2 / 3), 2, 1,
    )  # fmt: skip


def test_a_class_that_never_occurs_does_not_lower_macro_f1() -> None:
    assert score("macro_f1", ["business", "sports"], ["business", "sports"]) == 1.0


def test_a_class_that_is_answered_but_never_right_does() -> None:
    assert score("macro_f1", ["business", "sports"], ["tech", "sports"]) == pytest.approx(1 / 3)


def test_an_answer_outside_the_classes_is_wrong_and_stays_visible() -> None:
    answers = [
        Label(label="gadgets", score=1.0, scores={"gadgets": 1.0}),
        Label(label="sports", score=1.0, scores={"sports": 1.0}),
    ]
    found = TASK.outcomes(answers, ["tech", "sports"])
    assert [metric.compute(found) for metric in metrics_of("classification")][1] == 0.5
    assert confusion(found) == [[0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]
    assert math.isfinite(metric_of("classification", "log_loss").compute(found))


answers = st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1, max_size=30)


@settings(max_examples=25)
@given(answers)
def test_the_confusion_accounts_for_every_row(
    rows: list[tuple[str, str]],
) -> None:
    actual, predicted = (list(column) for column in zip(*rows, strict=True))
    counts = confusion(outcomes(actual, predicted))
    assert sum(map(sum, counts)) == len(rows)
    right = sum(counts[i][i] for i in range(3))
    assert right == round(score("accuracy", actual, predicted) * len(rows))
    assert [sum(row) for row in counts] == [actual.count(label) for label in LABELS]


def test_a_label_that_is_not_sure_enough_is_held_back_and_still_counts_as_the_guess_it_is() -> None:
    sure = Label(label="tech", score=0.8, scores={"sports": 0.2, "tech": 0.8})
    unsure = Label(label="tech", score=0.5, scores={"sports": 0.5, "tech": 0.5 + 1e-9})
    given = [sure.unless_unsure(0.6), unsure.unless_unsure(0.6)]
    assert given[0] is sure
    said = json.loads(given[1].model_dump_json())
    assert said == {"label": None, "score": 0.5, "scores": unsure.scores, "abstained": True}
    assert "abstained" not in json.loads(sure.model_dump_json())
    assert Label.model_validate_json(given[1].model_dump_json()) == given[1]
    assert TASK.shown(given[1]) == "unsure, perhaps tech (50.0%)"
    assert given[1].cut(1).model_dump()["scores"] == {"tech": unsure.scores["tech"]}
    assert TASK.shares(given, TASK.profile(["tech"])) == {"business": 0.0, "sports": 0.0, "tech": 1.0}
    assert TASK.numbers(given) == {"mean_score": 0.65, "abstained": 0.5}
    assert TASK.numbers([sure]) == {"mean_score": 0.8}
    assert TASK.outcomes(given, ["tech", "tech"]).answer.tolist() == [2, -1]


def test_a_label_that_no_row_has_and_no_answer_is_has_no_score_and_stands_last() -> None:
    section = Section(kind="classification", text="text", label="label", labels=("a", "b", "c", "d"))
    task = Classification(section)
    outcomes = Outcomes(np.array([0, 0, 1, 1]), np.array([0, 2, 0, 0]), np.eye(4)[[0, 2, 0, 0]])
    grid = task.tables(outcomes)[0]
    assert grid.columns[:7] == (
        "label", "precision", "precision from", "precision to", "recall", "recall from", "recall to",
    )  # fmt: skip
    rows = {row[0]: row[1:] for row in grid.rows}
    assert list(rows)[-1] == "d"
    assert rows["d"] == (None, None, None, None, None, None, None, 0, 0)
    assert rows["a"][:6] == (1 / 3, *wilson(1, 3), 0.5, *wilson(1, 2))
    assert rows["b"][:4] == (None, None, None, 0.0), "never answered: all of its rows are missed"
    assert rows["c"][0] == 0.0
    assert rows["c"][3] is None, "no row has it"
