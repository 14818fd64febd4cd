"""What is scored and shown of answers with numbers: known values, and what holds for any answers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakeloop.errors import DataError
from lakeloop.measures.registry import metric_of
from lakeloop.spec.tasks import Regression as Section
from lakeloop.tasks.regression import Regression, Value

TASK = Regression(Section(kind="regression", text="text", value="stars", minimum=1, maximum=5))
NUMBERS = st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=2, max_size=40)


def answers(*values: float) -> list[Value]:
    return [Value(value=value) for value in values]


@pytest.mark.parametrize(
    ("name", "expected"), [("mae", 0.5), ("rmse", 0.5**0.5), ("r2", 0.6), ("spearman", 0.9486833)]
)
def test_scores_of_a_hand_worked_example(name: str, expected: float) -> None:
    found = TASK.outcomes(answers(1, 3, 3, 5), [1, 2, 3, 4])
    assert metric_of("regression", name).compute(found) == pytest.approx(expected)


def test_the_answer_is_in_the_unit_of_the_target_and_within_its_limits() -> None:
    contract = TASK.contract(TASK.profile([1.0, 3.0, 5.0]))
    assert (contract.width, contract.offset) == (1, 3.0)
    outputs = np.array([[-9.0], [0.0], [0.5], [9.0]], dtype=np.float32)
    values = [answer.model_dump()["value"] for answer in TASK.decode(contract, outputs)]
    assert values == pytest.approx([1.0, 3.0, 3.0 + contract.scale / 2, 5.0])


def test_targets_of_one_value_do_not_divide_by_nothing() -> None:
    assert TASK.contract(TASK.profile([2.0, 2.0])).scale == 1.0
    with pytest.raises(DataError, match="the training rows have one value"):
        TASK.require_learnable({"train": [2.0, 2.0]}, "stars")


def test_values_outside_of_the_limits_are_named_with_their_days() -> None:
    rows = pa.table({"target": [1.0, 7.0, 0.0], "partition": ["2026-01-01", "2026-01-03", "2026-01-02"]})
    with pytest.raises(DataError) as caught:
        TASK.require_known(rows, "stars")
    assert "2 day(s), 2026-01-02..2026-01-03" in str(caught.value)
    assert "2 rows from 0 to 7" in str(caught.value)


def test_residuals_are_told_slice_by_slice_and_say_which_way() -> None:
    truth = [float(n) for n in range(20)]
    found = TASK.outcomes(answers(*(n + (1 if n < 10 else -2) for n in truth)), truth)
    scatter, slices = TASK.tables(found)
    assert len(scatter.rows) == 20
    assert slices.rows[0] == (0.0, 1.0, 2, 1.0, 1.0)
    assert slices.rows[-1] == (18.0, 19.0, 2, -2.0, 2.0)


@settings(max_examples=50)
@given(NUMBERS, NUMBERS)
def test_shares_add_up_and_have_the_names_of_the_profile(trained: list[float], asked: list[float]) -> None:
    profile = TASK.profile(trained)
    shares = TASK.shares(answers(*asked), profile)
    assert list(shares) == list(profile.shares)
    if len(set(trained)) > 1:
        assert sum(shares.values()) == pytest.approx(1)
        assert sum(profile.shares.values()) == pytest.approx(1)


def test_close_intervals_have_names_of_their_own() -> None:
    values = [100.0 + n / 100_000 for n in range(11)]
    shares = TASK.profile(values).shares
    assert len(shares) == 10
    assert next(iter(shares)) == "100 to 100.00001"
    assert sum(shares.values()) == pytest.approx(1)
    assert next(iter(TASK.profile([float(n) for n in range(11)]).shares)) == "0 to 1", "no more than it takes"
