"""Which values trials get, when no more of them begin, and what is kept."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lakeloop.measures.registry import metric_of
from lakeloop.records import now
from lakeloop.search.bound import optimistic
from lakeloop.search.found import Cost, TrialFound, ranked
from lakeloop.search.study import Study
from lakeloop.settings import Settings
from lakeloop.spec.train import Train

SPACE = {"learning_rate": {"low": 1e-5, "high": 1e-1, "log": True}, "method.layers": {"low": 1, "high": 6}}


def study_of(home: Path, **search: Any) -> Study:
    train = Train.model_validate({"search": {"space": SPACE, "trials": 20, **search}})
    metric = metric_of("classification", "macro_f1")
    return Study(Settings(root=home, home=home), "small", "a search", train, metric)


def carry_out(study: Study) -> list[dict[str, Any]]:
    values = []
    for slot in study.slots:
        begun = study.begin(slot)
        assert begun is not None
        rate = float(np.log10(begun.values["learning_rate"]))
        study.complete(begun, 1.0 - abs(rate + 3) / 4, Cost())
        values.append(begun.values)
    return values


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_the_same_search_draws_the_same_values(tmp_path: Path, sampler: str) -> None:
    first, second = (carry_out(study_of(tmp_path / name, sampler=sampler)) for name in "ab")
    assert first == second
    assert all(isinstance(value["method.layers"], int) for value in first)
    assert all(1e-5 <= value["learning_rate"] <= 1e-1 for value in first)


def test_tpe_goes_where_scores_are_good(tmp_path: Path) -> None:
    rates = np.log10([values["learning_rate"] for values in carry_out(study_of(tmp_path, trials=40))])
    first, last = np.abs(rates[:10] + 3).mean(), np.abs(rates[-10:] + 3).mean()
    assert last < first


def test_what_decides_is_named_by_importance(tmp_path: Path) -> None:
    study = study_of(tmp_path)
    carry_out(study)
    share = study.importance()
    assert next(iter(share)) == "learning_rate"
    assert share["learning_rate"] > 0.8


def test_a_step_is_kept_to(tmp_path: Path) -> None:
    space = {"learning_rate": {"low": 0.1, "high": 0.45, "step": 0.1}}
    study = study_of(tmp_path, space=space, sampler="grid")
    assert sorted(values["learning_rate"] for values in carry_out(study)) == [0.1, 0.2, 0.3, 0.4]


def test_no_trial_begins_after_the_search_was_ended(tmp_path: Path) -> None:
    study = study_of(tmp_path)
    assert study.begin(0) is not None
    study.end("enough")
    assert study.begin(1) is None
    again = study_of(tmp_path)
    assert again.over() == "enough"
    assert again.begin(0) is not None, "the one that has begun is gone on with"


def test_a_score_that_is_no_number_is_a_failed_trial_and_the_slot_gets_one_more(tmp_path: Path) -> None:
    study = study_of(tmp_path)
    for _ in range(2):
        begun = study.begin(0)
        assert begun is not None
        study.complete(begun, float("nan"), Cost())
    assert study.begin(0) is None
    assert [trial.state for trial in study.trials()] == ["failed", "failed"]


def trial(number: int, score: float, rate: float) -> TrialFound:
    return TrialFound(number=number, state="complete", values={"learning_rate": rate}, score=score)


def test_of_equal_scores_the_earliest_is_the_best_and_of_equal_values_there_is_one() -> None:
    trials = [trial(0, 0.5, 0.1), trial(1, 0.9, 0.2), trial(2, 0.9, 0.3), trial(3, 0.9, 0.2)]
    assert [t.number for t in ranked(trials, higher_is_better=True)] == [1, 2, 0]
    assert [t.number for t in ranked(trials, higher_is_better=False)] == [0, 1, 2]


def test_the_bound_holds_for_nearly_all_searches_and_is_not_far() -> None:
    random = np.random.default_rng(3)
    held, far = 0, []
    for _ in range(300):
        scores = random.normal(0.8, 0.02, size=40).tolist()
        bound = optimistic(scores[:10], 30)
        assert bound is not None
        held += max(scores) <= bound
        far.append(bound - 0.8)
    assert held > 285
    assert float(np.median(far)) < 0.15


def test_less_is_better_is_the_same_upside_down() -> None:
    scores = [0.1, 0.2, 0.15, 0.3, 0.12, 0.22]
    up, down = optimistic(scores, 9), optimistic([-s for s in scores], 9, higher_is_better=False)
    assert up is not None
    assert down == pytest.approx(-up)
    assert optimistic(scores[:4], 9) is None
    assert optimistic(scores, 0) == 0.3


def test_minutes_that_are_over_end_a_search_that_has_found_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = study_of(tmp_path, minutes=5)
    begun = study.begin(0)
    assert begun is not None
    monkeypatch.setattr("lakeloop.search.study.now", lambda: now() + timedelta(minutes=6))
    assert study.over() == ""
    study.complete(begun, 0.5, Cost())
    assert study.over() == "its 5 minutes are over"
    assert study.begin(1) is None


def test_a_search_that_was_forgotten_begins_anew(tmp_path: Path) -> None:
    study = study_of(tmp_path)
    carry_out(study)
    study.forget()
    assert study_of(tmp_path).trials() == ()
