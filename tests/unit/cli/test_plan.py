"""The verb `plan`."""

from __future__ import annotations

import json
from io import StringIO

from rich.console import Console

from lakeloop.cli.plan import shown
from lakeloop.measures.leaking import Leak, LeakReport, Sighting
from lakeloop.spec.split import Split
from lakeloop.stages.training.preview import Plan, split_words

LEAK = Leak(
    kind="keys",
    column="id",
    rows=2,
    found="2 of 9 test rows",
    examples=(Sighting(row="r1", partition="2026-11-16", place="a.csv:3", said="id r1"),),
)
PLAN = Plan(
    loop="small",
    partition="2026-11-17",
    due=True,
    decision="first training",
    split=split_words(Split()),
    rows={"train": 70, "validation": 10, "test": 20},
    left_out=3,
    days={"2026-11-16": {"train": 70, "validation": 10, "test": 20}},
    answers={"a": {"train": 70, "validation": 10, "test": 20}, "b": {"train": 0, "validation": 0, "test": 0}},
    missing="no training row of b: models cannot answer it",
    leaks=LeakReport(leaks=(LEAK,), not_looked={"copied": "the model reads the text alone"}),
)


def printed(plan: Plan) -> str:
    console = Console(file=StringIO(), width=120)
    console.print(*shown(plan), sep="\n")
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_it_shows_both_sides_by_day_and_answer_and_what_is_suspicious() -> None:
    page = printed(PLAN)
    assert "train: first training" in page
    assert "split by hash: 20% test, 10% validation; 3 row(s) left out" in page
    assert "2026-11-16" in page
    assert "no training row of b" in page
    assert "keys id: 2 of 9 test rows" in page
    assert "r1 (2026-11-16, a.csv:3): id r1" in page
    assert "copied is not looked for: the model reads the text alone" in page


def test_of_clean_rows_it_says_that_nothing_is_suspected_and_of_none_only_the_decision() -> None:
    assert "leaks: none suspected" in printed(PLAN.model_copy(update={"leaks": LeakReport()}))
    nothing = PLAN.model_copy(update={"rows": {}, "due": False})
    assert printed(nothing).strip() == "do not train: first training"


def test_other_programs_read_it_as_json() -> None:
    assert Plan.model_validate_json(PLAN.model_dump_json()) == PLAN
    assert json.loads(PLAN.model_dump_json())["leaks"]["leaks"][0]["kind"] == "keys"
