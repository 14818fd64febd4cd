"""The gate: what it accepts, what it says, and what holds for any scores."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeloop.evaluation.catalogue import MetricSpec, metric_named
from lakeloop.gate.gate import Decision, Scored, judge
from lakeloop.spec.models import Gate

F1 = metric_named("macro_f1")
LOSS = metric_named("log_loss")
RULES = Gate(min_score=0.9, max_regression=0.01)


def scored(name: str, score: float, digest: str = "", rows_digest: str = "r" * 64) -> Scored:
    return Scored.model_validate(
        {
            "name": name,
            "digest": digest or f"{name:0<64}",
            "score": score,
            "rows": 445,
            "rows_digest": rows_digest,
        }
    )


def failed(decision: Decision) -> list[str]:
    return [check.name for check in decision.checks if not check.passed]


def test_the_better_candidate_is_accepted_without_a_champion() -> None:
    decision = judge([scored("baseline", 0.95), scored("finetune", 0.968)], None, RULES, F1)
    assert decision.accepted == scored("finetune", 0.968)
    assert "finetune with macro F1 0.9680 (baseline 0.9500) passes" in decision.reason
    assert "no champion to compare with" in decision.reason


def test_of_equal_candidates_the_cheaper_baseline_is_accepted() -> None:
    decision = judge([scored("finetune", 0.95), scored("baseline", 0.95)], None, RULES, F1)
    assert decision.accepted is not None
    assert decision.accepted.name == "baseline"


def test_below_the_minimum_is_refused_with_the_numbers() -> None:
    decision = judge([scored("baseline", 0.8912)], None, RULES, F1)
    assert decision.accepted is None
    assert failed(decision) == ["minimum score"]
    assert "0.8912" in decision.reason
    assert "at least 0.9000" in decision.reason


def test_worse_than_the_champion_within_the_limit_is_accepted() -> None:
    # In floating point 0.95 - 0.94 is more than 0.01.
    assert judge([scored("finetune", 0.94)], scored("champion", 0.95), RULES, F1).accepted is not None


def test_worse_than_the_champion_by_more_is_refused() -> None:
    decision = judge([scored("finetune", 0.93)], scored("champion", 0.95), RULES, F1)
    assert failed(decision) == ["no regression"]
    assert "0.9300, 0.0200 worse" in decision.reason


def test_the_champion_itself_is_refused_and_no_worse_one_takes_its_place() -> None:
    candidates = [scored("baseline", 0.955), scored("finetune", 0.96, digest="c" * 64)]
    decision = judge(candidates, scored("champion", 0.96, digest="c" * 64), RULES, F1)
    assert decision.accepted is None
    assert failed(decision) == ["new model"]
    assert "is already champion" in decision.reason


def test_scores_on_other_rows_are_not_compared() -> None:
    decision = judge([scored("finetune", 0.99)], scored("champion", 0.95, rows_digest="0" * 64), RULES, F1)
    assert failed(decision) == ["same rows"]


def test_a_loss_is_better_when_it_is_lower() -> None:
    rules = Gate(min_score=0.5, max_regression=0.01)
    decision = judge(
        [scored("baseline", 0.4), scored("finetune", 0.2)], scored("champion", 0.205), rules, LOSS
    )
    assert decision.accepted is not None
    assert decision.accepted.name == "finetune"
    assert failed(judge([scored("baseline", 0.6)], None, rules, LOSS)) == ["minimum score"]


def test_no_candidates_is_an_error_of_the_caller() -> None:
    with pytest.raises(ValueError, match="at least one candidate"):
        judge([], None, RULES, F1)


scores = st.floats(0, 1)
metrics = st.sampled_from([F1, metric_named("accuracy")])
gates = st.builds(Gate, min_score=scores, max_regression=scores)


@given(baseline=scores, finetune=scores, champion=st.none() | scores, rules=gates, metric=metrics)
def test_nothing_is_accepted_that_breaks_a_rule(
    baseline: float, finetune: float, champion: float | None, rules: Gate, metric: MetricSpec
) -> None:
    reigning = None if champion is None else scored("champion", champion)
    decision = judge([scored("baseline", baseline), scored("finetune", finetune)], reigning, rules, metric)
    if decision.accepted is None:
        assert failed(decision)
        return
    assert decision.accepted.score >= rules.min_score - 1e-9
    assert decision.accepted.score >= max(baseline, finetune) - 1e-9
    if champion is not None:
        assert decision.accepted.score >= champion - rules.max_regression - 1e-8


@given(score=scores, more=scores, champion=st.none() | scores, rules=gates)
def test_a_better_score_is_never_refused_where_a_worse_one_passed(
    score: float, more: float, champion: float | None, rules: Gate
) -> None:
    low, high = sorted((score, more))
    reigning = None if champion is None else scored("champion", champion)
    if judge([scored("finetune", low)], reigning, rules, F1).accepted:
        assert judge([scored("finetune", high)], reigning, rules, F1).accepted


@given(score=scores, champion=st.none() | scores, rules=gates)
def test_looser_rules_never_refuse_what_stricter_ones_passed(
    score: float, champion: float | None, rules: Gate
) -> None:
    reigning = None if champion is None else scored("champion", champion)
    looser = Gate(min_score=rules.min_score / 2, max_regression=(rules.max_regression + 1) / 2)
    if judge([scored("baseline", score)], reigning, rules, F1).accepted:
        assert judge([scored("baseline", score)], reigning, looser, F1).accepted
