"""The most frequent confusions: which they are, how often other models make them, and a row of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pyarrow as pa
import pytest

from lakeloop.evaluation.confused import MOST_PAIRS, Confusions, examples_of, is_large, pairs_of
from lakeloop.evaluation.judge import Contender, Judged
from lakeloop.tasks.base import Grid
from lakeloop.tasks.classification import ANOTHER, Label
from lakeloop.tasks.registry import task_of
from tests.support.evidence import model
from tests.support.small_loop import small_loop

if TYPE_CHECKING:
    from lakeloop.artifact import ArtifactDescription

LABELS = tuple(f"label {number}" for number in range(13))
LOOP = small_loop(task={"text": "text", "label": "label", "labels": LABELS})


def matrix(*rows: tuple[int, ...], names: tuple[str, ...] = ("a", "b", "c")) -> Grid:
    named = tuple((name, *row) for name, row in zip(names, rows, strict=False))
    return Grid(title="Confusion", kind="confusion", columns=("label", *names), rows=named)


def test_the_most_frequent_pair_is_first_and_of_equal_ones_the_larger_share() -> None:
    found = pairs_of(matrix((90, 3, 7), (0, 4, 3), (0, 0, 9)))
    assert [(pair.expected, pair.answered, pair.rows) for pair in found] == [
        ("a", "c", 7),
        ("b", "c", 3),
        ("a", "b", 3),
    ]
    assert found[0].share == pytest.approx(0.07)
    assert found[1].share == pytest.approx(3 / 7)


def test_an_answer_that_is_no_label_is_a_confusion_too() -> None:
    (found,) = pairs_of(matrix((5, 0, 2), names=("a", "b", ANOTHER)))
    assert (found.expected, found.answered, found.rows) == ("a", ANOTHER, 2)


def test_other_models_are_counted_by_the_pairs_of_the_leader() -> None:
    leader, other = matrix((9, 1, 0), (2, 8, 0), (0, 0, 5)), matrix((5, 0, 5), (4, 6, 0), (0, 0, 5))
    found = Confusions.of(leader, [(model("lora", {"f": 1.0}), other)], ())
    assert [(pair.expected, pair.answered, counts) for pair, counts, _ in found.lines] == [
        ("b", "a", [4]),
        ("a", "b", [0]),
    ]
    assert found.sentence == "All 2 pairs of a right answer and another that was given."


def test_of_many_pairs_the_sentence_says_how_much_is_shown() -> None:
    names = tuple(f"n{number}" for number in range(40))
    rows = [[10 if at in (number, (number + 1) % 40) else 0 for at in range(40)] for number in range(40)]
    found = Confusions.of(matrix(*map(tuple, rows), names=names), (), ())
    assert len(found.pairs) == MOST_PAIRS
    assert "The 30 most frequent of 40 pairs" in found.sentence
    assert "300 of 400 wrong answers (75 %)" in found.sentence


def judged(*answers: tuple[str, str, float]) -> tuple[Judged, pa.Table]:
    """Truth, answer and certainty of each row."""
    task = task_of(LOOP.task)
    rows = pa.table(
        {
            "row_id": [f"r{number}" for number in range(len(answers))],
            "text": [f"text {number}" for number in range(len(answers))],
            "label": [truth for truth, *_ in answers],
        }
    )
    found = tuple(
        Label(label=answer, score=sure, scores={answer: sure, truth: 1 - sure})
        for truth, answer, sure in answers
    )
    description = cast("ArtifactDescription", None)
    outcomes = task.outcomes(found, task.truths(rows))
    return Judged(Contender("finetune", "a" * 64, "m"), description, found, outcomes, "b" * 64, 1.0), rows


def test_the_example_of_a_pair_is_its_row_with_the_largest_error() -> None:
    task = task_of(LOOP.task)
    model_, rows = judged(
        ("label 0", "label 1", 0.6),
        ("label 0", "label 1", 0.9),
        ("label 2", "gone", 0.8),
        ("label 3", "label 3", 0.9),
    )
    grids = task.tables(model_.outcomes)
    found = examples_of(model_, rows, task, grids)
    assert [(each.expected, each.answered, each.row_id, each.text) for each in found] == [
        ("label 0", "label 1", "r1", "text 1"),
        ("label 2", ANOTHER, "r2", "text 2"),
    ]


def test_a_matrix_that_is_shown_needs_no_examples() -> None:
    model_, rows = judged(("label 0", "label 1", 0.6))
    small = matrix((0, 1), (0, 0), names=("label 0", "label 1"))
    assert not is_large(small)
    assert examples_of(model_, rows, task_of(LOOP.task), (small,)) == ()
