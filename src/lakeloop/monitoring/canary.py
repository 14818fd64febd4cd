"""Whether a version that is tried beside the champion goes on, waits for more requests, or is taken back.

Pure: from what happened to requests, to a verdict. Four signals are looked at, each a bet (`odds`) with its
part of `FALSE_ALARMS`, which holds for the whole of a trial: of a hundred versions that are no worse than the
champion one is taken back, at most, however often one looks and however long it takes. What is no more than
tolerated is not held against a version: see `SIGNALS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from lakeloop.monitoring.odds import Bet, Bools, Floats, bet, bet_on_sizes
from lakeloop.records import Frozen

FALSE_ALARMS = 0.01
"""Chance that a version that is no worse is taken back, over all signals and steps of a trial, at most."""
LEAST = 20
"""Nothing is held against a version before it, and the champion, had so many requests of a signal."""

Name = Literal["failures", "latency", "unsure", "wrong"]
Action = Literal["wait", "go_on", "end"]


MOST_SHOWN = 500
"""Of the path of the evidence, so many places at most."""


class Seen(NamedTuple):
    """What was seen of requests, in the order in which it became known."""

    our: Bools
    """[n]: it was answered, or failed to be, by the version that is tried; else by the champion."""
    number: Floats
    """[n]: what was measured; 1 and 0 where something happened or not."""

    @classmethod
    def of(cls, requests: Iterable[tuple[bool, float]] = ()) -> Seen:
        """From one pair a request."""
        pairs = list(requests)
        return cls(
            np.array([our for our, _ in pairs], dtype=np.bool_),
            np.array([number for _, number in pairs], dtype=np.float64),
        )


@dataclass(frozen=True)
class Signal:
    """One thing that is looked at."""

    title: str
    tolerated: float = 1.0
    """Odds against the champion's odds, up to which nothing is held against a version."""
    quantile: float | None = None
    """Of numbers: bad is what is beyond this quantile of the champion's; None: it happened, or not."""
    times: float = 1.0
    plus: float = 0.0
    """Of numbers: so much larger than the champion's is tolerated, whichever is more."""

    def stretched(self, numbers: Floats) -> Floats:
        """What is tolerated in the place of numbers of the champion's."""
        return np.maximum(numbers * self.times, numbers + self.plus)


SIGNALS: Mapping[Name, Signal] = {
    "failures": Signal("requests that failed"),
    "latency": Signal("requests that took long", quantile=0.9, times=1.5, plus=10.0),
    "unsure": Signal("answers that it was unsure of", tolerated=2.0),
    "wrong": Signal("answers that feedback calls wrong", tolerated=1.2),
}
"""`latency`: longer than nine of ten of the champion's, each taken half as long again or 10 ms longer.
`unsure`: by the probability of its answer, measured by each version's own on the test rows; twice as often as
the champion, as odds, is tolerated: models are not equally sure."""
MEASURED = Signal("answers that feedback calls far off", quantile=0.75, times=1.2)
"""In the place of `wrong` where answers are numbers, more or less wrong."""


class SignalFound(Frozen):
    """What a signal says so far."""

    name: Name
    title: str
    ours: int
    """Requests of the version that is tried."""
    theirs: int
    """Requests of the champion."""
    bad_ours: int
    bad_theirs: int
    evidence: float
    """The highest that the capital of the bet against the version was; 1 at the beginning."""
    enough: float
    """Where there is so much, the version is taken back."""

    @property
    def counts(self) -> bool:
        """There are requests enough to hold something against a version."""
        return min(self.ours, self.theirs) >= LEAST

    @property
    def mostly_ours(self) -> bool:
        """Most of its requests were bad, and not of the champion's."""
        return self.bad_ours * 2 > self.ours and self.bad_theirs * 2 <= self.theirs

    @property
    def sentence(self) -> str:
        """For people."""
        if not self.ours:
            return f"{self.title}: nothing is known"
        return (
            f"{self.title}: {self.bad_ours} of {self.ours}, of the champion's {self.bad_theirs} of"
            f" {self.theirs} (evidence {self.evidence:.3g} of {self.enough:.0f})"
        )


class Verdict(Frozen):
    """What follows, and from what."""

    action: Action
    reason: str
    """A sentence."""
    ours: int
    """Requests of the version that is tried, in this step."""
    theirs: int
    """Requests of the champion, meanwhile."""
    wanted: int
    signals: tuple[SignalFound, ...]
    path: tuple[tuple[int, dict[Name, float]], ...] = ()
    """Requests of the version, every so many -> the evidence of each signal by then."""

    @property
    def metrics(self) -> dict[str, float]:
        """For the record."""
        found = {"trial/requests": float(self.ours), "trial/champion_requests": float(self.theirs)}
        for signal in self.signals:
            name = f"trial/{signal.name}"
            found[f"{name}/evidence"] = signal.evidence
            if signal.ours and signal.theirs:
                found[f"{name}/share"] = signal.bad_ours / signal.ours
                found[f"{name}/champion"] = signal.bad_theirs / signal.theirs
        return found


@dataclass(frozen=True)
class Plan:
    """What a step of a trial asks for."""

    requests: int
    hours: float
    otherwise: Literal["go_on", "end"]
    share: float = 0.0
    """Of the requests that the version answers; 0: it is asked in the shadow, and what the champion is."""
    steps: int = 1
    """Of the whole trial: each has its part of the false alarms."""

    def due(self, theirs: int) -> float:
        """Requests that a version should have had by then, beside so many of the champion."""
        return theirs * (self.share / (1 - self.share) if self.share else 1)


def verdict(
    seen: Mapping[Name, Seen],
    plan: Plan,
    hours: float,
    *,
    champion: int,
    measured: bool = False,
) -> Verdict:
    """What follows from what was seen of the requests of a step that goes on for `hours`.

    Args:
        seen: signal -> what was seen; `failures` has all requests, the others those of which there is
            something to know.
        plan: of the step.
        hours: since it began.
        champion: requests that it had since then, also those that are not compared.
        measured: feedback says how wrong an answer is, not whether.
    """
    found: list[SignalFound] = []
    bets: dict[Name, Bet] = {}
    enough = plan.steps * len(SIGNALS) / FALSE_ALARMS
    for name, usual in SIGNALS.items():
        signal = MEASURED if measured and name == "wrong" else usual
        one = bets[name] = _bet(signal, seen.get(name) or Seen.of())
        counts = {"ours": one.ours, "theirs": one.theirs}
        bad = {"bad_ours": one.bad_ours, "bad_theirs": one.bad_theirs}
        found.append(
            SignalFound(name=name, title=signal.title, **counts, **bad, evidence=one.highest, enough=enough)
        )
    all_requests = found[0]
    action, reason = _follows(found, plan, hours, champion)
    return Verdict(
        action=action,
        reason=reason,
        ours=all_requests.ours,
        theirs=champion,
        wanted=plan.requests,
        signals=tuple(found),
        path=tuple(_sampled(bets, all_requests.ours)),
    )


def _bet(signal: Signal, seen: Seen) -> Bet:
    if signal.quantile is None:
        return bet(seen.our, seen.number > 0, signal.tolerated)
    return bet_on_sizes(
        seen.our,
        seen.number,
        quantile=signal.quantile,
        stretched=signal.stretched,
        least=LEAST,
        tolerated=signal.tolerated,
    )


def _follows(found: Sequence[SignalFound], plan: Plan, hours: float, champion: int) -> tuple[Action, str]:
    """The action and why."""
    against = [each for each in found if each.evidence >= each.enough]
    if told := [each.sentence for each in against if each.counts]:
        return "end", "; ".join(told)
    ours, theirs = found[0].ours, found[0].theirs
    if ours >= plan.requests and theirs >= LEAST:
        known = "; ".join(each.sentence for each in found if each.counts)
        return "go_on", f"nothing speaks against it in {ours} requests: {known}"
    missing = f"{ours} of {plan.requests} requests"
    if ours >= plan.requests:
        missing += f", and {theirs} of the champion, of at least {LEAST}"
    if hours < plan.hours:
        return "wait", missing
    missing = f"after {plan.hours:g} h there are {missing}"
    failures = found[0]
    if not ours and plan.due(champion) >= LEAST:
        return (
            "end",
            f"{missing}, of the champion {champion}: the model server does not ask it, its log says why",
        )
    if against or failures.mostly_ours:
        return "end", f"{missing}; {'; '.join(each.sentence for each in against or [failures])}"
    what = {"go_on": "it goes on all the same", "end": "the trial ends"}[plan.otherwise]
    known = "so nothing is known of it" if not ours else "too few to tell whether it is worse"
    return plan.otherwise, f"{missing}, {known}; by `otherwise: {plan.otherwise}` of the loop file {what}"


def _sampled(bets: Mapping[Name, Bet], ours: int) -> Iterator[tuple[int, dict[Name, float]]]:
    """The evidence of each signal after every so many of its requests."""
    every = LEAST * max(1, -(-ours // (LEAST * MOST_SHOWN)))
    counts = np.arange(every, ours + 1, every, dtype=np.int64)
    paths = {name: one.evidence_at(counts).tolist() for name, one in bets.items()}
    for place, count in enumerate(counts.tolist()):
        yield count, {name: path[place] for name, path in paths.items()}
