"""False alarms and faults found when days are compared with the days before them.

    python -m benchmarks.alarms [--days 1000] [--loops 10] [--seed 17]

Days are drawn, not stored: of each loop a mean number of rows (50 to 5,000, the same share of loops at each
order), a weekly pattern (the weekend has a third), days that vary by 10 % beyond chance and shares that vary
from day to day (overdispersion 0.002, and other ones at the weekend in half of the loops), 6 answers and 60
of a second column, 5 columns without a value in 0 to 30 % of rows, event times over the whole day. Each quiet
day is compared with the 28 before it, as `validate` does; any alarm counts. Then each of some days is spoiled
in one way, and compared again.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
from numpy.random import Generator
from rich.console import Console
from rich.table import Table

from benchmarks.sides import machine
from lakeloop.quality.history import compare
from lakeloop.quality.profile import Profile
from lakeloop.spec.history import History

ANSWERS, WORDS, NULLS = 6, 60, (0.0, 0.001, 0.01, 0.05, 0.3)
VARIES, OVERDISPERSED = 0.1, 0.002
FIRST = date(2024, 1, 1)
_EVERY = 20
"""So many quiet days come between two that are spoiled."""


@dataclass(frozen=True)
class Loop:
    """What the days of one loop are drawn by."""

    rows: float
    answers: np.ndarray
    words: np.ndarray
    weekly: bool

    @classmethod
    def drawn(cls, by: Generator, rows: float, weekly: bool) -> Loop:
        words = 1.0 / np.arange(1, WORDS + 1)
        return cls(rows, by.dirichlet(np.full(ANSWERS, 3.0)), words / words.sum(), weekly)

    def day(self, by: Generator, day: date) -> Profile:
        weekend = day.weekday() >= 5
        mean = self.rows * (1 / 3 if weekend else 1.0) * np.exp(by.normal(0.0, VARIES))
        rows = max(int(by.poisson(mean)), 1)
        tilt = np.linspace(0.5, 1.5, ANSWERS) if self.weekly and weekend else np.ones(ANSWERS)
        answers = self.answers * tilt / (self.answers * tilt).sum()
        nulls = {f"c{n}": _count(by, rows, share) for n, share in enumerate(NULLS)}
        values = {"answer": _counts(by, rows, answers), "word": _counts(by, rows, self.words)}
        age = 24.0 * float(by.beta(1.0, rows))
        bad = _count(by, rows, 0.02)
        distinct = {name: len(each) for name, each in values.items()}
        return Profile(rows, rows + bad, bad, {"answer": 0, "word": 0, **nulls}, values, distinct, age)


def _count(by: Generator, rows: int, share: float) -> int:
    if not share:
        return 0
    precision = 1.0 / OVERDISPERSED - 1.0
    return int(by.binomial(rows, by.beta(share * precision, (1.0 - share) * precision)))


def _counts(by: Generator, rows: int, shares: np.ndarray) -> dict[str, int]:
    drawn = by.multinomial(rows, by.dirichlet(shares * (1.0 / OVERDISPERSED - 1.0)))
    return {f"v{number}": int(count) for number, count in enumerate(drawn) if count}


def halved(day: Profile) -> Profile:
    """Half of the rows did not come; shares stay."""
    half = {column: {v: n // 2 for v, n in each.items() if n > 1} for column, each in day.values.items()}
    rows = sum(half["answer"].values())
    nulls = {name: min(count // 2, rows) for name, count in day.nulls.items()}
    return replace(
        day,
        rows=max(rows, 1),
        lines=day.lines // 2,
        quarantined=day.quarantined // 2,
        nulls=nulls,
        values=half,
    )


def half_null(day: Profile) -> Profile:
    """A column that lacks a value in 1 % of rows lacks it in half of them."""
    return replace(day, nulls={**day.nulls, "c2": day.rows // 2})


def gone(day: Profile) -> Profile:
    """The most frequent answer comes no more; the others take its place."""
    answers = dict(day.values["answer"])
    name = max(answers, key=lambda one: answers[one])
    count = answers.pop(name)
    other = max(answers, key=lambda one: answers[one])
    answers[other] += count
    return replace(day, values={**day.values, "answer": answers})


def new(day: Profile) -> Profile:
    """Every fifth row has an answer that was never there."""
    answers = {name: count - count // 5 for name, count in day.values["answer"].items()}
    return replace(day, values={**day.values, "answer": {**answers, "new": day.rows // 5}})


def stale(day: Profile) -> Profile:
    """Nothing that happened in the second half of the day."""
    return replace(day, age_hours=(day.age_hours or 0.0) / 2 + 12.0)


FAULTS: dict[str, tuple[Callable[[Profile], Profile], str]] = {
    "rows halved": (halved, "history_volume"),
    "a column half empty": (half_null, "history_nulls_c2"),
    "the most frequent answer gone": (gone, "history_shares_answer"),
    "a new answer in 20 % of rows": (new, "history_shares_answer"),
    "nothing of the second half of the day": (stale, "history_freshness"),
}
"""What happened -> how a day is spoiled, and the check that has to say so."""


def alarms(day: date, profile: Profile, before: list[tuple[str, Profile]], rules: History) -> list[str]:
    """Names of the checks that the day fails."""
    aspects = compare(day.isoformat(), profile, before, rules)
    return [aspect.name for aspect in aspects if any(one.unusual for one in aspect.compared)]


@dataclass
class Found:
    days: int = 0
    alarmed: int = 0
    spoiled: int = 0
    seen: Counter[str] = None  # type: ignore[assignment]
    by_check: Counter[str] = None  # type: ignore[assignment]
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.seen, self.by_check = Counter(), Counter()


def watched(by: Generator, loop: Loop, days: int, rules: History) -> Found:
    """`days` quiet days of a loop, and the spoiled ones among them."""
    found, before = Found(), [(FIRST, loop.day(by, FIRST))]
    for number in range(1, days + rules.days):
        day = FIRST + timedelta(days=number)
        profile = loop.day(by, day)
        past = [(one.isoformat(), each) for one, each in before[-rules.days :]]
        if number >= rules.days:
            began = time.process_time()
            told = alarms(day, profile, past, rules)
            found.seconds += time.process_time() - began
            found.days, found.alarmed = found.days + 1, found.alarmed + bool(told)
            found.by_check.update(name.split("_", 2)[1] for name in told)
            if number % _EVERY == 0:
                found.spoiled += 1
                for name, (spoil, check) in FAULTS.items():
                    found.seen[name] += check in alarms(day, spoil(profile), past, rules)
        before.append((day, profile))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--days", type=int, default=1000, help="quiet days of each loop")
    parser.add_argument("--loops", type=int, default=5, help="loops, of 50 to 5,000 rows a day")
    parser.add_argument("--seed", type=int, default=17)
    options = parser.parse_args()
    by, rules = np.random.default_rng(options.seed), History()
    table = Table(title=f"{options.days} days of each loop, compared with the {rules.days} before")
    for column in ("rows a day", "weekly shares", "false alarms", "of them", *FAULTS, "ms a day"):
        table.add_column(column, justify="right")
    total = Found()
    for number, rows in enumerate(np.geomspace(50, 5000, options.loops)):
        found = watched(by, Loop.drawn(by, float(rows), bool(number % 2)), options.days, rules)
        total.days, total.alarmed = total.days + found.days, total.alarmed + found.alarmed
        table.add_row(
            f"{rows:,.0f}",
            "yes" if number % 2 else "no",
            f"{found.alarmed / found.days:.2%}",
            ", ".join(f"{name} {times}" for name, times in found.by_check.most_common()),
            *(f"{found.seen[name] / max(found.spoiled, 1):.0%}" for name in FAULTS),
            f"{1000 * found.seconds / found.days:.1f}",
        )
    Console(width=200).print(
        table, f"all: {total.alarmed / total.days:.2%} of {total.days:,} days;", machine()
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
