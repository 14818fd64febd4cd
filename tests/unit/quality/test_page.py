"""The page of a day with long lists: what failed comes first, the rest is folded or capped, by number."""

from __future__ import annotations

import re

from lakeloop.quality.checkpoint import Audit, CheckResult
from lakeloop.quality.history import Compared
from lakeloop.quality.page import SHOWN_VALUES, DayReport
from lakeloop.quality.quarantine import Row
from lakeloop.quality.spark import spark

ANSWERS = [f"answer {number}" for number in range(150)]


def page(*checks: CheckResult) -> str:
    account = {"lines_read": 5, "good": 5, "quarantined": 0, "duplicates": 0}
    return DayReport("small", "2026-11-16", "run#1", Audit(checks, {}), account, (), ()).html()


def share(of: str, value: float, *, new: bool = False) -> Compared:
    return Compared(of, value, 0.0, 0.1, 0.05, (0.04, None, 0.06), "share", new=new)


def test_failures_come_first_and_what_passed_is_folded_when_it_is_much() -> None:
    passed = [CheckResult(f"no_{n}", True, "a value", "0 row(s) fail", severity="row") for n in range(9)]
    late = CheckResult("text_length", False, "long", "2 of 5 row(s) fail", severity="batch", mostly=0.9)
    warns = CheckResult("size_mean", False, "at most 3", "4", severity="warn")
    html = page(*passed, late, warns)
    titles = re.findall(r'<details class="group"( open)?>\s*<summary><h3>([^<]*) <span', html)
    assert titles == [(" open", "Failed"), (" open", "Warnings"), ("", "Of its rows")]
    assert "batch, 0.9 of the rows" in html
    assert "9 of 11 checks passed, 1 warn: size_mean" in html


def test_long_lists_are_folded_and_capped_with_their_number() -> None:
    known = CheckResult("no_unknown", True, f"one of {', '.join(ANSWERS)}", "none", severity="row")
    compared = (share("<new>", 0.2, new=True), *(share(name, 0.01) for name in ANSWERS))
    shares = CheckResult("history_shares", False, "as usual", "new", severity="warn", compared=compared)
    html = page(known, shares)
    assert html.count("<svg") == SHOWN_VALUES
    assert f"and {151 - SHOWN_VALUES} more, rarer ones" in html
    assert re.search(r"<summary>one of answer 0, .* … .*answer 149</summary>", html)
    assert "&lt;new&gt;" in html
    assert "20.00%, new" in html
    assert "<script" not in html
    assert "http" not in html


def test_of_what_is_said_of_a_row_both_ends_are_shown_and_its_reason_once() -> None:
    detail = f"label_unknown: expected one of {', '.join(ANSWERS)}, found <cooking>"
    row = {"partition": "2026-11-16", "stage": "validate", "reason": "label_unknown", "detail": detail}
    row |= {"source_file": "a/b.jsonl", "source_line": 3, "raw": "{}"}
    told = Row.of({**dict.fromkeys(Row.model_fields), **row})
    account = {"lines_read": 5, "good": 4, "quarantined": 1, "duplicates": 0}
    audit = Audit((CheckResult("label_one_of", True, "", ""),), {})
    html = DayReport("small", "2026-11-16", "run#1", audit, account, (), (told,)).html()
    assert re.search(
        r"<code>label_unknown</code> <details><summary>expected .* … .*, found &lt;cooking&gt;</s", html
    )
    assert html.count("label_unknown") == 1
    assert "label_<wbr>one_<wbr>of" in html


def test_what_cannot_be_judged_yet_is_neither_passed_nor_failed() -> None:
    few = CheckResult("history_volume", True, "as usual", "not enough history: 3 of 7 days", judged=False)
    html = page(few)
    assert "not judged</td>" in html
    assert "0 of 1 checks passed, 1 not judged (not enough history: 3 of 7 days)" in html


def test_a_drawing_says_in_words_what_it_shows() -> None:
    drawn = spark(Compared("", 300.0, 500.0, 700.0, 600.0, (590.0, 610.0), "rows"))
    assert "<title>2 days before: 590 to 610; this day 300</title>" in drawn
    assert 'class="odd"' in drawn
    assert "nan" not in spark(Compared("", 0.0, 0.0, 0.0, 0.0, (0.0, 0.0), "share"))
