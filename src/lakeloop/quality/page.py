"""The page about a day's checks: one HTML file that needs nothing from the net, and the same as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from markupsafe import Markup

from lakeloop.durable import write_atomically
from lakeloop.plural import counted, ends
from lakeloop.quality.alike import Conflicts
from lakeloop.quality.checkpoint import Audit, CheckResult
from lakeloop.quality.quarantine import Row, SetAside
from lakeloop.quality.spark import spark

_NUMBERS = {
    "lines_read": ("line read", "lines read"),
    "good": ("row to publish", "rows to publish"),
    "quarantined": ("quarantined, by any stage", "quarantined, by any stage"),
    "duplicates": ("duplicate", "duplicates"),
    "waiting": ("row that waits for its label", "rows that wait for their labels"),
}


SHOWN_VALUES = 40
"""Values of one comparison that the page lists, the unusual ones first; `result.json` has all."""
_LONG = 120
"""Characters of what is expected or found that are shown unfolded."""
_MANY = 8
"""Checks of a group that has passed from which it is folded."""


class Group(NamedTuple):
    """Checks that are read together."""

    title: str
    checks: Sequence[CheckResult]
    open: bool


def _groups(audit: Audit) -> list[Group]:
    """What failed, what warns, then what passed, by what it looks at; groups without a check are left out."""
    passed = [check for check in audit.checks if check.success]
    beside = [check for check in passed if check.compared or not check.judged]
    rows = [check for check in passed if check.severity == "row" or check.mostly is not None]
    day = [check for check in passed if check not in rows and check not in beside]
    groups = (
        ("Failed", audit.failed),
        ("Warnings", audit.warned),
        ("Of the day", day),
        ("Beside the days before", beside),
        ("Of its rows", rows),
    )
    return [
        Group(title, checks, len(checks) <= _MANY or title in ("Failed", "Warnings"))
        for title, checks in groups
        if checks
    ]


def severity(check: CheckResult) -> str:
    """Severity and share of a check, in words."""
    share = f", {check.mostly:.5g} of the rows" if check.mostly is not None else ""
    return f"{check.severity}{share}"


def breakable(name: str) -> Markup:
    """A name that is broken into lines, where it is, behind an underscore."""
    return Markup("_<wbr>").join(name.split("_"))


@dataclass(frozen=True)
class DayReport:
    """What the checks of one day found, as the page shows it."""

    loop: str
    partition: str
    attempt: str
    audit: Audit
    account: Mapping[str, int]
    """Lines read, and what became of them: the fields of `account.Account`."""
    set_aside: Sequence[SetAside]
    """What ingest has refused of the day, and what validation quarantines, by reason and column."""
    examples: Sequence[Row]
    """The first of these rows, those of ingest before those of validation."""
    conflicts: Conflicts = field(default_factory=Conflicts)
    """Good rows with one text and different answers."""

    def write(self, folder: Path) -> Path:
        """Write index.html and result.json into `folder`; return the path of the page."""
        write_atomically(
            folder / "result.json", json.dumps(self._plain(), indent=2, ensure_ascii=False) + "\n"
        )
        page = folder / "index.html"
        write_atomically(page, self.html())
        return page

    def html(self) -> str:
        """The page."""
        environment = jinja2.Environment(
            loader=jinja2.PackageLoader("lakeloop.quality", "."),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
        )
        environment.filters |= {"spark": spark, "severity": severity, "breakable": breakable, "ends": ends}
        return environment.get_template("page.html.j2").render(
            loop=self.loop,
            partition=self.partition,
            attempt=self.attempt,
            passed=not self.audit.failed,
            groups=_groups(self.audit),
            shown=SHOWN_VALUES,
            long=_LONG,
            words=self.audit.words,
            numbers=[
                (one if self.account[name] == 1 else many, self.account[name])
                for name, (one, many) in _NUMBERS.items()
                if name != "waiting" or self.account.get(name)
            ],
            set_aside=self.set_aside,
            examples=self.examples,
            conflicts=self.conflicts,
            counted=counted,
        )

    def _plain(self) -> dict[str, Any]:
        return {
            "loop": self.loop,
            "partition": self.partition,
            "attempt": self.attempt,
            "success": not self.audit.failed,
            "account": dict(self.account),
            "set_aside": [one.model_dump() for one in self.set_aside],
            "conflicts": asdict(self.conflicts),
            "checks": [asdict(check) for check in self.audit.checks],
            "great_expectations": self.audit.raw,
        }
