"""Fairness: a gap that was planted is found and named, and the gaps are those of their definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from lakeloop.evaluation.judge import Contender, Judged
from lakeloop.evaluation.probes.fairness import Fairness
from lakeloop.evaluation.slices import group
from lakeloop.spec.loop import LoopSpec
from lakeloop.tasks.classification import Label
from lakeloop.tasks.registry import task_of
from tests.support.small_loop import LABELS, small_loop
from tests.unit.evaluation.conftest import NUMBERS
from tests.unit.evaluation.probes.test_slices import SOURCE, asking
from tests.unit.evaluation.test_judge import NUMBER_TASK

ROWS = 1200
TASK = task_of(small_loop().task)


def judged(worse: str, share: float, seed: int = 0) -> tuple[Judged, pa.Table]:
    """A model that calls `share` of the tech rows of the shop `worse` sports."""
    random = np.random.default_rng(seed)
    shops, truth = random.choice(["north", "south", "east"], ROWS), random.choice(LABELS, ROWS)
    off = (shops == worse) & (truth == "tech") & (random.random(ROWS) < share)
    answers = [
        Label(label=label, score=0.9, scores=dict.fromkeys(LABELS, 0.05) | {label: 0.9})
        for label in np.where(off, "sports", truth).tolist()
    ]
    rows = pa.table({"text": ["a"] * ROWS, "label": truth, group("shop"): shops})
    description: Any = None
    outcomes = TASK.outcomes(answers, truth.tolist())
    model = Judged(Contender("a", "a" * 64, "x"), description, tuple(answers), outcomes, "", 1.0)
    return model, rows


def test_gaps_between_groups_are_those_of_their_definition_and_name_the_groups() -> None:
    model, rows = judged("north", 0.5)
    found = Fairness().look(model, rows, TASK)
    shops, truth = (np.array(rows[name].to_pylist()) for name in (group("shop"), "label"))
    answer = np.array([each.label for each in model.answers])  # type: ignore[attr-defined]

    def gap(rate: Any) -> float:
        rates = [rate(shops == shop) for shop in ("north", "south", "east")]
        return float(max(rates) - min(rates))

    right = gap(lambda of: (answer == truth)[of].mean())
    selection = max(gap(lambda of, label=label: (answer == label)[of].mean()) for label in LABELS)
    odds = max(
        max(
            gap(lambda of, label=label: (answer == label)[of & (truth == label)].mean()),
            gap(lambda of, label=label: (answer == label)[of & (truth != label)].mean()),
        )
        for label in LABELS
    )
    wanted = {"fairness_gap": right, "selection_gap": selection, "odds_gap": odds}
    assert found.scores == pytest.approx(wanted)
    for name, score in wanted.items():
        low, high = found.intervals[name]
        assert 0 < low < score < high
    (grid,) = found.tables
    assert [row[0] for row in grid.rows] == [
        "shop: gap in right answers",
        "shop: gap in answers given",
        "shop: gap in answers given where they are right, or wrong",
    ]
    assert "shop north" in str(grid.rows[0][4])
    assert str(grid.rows[2][4]).startswith("answer tech where it is right: ")
    assert grid.of_rows


def test_groups_that_are_treated_alike_have_an_interval_that_reaches_to_nearly_nothing() -> None:
    random = np.random.default_rng(5)
    reached = 0
    for seed in range(10):
        model, rows = judged("nowhere", 0.0, seed)
        wrong = random.random(ROWS) < 0.1
        answers = [
            each.model_copy(update={"label": "business"}) if off else each
            for each, off in zip(model.answers, wrong, strict=True)
        ]
        outcomes = TASK.outcomes(answers, rows["label"].to_pylist())
        again = Judged(model.contender, model.description, tuple(answers), outcomes, "", 1.0)
        reached += Fairness().look(again, rows, TASK).intervals["fairness_gap"][0] < 0.02
    assert reached >= 8


def test_of_answers_with_few_rows_in_a_group_no_rate_is_told() -> None:
    model, rows = judged("north", 0.5)
    names = np.array(rows[group("shop")].to_pylist())
    picked = np.r_[np.flatnonzero(names == "south"), np.flatnonzero(names == "north")[:21]]
    few = rows.take(picked)
    part = Judged(
        model.contender, model.description, tuple(model.answers[n] for n in picked),
        model.outcomes.take(picked), "", 1.0,
    )  # fmt: skip
    assert set(Fairness().look(part, few, TASK).scores) >= {"fairness_gap", "selection_gap"}


def test_without_groups_or_answers_to_count_nothing_is_found() -> None:
    model, rows = judged("north", 0.5)
    assert Fairness().look(model, rows.drop_columns([group("shop")]), TASK).tables == ()
    number_model: Any = None
    assert Fairness().look(number_model, NUMBERS, NUMBER_TASK).tables == ()
    assert Fairness().titles("regression") == {}


def test_a_gap_can_be_bounded_where_its_columns_are_named() -> None:
    loop: LoopSpec = asking(gate={"limits": {"odds_gap": 0.2}})
    assert loop.gate.limits == {"odds_gap": 0.2}
    with pytest.raises(ValidationError, match=r"odds_gap.*is not measured without evaluate\.slices"):
        small_loop(source=SOURCE, gate={"limits": {"odds_gap": 0.2}})
    with pytest.raises(ValidationError, match=r"is not measured without evaluate\.out_of_scope"):
        small_loop(gate={"limits": {"out_of_scope_auc": 0.8}})
