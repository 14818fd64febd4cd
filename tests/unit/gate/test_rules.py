"""The rules that rest on more than two scores: a reason, slices, limits, the best version, tested answers."""

from __future__ import annotations

from typing import Any

import pytest

from lakeloop.evidence import Comparison, ModelEvidence, SliceChange
from lakeloop.gate.decide import Decision, asked, decide
from lakeloop.measures.leaking import Leak
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.train import BEST, CHAMPION
from tests.support.evidence import evidence, model
from tests.support.small_loop import small_loop


def rules(**gate: Any) -> LoopSpec:
    return small_loop(gate={"min_score": 0.5, **gate})


def f1(name: str, score: float, **fields: Any) -> ModelEvidence:
    return model(name, {"macro_f1": score, "log_loss": 0.3, "latency_ms": 12.0}, **fields)


def beside(other: str, advantage: float, p_better: float, *slices: SliceChange) -> Comparison:
    return Comparison(
        candidate="finetune",
        other=other,
        metric="macro_f1",
        test="paired bootstrap",
        rows=445,
        gained=20,
        lost=10,
        advantage=advantage,
        low=advantage - 0.01,
        high=advantage + 0.01,
        p_better=p_better,
        p_worse=1 - p_better,
        slices=slices,
    )


def judged(loop: LoopSpec, candidate: ModelEvidence, *others: ModelEvidence, **fields: Any) -> Decision:
    named = {each.name: each for each in others}
    return decide(evidence(candidate, champion=named.get(CHAMPION), best=named.get(BEST), **fields), loop)


def failed(decision: Decision) -> list[str]:
    return [check.name for check in decision.checks if not check.passed]


EQUAL = (f1("finetune", 0.95), f1(CHAMPION, 0.95, version="v3"))


def test_an_equal_model_is_no_reason_to_replace_the_champion() -> None:
    decision = judged(rules(), *EQUAL, comparisons=(beside(CHAMPION, 0.0, 0.5),))
    assert failed(decision) == ["reason to replace"]
    assert "0.0000 better (90 % interval -0.0100 to +0.0100, p 0.500" in decision.reason
    assert "or trained on newer days, or a fifth smaller" in decision.reason


def test_better_by_the_test_is_a_reason() -> None:
    decision = judged(rules(), f1("finetune", 0.96), EQUAL[1], comparisons=(beside(CHAMPION, 0.01, 0.03),))
    assert decision.accepted
    assert (
        "beside the champion v3 0.0100 better (90 % interval +0.0000 to +0.0200, p 0.030" in decision.reason
    )
    assert decision.best == ""


def test_the_best_of_several_has_to_be_further_ahead_than_one_alone() -> None:
    models = f1("finetune", 0.96), f1("baseline", 0.95), f1(CHAMPION, 0.95, version="v3")

    def decision(p_better: float, candidates: int) -> Decision:
        found = beside(CHAMPION, 0.01, p_better).model_copy(update={"candidates": candidates})
        return decide(evidence(*models[:2], champion=models[2], comparisons=(found,)), rules())

    assert decision(0.03, 1).accepted
    assert decision(0.02, 2).accepted
    refused = decision(0.03, 2)
    assert failed(refused) == ["reason to replace"]
    assert "p 0.030, 0.060 for the best of 2" in refused.reason
    assert decision(0.7, 2).accepted is None


@pytest.mark.parametrize(
    ("fields", "reigning", "words"),
    [
        ({"newest_day": "2026-01-02"}, {"newest_day": "2026-01-01"}, "trained up to 2026-01-02"),
        ({"bytes": 40_000_000}, {"bytes": 80_000_000}, "40.0 MB, the champion 80.0"),
    ],
)
def test_fresher_or_smaller_and_no_worse_is_a_reason_and_leaves_the_best_version_what_it_was(
    fields: dict[str, Any], reigning: dict[str, Any], words: str
) -> None:
    models = f1("finetune", 0.945, **fields), f1(CHAMPION, 0.95, version="v3", **reigning)
    compared = {"comparisons": (beside(CHAMPION, -0.005, 0.7),)}
    decision = judged(rules(), *models, **compared)
    assert decision.accepted
    assert decision.best == "v3"
    (reason,) = [check for check in decision.checks if check.name == "reason to replace"]
    assert words in reason.found
    assert failed(judged(rules(replace="better"), *models, **compared)) == ["reason to replace"]


def test_where_the_champion_is_of_unknown_days_a_candidate_is_not_fresher() -> None:
    decision = judged(
        rules(),
        f1("finetune", 0.95, newest_day="2026-01-02"),
        EQUAL[1],
        comparisons=(beside(CHAMPION, 0, 0.5),),
    )
    assert failed(decision) == ["reason to replace"]


def test_asked_for_any_model_that_is_no_worse_replaces_it() -> None:
    assert judged(rules(replace="any"), *EQUAL, comparisons=(beside(CHAMPION, 0.0, 0.5),)).accepted


def test_small_losses_do_not_add_up_for_the_best_version_stands_beside_the_champion() -> None:
    candidate = f1("finetune", 0.935, newest_day="2026-01-03")
    reigning = f1(CHAMPION, 0.942, version="v2", newest_day="2026-01-02")
    best = f1(BEST, 0.95, version="v1", newest_day="2026-01-01")
    compared = (beside(CHAMPION, -0.007, 0.8), beside(BEST, -0.015, 0.9))
    decision = judged(rules(), candidate, reigning, best, comparisons=compared)
    assert failed(decision) == ["no regression from the best version v1"]
    assert "0.0150 worse, expected at most 0.0100 worse than the best version v1's 0.9500" in decision.reason
    assert judged(rules(), candidate, reigning, comparisons=compared[:1]).accepted


def test_who_is_better_than_the_best_version_is_the_best_from_then_on() -> None:
    models = f1("finetune", 0.97), f1(CHAMPION, 0.942, version="v2"), f1(BEST, 0.95, version="v1")
    better = judged(rules(), *models, comparisons=(beside(CHAMPION, 0.028, 0.01), beside(BEST, 0.02, 0.01)))
    assert (better.accepted is not None, better.best) == (True, "")
    unclear = judged(rules(), *models, comparisons=(beside(CHAMPION, 0.028, 0.01), beside(BEST, 0.02, 0.2)))
    assert (unclear.accepted is not None, unclear.best) == (True, "v1")


def slice_of(lost: int, chance: float) -> SliceChange:
    return SliceChange(name="answer refund", rows=300, gained=5, lost=lost, p_worse=chance)


@pytest.mark.parametrize(
    ("lost", "chance", "gate", "refused"),
    [
        (35, 0.001, {}, True),
        (35, 0.3, {}, False),  # may be chance
        (15, 0.001, {}, False),  # no chance, and little
        (35, 0.001, {"max_slice_regression": 0.2}, False),
        (35, 0.001, {"max_slice_regression": 1}, False),
    ],
)
def test_a_gain_that_a_slice_pays_for_is_refused(
    lost: int, chance: float, gate: dict[str, Any], refused: bool
) -> None:
    compared = beside(CHAMPION, 0.02, 0.001, slice_of(lost, chance))
    decision = judged(rules(**gate), f1("finetune", 0.97), EQUAL[1], comparisons=(compared,))
    assert failed(decision) == ["no slice lost to the champion v3"] * refused
    if refused:
        assert "answer refund loses 10.0 % of 300 rows (35 worse, 5 better, p 0.001)" in decision.reason


def test_further_scores_have_limits_in_their_own_direction() -> None:
    assert judged(rules(limits={"log_loss": 0.3, "latency_ms": 20}), f1("finetune", 0.9)).accepted
    decision = judged(rules(limits={"log_loss": 0.25, "megabytes": 200}), f1("finetune", 0.9))
    assert failed(decision) == ["limit of log_loss", "limit of megabytes"]
    assert "0.3000, expected log loss at most 0.2500" in decision.reason
    assert "not measured: evaluate again" in decision.reason


def test_a_limit_of_a_score_that_the_task_has_not_is_no_loop_file() -> None:
    with pytest.raises(ValueError, match="no such score"):
        rules(limits={"rmse": 3})


def test_an_answer_without_test_rows_is_named_and_refused_where_that_is_asked() -> None:
    decision = judged(rules(), f1("finetune", 0.9), untested=("tech",))
    assert decision.accepted
    assert "no test rows of tech" in decision.reason
    assert failed(judged(rules(untested="refuse"), f1("finetune", 0.9), untested=("tech",))) == [
        "tested answers"
    ]


def test_test_rows_that_were_learnt_by_heart_are_refused() -> None:
    assert judged(rules(), f1("finetune", 0.9), leaked=0).accepted
    assert failed(judged(rules(), f1("finetune", 0.9), leaked=3)) == ["no leak"]


def test_evidence_that_compared_no_rows_is_judged_by_its_scores_as_it_was() -> None:
    decision = judged(rules(), *EQUAL)
    assert decision.accepted
    assert decision.best == ""


def test_what_the_loop_file_asks_is_said_rule_by_rule() -> None:
    found = "; ".join(asked(rules(limits={"log_loss": 0.4}, untested="refuse", max_slice_regression=0.02)))
    for words in (
        "no test row among the rows of the training",
        "test rows for each answer that was learnt",
        "macro F1 at least 0.5000",
        "log loss at most 0.4000",
        "at most 0.0100 worse than the champion, and than the best version of the loop's history",
        "loses more than 2 % of its rows",
        "a reason to replace the champion: better than the champion by the test, or trained on newer days",
    ):
        assert words in found
    least = "; ".join(asked(rules(replace="any", max_slice_regression=1)))
    assert "reason" not in least
    assert "slice" not in least
    assert "each answer that was learnt" not in least


LEAK = Leak(kind="copied", column="plan", rows=7, found="7 of 7 rows are told by it alone")


def test_a_suspected_leak_is_named_and_lets_through_unless_it_is_refused() -> None:
    found = f1("finetune", 0.9)
    named = judged(rules(), found, leaks=(LEAK,))
    assert named.accepted
    assert "1 leak suspected: copied, plan: 7 of 7 rows are told by it alone" in named.reason
    assert [check.found for check in named.checks if check.name == "no leak by copied"] == [
        "plan: 7 of 7 rows are told by it alone"
    ]
    loop = small_loop(gate={"min_score": 0.5}, leaks={"refuse": ["copied"]})
    assert failed(judged(loop, found, leaks=(LEAK,))) == ["no leak by copied"]
    assert "no leak in the data set by copied" in asked(loop)
    assert judged(
        small_loop(gate={"min_score": 0.5}, leaks={"refuse": ["keys"]}), found, leaks=(LEAK,)
    ).accepted


def test_labels_that_were_not_learnt_are_named_and_refused_where_the_loop_file_asks_for_all() -> None:
    found = f1("finetune", 0.9)
    named = judged(rules(), found, unlearnt=("tech",))
    assert named.accepted
    assert "cannot answer tech" in named.reason
    loop = small_loop(gate={"min_score": 0.5}, train={"missing_answers": "refuse"})
    assert failed(judged(loop, found, unlearnt=("tech",))) == ["learnt answers"]
    assert "training rows for each answer of the task" in asked(loop)
