"""The gate: which candidate, if any, becomes champion. A pure function of what was found and of the rules.

What is asked is one file a rule (`gate.rules`); what was found is `lakeloop.evaluation`'s business, what
follows from the decision is `lakeloop.stages.release.release`'s.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from pydantic import Field

from lakeloop.evidence import Evidence, ModelEvidence
from lakeloop.gate.rules.base import EXACTNESS, Requirement
from lakeloop.gate.rules.reason import in_words, shown_better
from lakeloop.gate.rules.registry import RULES
from lakeloop.measures.base import MetricSpec, shown
from lakeloop.measures.leaking import leaks_in_words
from lakeloop.records import Frozen
from lakeloop.spec.loop import LoopSpec


class Accepted(Frozen):
    """The candidate that is to become champion, with what let it in."""

    name: str
    digest: str
    """Digest of the artifact."""
    score: float
    """Score by the metric that decides."""
    rows: int
    """Number of test rows that it answered."""
    rows_digest: str
    """Content digest of these rows."""


class Decision(Frozen):
    """The outcome, with a sentence for people and the checks it rests on."""

    accepted: Accepted | None
    reason: str
    checks: tuple[Requirement, ...]
    best: str = Field(default="", exclude_if=lambda best: not best)
    """The version that stays the best of the history, where the accepted one is not shown to be better; empty
    where that is the accepted one itself."""


def best_of(candidates: Sequence[ModelEvidence], metric: MetricSpec) -> ModelEvidence:
    """The candidate with the best score; of equal ones the first, which is the cheapest.

    Raises:
        ValueError: there are no candidates.
    """
    if not candidates:
        raise ValueError("the gate needs at least one candidate")

    def better(best: ModelEvidence, other: ModelEvidence) -> ModelEvidence:
        lead = metric.advantage(other.scores[metric.name], best.scores[metric.name])
        return other if lead > EXACTNESS else best

    return functools.reduce(better, candidates)


def asked(loop: LoopSpec) -> tuple[str, ...]:
    """What the loop file asks of every candidate, a phrase each."""
    return tuple(phrase for rule in RULES for phrase in rule.asks(loop))


def decide(evidence: Evidence, loop: LoopSpec) -> Decision:
    """Accept the best candidate, or none.

    Only the best one is checked: a worse one can pass no check that it fails, and must not replace the
    champion because the best one is the champion already. The metric is the loop's, which may be another one
    than the evaluation was told: the evidence has the scores by all metrics.
    """
    metric = loop.metric
    best = best_of(evidence.candidates, metric)
    checks = tuple(check for rule in RULES for check in rule.check(best, evidence, loop))
    ranking = _ranking(best, evidence, metric)
    if failed := [check for check in checks if not check.passed]:
        why = "; ".join(f"{check.name}: {check.found}, expected {check.expected}" for check in failed)
        return Decision(accepted=None, reason=f"{ranking} is refused: {why}", checks=checks)
    score = best.scores[metric.name]
    accepted = Accepted(
        name=best.name, digest=best.digest, score=score, rows=evidence.rows, rows_digest=best.rows_digest
    )
    reason = f"{ranking} passes: {'; '.join(_against(evidence, loop))}; {evidence.rows} test rows"
    return Decision(accepted=accepted, reason=reason, checks=checks, best=_still_best(evidence, loop))


def _still_best(evidence: Evidence, loop: LoopSpec) -> str:
    """The version that the leader is not shown to be better than; empty where there is none."""
    model = evidence.best or evidence.champion
    found = evidence.comparison_with(model.name, loop.metric.name) if model else None
    if model is None or model.version is None or found is None or shown_better(found):
        return ""
    return model.version


def _ranking(best: ModelEvidence, evidence: Evidence, metric: MetricSpec) -> str:
    others = ", ".join(
        f"{model.name} {shown(model.scores[metric.name])}"
        for model in evidence.candidates
        if model is not best
    )
    return f"{best.name} with {metric.title} {shown(best.scores[metric.name])}" + (
        f" ({others})" if others else ""
    )


def _against(evidence: Evidence, loop: LoopSpec) -> list[str]:
    """What the accepted candidate was held against."""
    metric, champion = loop.metric, evidence.champion
    asked = [] if loop.least_score is None else [f"{metric.bound} {shown(loop.least_score)} asked"]
    reigning = (
        f"champion {shown(champion.scores[metric.name])}" if champion else "no champion to compare with"
    )
    tested = [
        f"beside the {evidence.model(found.other).title} {in_words(found)}"
        for found in evidence.comparisons
        if found.metric == metric.name
    ]
    untested = [f"no test rows of {', '.join(evidence.untested)}"] if evidence.untested else []
    unlearnt = [f"cannot answer {', '.join(evidence.unlearnt)}"] if evidence.unlearnt else []
    leaks = [leaks_in_words(evidence.leaks)] if evidence.leaks else []
    return [*asked, reigning, *tested, *untested, *unlearnt, *leaks]
