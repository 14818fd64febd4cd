"""The gate: which candidate, if any, becomes champion. A pure function of scores and rules.

It reads nothing and changes nothing: what the scores are is `lakeloop.evaluation`'s business, what follows
from the decision is `lakeloop.stages.release`'s.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Literal

from lakeloop.evaluation.catalogue import MetricSpec
from lakeloop.records import Frozen
from lakeloop.spec.models import Gate

_EXACTNESS = 1e-9
"""Scores closer than this are equal: 0.95 - 0.94 is a little more than 0.01 in floating point."""

CHEAPEST_FIRST: tuple[Literal["baseline", "finetune"], ...] = ("baseline", "finetune")


class Scored(Frozen):
    """A model and its score on the test rows."""

    name: Literal["baseline", "finetune", "champion"]
    digest: str
    """Of the artifact."""
    score: float
    rows: int
    """Test rows that it was judged on."""
    rows_digest: str
    """Of these rows: scores on different rows are not compared."""


class Check(Frozen):
    name: str
    passed: bool
    expected: str
    found: str


class Decision(Frozen):
    """The outcome, with a sentence for people and the checks it rests on."""

    accepted: Scored | None
    reason: str
    checks: tuple[Check, ...]


def best_of(candidates: Sequence[Scored], metric: MetricSpec) -> Scored:
    """The candidate with the best score; of equal ones the cheapest.

    Raises:
        ValueError: there are no candidates.
    """
    if not candidates:
        raise ValueError("the gate needs at least one candidate")

    def better(best: Scored, other: Scored) -> Scored:
        return other if metric.advantage(other.score, best.score) > _EXACTNESS else best

    return functools.reduce(better, sorted(candidates, key=lambda scored: CHEAPEST_FIRST.index(scored.name)))


def judge(candidates: Sequence[Scored], champion: Scored | None, rules: Gate, metric: MetricSpec) -> Decision:
    """Accept the best candidate, or none.

    Only the best one is checked: a worse one can pass no check that it fails, and must not replace the
    champion because the best one is the champion already. Of equal ones the baseline is best: it is cheaper.

    Raises:
        ValueError: there are no candidates.
    """
    best = best_of(candidates, metric)
    checks = _checks(best, champion, rules, metric)
    failed = [check for check in checks if not check.passed]
    ranking = _ranking(best, candidates, metric)
    if not failed:
        against = f"champion {champion.score:.4f}" if champion else "no champion to compare with"
        reason = f"{ranking} passes: at least {rules.min_score:.4f} asked; {against}"
        return Decision(accepted=best, reason=f"{reason}; {best.rows} test rows", checks=checks)
    why = "; ".join(f"{check.name}: {check.found}, expected {check.expected}" for check in failed)
    return Decision(accepted=None, reason=f"{ranking} is refused: {why}", checks=checks)


def _checks(best: Scored, champion: Scored | None, rules: Gate, metric: MetricSpec) -> tuple[Check, ...]:
    bound = "at least" if metric.higher_is_better else "at most"
    checks = [
        Check(
            name="minimum score",
            passed=metric.advantage(best.score, rules.min_score) >= -_EXACTNESS,
            expected=f"{metric.title} {bound} {rules.min_score:.4f}",
            found=f"{best.score:.4f}",
        )
    ]
    if champion is None:
        return tuple(checks)
    lead = metric.advantage(best.score, champion.score)
    return (
        Check(
            name="new model",
            passed=best.digest != champion.digest,
            expected="another model than the champion",
            found=f"artifact {best.digest[:12]}" + " is already champion" * (best.digest == champion.digest),
        ),
        Check(
            name="same rows",
            passed=best.rows_digest == champion.rows_digest,
            expected=f"the {best.rows} test rows of the candidate",
            found=f"{champion.rows} test rows, digest {champion.rows_digest[:12]}",
        ),
        *checks,
        Check(
            name="no regression",
            passed=lead >= -(rules.max_regression + _EXACTNESS),
            expected=f"at most {rules.max_regression:.4f} worse than the champion's {champion.score:.4f}",
            found=f"{best.score:.4f}, {abs(lead):.4f} {'better' if lead >= 0 else 'worse'}",
        ),
    )


def _ranking(best: Scored, candidates: Sequence[Scored], metric: MetricSpec) -> str:
    others = ", ".join(f"{scored.name} {scored.score:.4f}" for scored in candidates if scored is not best)
    return f"{best.name} with {metric.title} {best.score:.4f}" + (f" ({others})" if others else "")
