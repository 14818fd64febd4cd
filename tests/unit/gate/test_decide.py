"""The gate: what it accepts, what it says, and what holds for any scores."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lakeloop.evidence import ModelEvidence
from lakeloop.gate.decide import Decision, best_of, decide
from lakeloop.measures.registry import metric_of
from lakeloop.spec.loop import LoopSpec
from tests.support.evidence import evidence, model
from tests.support.small_loop import small_loop


def f1(name: str, score: float, **fields: str) -> ModelEvidence:
    return model(name, {"macro_f1": score, "accuracy": score}, **fields)


def loss(name: str, score: float) -> ModelEvidence:
    return model(name, {"log_loss": score})


def mae(name: str, score: float) -> ModelEvidence:
    return model(name, {"mae": score, "rmse": 2 * score})


def rules(min_score: float | None = 0.9, max_regression: float | None = 0.01, **sections: object) -> LoopSpec:
    return small_loop(gate={"min_score": min_score, "max_regression": max_regression}, **sections)


def of_numbers(**gate: float) -> LoopSpec:
    return small_loop(
        source={
            "kind": "files",
            "path": "drops/{partition}.jsonl",
            "key": "id",
            "columns": {"id": "string", "text": "string", "stars": "number"},
        },
        task={"kind": "regression", "text": "text", "value": "stars"},
        gate=gate,
    )


def judged(loop: LoopSpec, *candidates: ModelEvidence, champion: ModelEvidence | None = None) -> Decision:
    return decide(evidence(*candidates, champion=champion), loop)


def failed(decision: Decision) -> list[str]:
    return [check.name for check in decision.checks if not check.passed]


def test_the_better_candidate_is_accepted_without_a_champion() -> None:
    decision = judged(rules(), f1("baseline", 0.95), f1("finetune", 0.968))
    assert decision.accepted is not None
    assert (decision.accepted.name, decision.accepted.score) == ("finetune", 0.968)
    assert decision.accepted.digest == f1("finetune", 0.968).digest
    assert decision.reason == (
        "finetune with macro F1 0.9680 (baseline 0.9500) passes: at least 0.9000 asked;"
        " no champion to compare with; 445 test rows"
    )


def test_of_equal_candidates_the_first_which_is_the_cheapest_is_accepted() -> None:
    decision = judged(rules(), f1("words", 0.95), f1("small", 0.95), f1("large", 0.95))
    assert decision.accepted is not None
    assert decision.accepted.name == "words"


def test_below_the_minimum_is_refused_with_the_numbers() -> None:
    decision = judged(rules(), f1("baseline", 0.8912))
    assert decision.accepted is None
    assert failed(decision) == ["minimum score"]
    assert "0.8912, expected macro F1 at least 0.9000" in decision.reason


def test_worse_than_the_champion_within_the_limit_is_accepted() -> None:
    # In floating point 0.95 - 0.94 is more than 0.01.
    assert judged(rules(), f1("finetune", 0.94), champion=f1("champion", 0.95)).accepted is not None


def test_worse_than_the_champion_by_more_is_refused() -> None:
    decision = judged(rules(), f1("finetune", 0.93), champion=f1("champion", 0.95))
    assert failed(decision) == ["no regression"]
    assert "0.9300, 0.0200 worse, expected at most 0.0100 worse than the champion's 0.9500" in decision.reason


def test_the_champion_itself_is_refused_and_no_worse_one_takes_its_place() -> None:
    candidates = [f1("baseline", 0.955), f1("finetune", 0.96, digest="c" * 64)]
    decision = judged(rules(), *candidates, champion=f1("champion", 0.96, digest="c" * 64))
    assert decision.accepted is None
    assert failed(decision) == ["new model"]
    assert "is already champion" in decision.reason


def test_scores_on_other_rows_are_not_compared() -> None:
    decision = judged(rules(), f1("finetune", 0.99), champion=f1("champion", 0.95, rows_digest="0" * 64))
    assert failed(decision) == ["same rows"]


def test_a_loss_is_better_when_it_is_lower() -> None:
    loop = rules(0.5, 0.01, evaluate={"metric": "log_loss"})
    decision = judged(loop, loss("baseline", 0.4), loss("finetune", 0.2), champion=loss("champion", 0.205))
    assert decision.accepted is not None
    assert decision.accepted.name == "finetune"
    assert "at most 0.5000 asked; champion 0.2050" in decision.reason
    refused = judged(loop, loss("baseline", 0.6), champion=loss("champion", 0.2))
    assert failed(refused) == ["maximum score", "no regression"]
    assert "0.6000, expected log loss at most 0.5000" in refused.reason
    assert "0.6000, 0.4000 worse, expected at most 0.0100 worse than the champion's 0.2000" in refused.reason


def test_a_metric_without_a_usual_floor_has_none_unless_the_loop_file_says_one() -> None:
    first = judged(of_numbers(), mae("baseline", 7.0))
    assert first.accepted is not None
    assert first.checks == ()
    assert "passes: no champion to compare with" in first.reason
    assert failed(judged(of_numbers(min_score=5.0), mae("baseline", 7.0))) == ["maximum score"]


def test_how_much_worse_is_allowed_grows_with_an_error_in_the_unit_of_the_target() -> None:
    loop = of_numbers(max_regression=0.01)
    assert judged(loop, mae("finetune", 201.9), champion=mae("champion", 200.0)).accepted
    decision = judged(loop, mae("finetune", 202.1), champion=mae("champion", 200.0))
    assert failed(decision) == ["no regression"]
    assert "202.1000, 2.1000 worse, expected at most 2.0000 worse" in decision.reason
    assert not judged(loop, mae("finetune", 0.2021), champion=mae("champion", 0.2)).accepted


def test_no_candidates_is_an_error_of_the_caller() -> None:
    with pytest.raises(ValueError, match="at least one candidate"):
        best_of([], metric_of("classification"))
    with pytest.raises(ValidationError, match="candidates"):
        evidence(f1("baseline", 0.9), candidates=())


scores = st.floats(0, 1)
gates = st.builds(rules, min_score=scores, max_regression=scores)
metrics = st.sampled_from(["macro_f1", "accuracy"])


@given(
    baseline=scores, finetune=scores, champion=st.none() | scores, floor=scores, slack=scores, metric=metrics
)
def test_nothing_is_accepted_that_breaks_a_rule(
    baseline: float, finetune: float, champion: float | None, floor: float, slack: float, metric: str
) -> None:
    reigning = None if champion is None else f1("champion", champion)
    loop = rules(floor, slack, evaluate={"metric": metric})
    decision = judged(loop, f1("baseline", baseline), f1("finetune", finetune), champion=reigning)
    if decision.accepted is None:
        assert failed(decision)
        return
    assert decision.accepted.score >= floor - 1e-9
    assert decision.accepted.score >= max(baseline, finetune) - 1e-9
    if champion is not None:
        assert decision.accepted.score >= champion - slack - 1e-8


@given(score=scores, more=scores, champion=st.none() | scores, loop=gates)
def test_a_better_score_is_never_refused_where_a_worse_one_passed(
    score: float, more: float, champion: float | None, loop: LoopSpec
) -> None:
    low, high = sorted((score, more))
    reigning = None if champion is None else f1("champion", champion)
    if judged(loop, f1("finetune", low), champion=reigning).accepted:
        assert judged(loop, f1("finetune", high), champion=reigning).accepted


@given(error=st.floats(0, 1e6), less=st.floats(0, 1e6), champion=st.floats(0, 1e6))
def test_a_smaller_error_is_never_refused_where_a_larger_one_passed(
    error: float, less: float, champion: float
) -> None:
    low, high = sorted((error, less))
    loop = of_numbers(min_score=1e5)
    if judged(loop, mae("finetune", high), champion=mae("champion", champion)).accepted:
        assert judged(loop, mae("finetune", low), champion=mae("champion", champion)).accepted


@given(score=scores, champion=st.none() | scores, floor=scores, slack=scores)
def test_looser_rules_never_refuse_what_stricter_ones_passed(
    score: float, champion: float | None, floor: float, slack: float
) -> None:
    reigning = None if champion is None else f1("champion", champion)
    if judged(rules(floor, slack), f1("baseline", score), champion=reigning).accepted:
        looser = rules(floor / 2, (slack + 1) / 2)
        assert judged(looser, f1("baseline", score), champion=reigning).accepted


def test_a_decision_of_an_earlier_card_can_be_read() -> None:
    accepted = {"name": "baseline", "digest": "0" * 64, "score": 1.0, "rows": 15, "rows_digest": "2" * 64}
    check = {"name": "minimum score", "passed": True, "expected": "at least 0.5", "found": "1.0"}
    content = {"accepted": accepted, "reason": "baseline passes", "checks": [check]}
    assert Decision.model_validate(content).model_dump(mode="json") == content
