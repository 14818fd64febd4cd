"""Tasks that write texts: answers, what exact match compares, how long answers are."""

from __future__ import annotations

import pyarrow as pa
import pytest

from lakeloop.errors import DataError
from lakeloop.measures.registry import metric_of
from lakeloop.spec.tasks import CausalLm as Section
from lakeloop.tasks.base import Answer, Written
from lakeloop.tasks.generation import CausalLm, Generated, extracted

SECTION = Section(kind="causal_lm", text="question", answer="answer", extract=r"#### (-?[\d,]+)")
TASK = CausalLm(SECTION)


def answers(*texts: str) -> list[Answer]:
    return [Generated(text=text, tokens=3, finished=True) for text in texts]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2 + 2 = 4 #### 4", "4"),
        ("#### 3 no: #### 1,000", "1,000"),
        ("four", None),
    ],
)
def test_the_last_match_is_extracted(text: str, found: str | None) -> None:
    assert extracted(text, SECTION.extract) == found


def test_a_match_without_a_group_is_extracted_whole() -> None:
    assert extracted("so it is 12 apples", r"\d+") == "12"


def test_exact_match_looks_at_the_final_answer_and_else_at_the_whole_text() -> None:
    truths = ["2 and 2 are 4 #### 4", "#### 5", "#### 6", "no number"]
    given = answers("sure, #### 4", "5", "#### 7", "no  number")
    outcomes = TASK.outcomes(given, truths)
    assert outcomes.outputs.tolist() == [["4", "4"], ["5", None], ["6", "7"], ["no number", "no number"]]
    assert metric_of("causal_lm", "exact_match").compute(outcomes) == 0.5
    errors = TASK.errors(given, truths)
    assert (errors[0], errors[3]) == (0, 0)
    assert all(errors[1:3] > 0)


def test_what_a_network_wrote_is_an_answer() -> None:
    (answer,) = TASK.decode(TASK.contract(TASK.profile(["a"])), [Written("Paris", 2, True)])
    assert answer.model_dump() == {"text": "Paris", "tokens": 2, "finished": True}
    assert TASK.shown(answer) == "Paris"


def test_the_lengths_of_answers_are_told_as_those_of_the_training_rows() -> None:
    profile = TASK.profile(["a", "b" * 20, "c" * 20, "d" * 2000])
    assert profile.shares["up to 30 characters"] == 0.5
    assert profile.shares["longer"] == 0.25
    shares = TASK.shares(answers("x", "y"), profile)
    assert shares.keys() == profile.shares.keys()
    assert shares["up to 10 characters"] == 1
    (unfinished,) = [Generated(text="x", tokens=5, finished=False)]
    assert TASK.numbers([unfinished]) == {"characters": 1, "unfinished": 1}


def test_rows_with_one_answer_only_teach_nothing() -> None:
    rows = pa.table({"text": ["a", "b"], "answer": ["x", "x"]})
    with pytest.raises(DataError, match="all training rows have one answer"):
        TASK.require_learnable({"train": TASK.truths(rows)}, "here")


def test_the_table_of_the_report_goes_by_the_length_of_right_answers() -> None:
    (grid,) = TASK.tables(TASK.outcomes(answers("a b", "c"), ["a b", "d " * 50]))
    assert [row[0] for row in grid.rows] == ["up to 10 characters", "up to 100 characters"]
    assert grid.rows[0][1:] == (1.0, 1)
