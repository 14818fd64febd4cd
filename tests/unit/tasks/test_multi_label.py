"""What is scored and shown of answers with several labels."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from lakeloop.errors import DataError
from lakeloop.measures.base import Outcomes
from lakeloop.measures.registry import metric_of
from lakeloop.spec.tasks import MultiLabel as Section
from lakeloop.tasks.multi_label import Labels, MultiLabel

LABELS = ("sports", "tech", "uk")
SECTION = Section(kind="multi_label", text="text", label="tags", labels=LABELS, separator=";")
TASK = MultiLabel(SECTION)
CONTRACT = TASK.contract(TASK.profile(["sports", "tech;uk", None]))


def outcomes(truth: list[str | None], answers: list[list[str]]) -> Outcomes:
    found = [
        Labels(labels=answer, scores={label: float(label in answer) for label in LABELS})
        for answer in answers
    ]
    return TASK.outcomes(found, truth)


def score(name: str, found: Outcomes) -> float:
    return metric_of("multi_label", name).compute(found)


def test_scores_of_a_hand_worked_example() -> None:
    found = outcomes(["sports; tech", "uk", None], [["sports"], ["uk", "tech"], []])
    assert score("micro_f1", found) == pytest.approx(2 * 2 / (3 + 3))
    assert score("macro_f1", found) == pytest.approx((1 + 0 + 1) / 3)
    assert score("exact_match", found) == pytest.approx(1 / 3)
    assert score("hamming_loss", found) == pytest.approx(2 / 9)
    rows = {row[0]: row[1:] for row in TASK.tables(found)[0].rows}
    assert (rows["tech"][0], rows["tech"][3], *rows["tech"][6:]) == (0.0, 0.0, 0.0, 1, 1)


def test_nothing_to_find_and_nothing_answered_is_right() -> None:
    found = outcomes([None, ""], [[], []])
    assert (score("micro_f1", found), score("macro_f1", found), score("exact_match", found)) == (1, 1, 1)


def test_every_label_above_the_threshold_is_answered_the_surest_first() -> None:
    several, none = TASK.decode(CONTRACT, np.array([[0.5, 3.0, -3.0], [-1.0, -2.0, -3.0]]))
    assert isinstance(several, Labels)
    assert isinstance(none, Labels)
    assert several.labels == ["tech", "sports"]
    assert none.labels == []
    assert several.scores["tech"] == pytest.approx(1 / (1 + np.exp(-3.0)))
    assert TASK.shown(none) == "none"
    assert TASK.shown(several).startswith("tech (95.3%), sports (62.2%)")


def test_the_threshold_is_that_of_the_loop_file() -> None:
    strict = MultiLabel(SECTION.model_copy(update={"threshold": 0.9}))
    (answer,) = strict.decode(strict.contract(strict.profile([])), np.array([[0.5, 3.0, -3.0]]))
    assert isinstance(answer, Labels)
    assert answer.labels == ["tech"]


def test_the_worst_answers_have_the_most_wrong_labels() -> None:
    answers = [Labels(labels=["uk"], scores={}), Labels(labels=["sports"], scores={})]
    assert TASK.errors(answers, ["sports;tech", "sports"]).tolist() == [3, 0]


def test_published_rows_with_another_label_are_named_with_their_days() -> None:
    rows = pa.table(
        {"label": ["sports;golf", None, "golf"], "partition": ["2026-11-16", "2026-11-16", "2026-11-18"]}
    )
    with pytest.raises(DataError, match="labels that the task does not have") as raised:
        TASK.require_known(rows, "news")
    assert raised.value.found == "golf in 2 rows"
    assert "2 day(s), 2026-11-16..2026-11-18" in str(raised.value)


def test_rows_without_any_label_teach_nothing() -> None:
    with pytest.raises(DataError, match="no training row has a label"):
        TASK.require_learnable({"train": [None, ""]}, "data set")


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"labels": ["a", "a"]}, "is there more than once"),
        ({"labels": ["a;b", "c"]}, "no row can have it"),
        ({"labels": ["a  b", "c"]}, "no row has this label after clean.normalise"),
    ],
)
def test_labels_that_no_row_can_have_are_refused(changes: dict[str, object], wrong: str) -> None:
    section = SECTION.model_validate({**SECTION.model_dump(), **changes})
    from lakeloop.spec.checks import Checks

    broken = list(section.broken_rules(Checks(), {}, normalise=True))
    assert [each.message for each in broken] == [wrong]


def test_a_single_label_is_no_choice() -> None:
    with pytest.raises(ValidationError):
        Section(kind="multi_label", text="text", label="tags", labels=("a",))
