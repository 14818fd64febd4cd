"""The kinds of checks beyond presence and texts: what is bad by each, and what a day is stopped for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lakeloop.lake.tables import mart_schema
from lakeloop.quality.checkpoint import CheckResult, run_checks
from lakeloop.quality.expectations import ACCOUNT, checks_of
from lakeloop.quality.rows import BAD, give_verdicts
from lakeloop.scratch.duckdb import fill, open_duckdb
from lakeloop.spec.loop import LoopSpec
from tests.support.small_loop import small_loop

pytestmark = pytest.mark.slow

COLUMNS = {
    "id": "string", "at": "timestamp", "text": "string", "label": "string", "size": "number",
    "weight": "number", "plan": "string",
}  # fmt: skip


def loop_with(zone: str = "UTC", **checks: Any) -> LoopSpec:
    source = {"kind": "files", "path": "drops/{partition}.jsonl", "key": "id", "columns": COLUMNS}
    task = {"text": "text", "label": "label", "labels": ["sports", "tech"]}
    beside = {"numeric": ["size", "weight"], "categorical": ["plan"]}
    return small_loop(
        source={**source, "event_time": "at"},
        task={**task, **beside},
        checks=checks,
        schedule={"timezone": zone},
    )


def day_of(loop: LoopSpec, rows: Sequence[dict[str, Any]]) -> pa.Table:
    schema = mart_schema(loop)
    each = [
        dict.fromkeys(schema.names)
        | {"row_id": str(n), "text": f"text {n}", "label": "tech", "text_key": f"k{n}"}
        | {"source_file": "drop.jsonl", "source_line": n, "partition": "2026-11-16"}
        | row
        for n, row in enumerate(rows, start=1)
    ]
    return pa.Table.from_pylist(each, schema)


def judged(
    folder: Path, loop: LoopSpec, rows: Sequence[dict[str, Any]]
) -> tuple[dict[int, list[str]], dict[str, CheckResult]]:
    """Line of each bad row -> its reasons in words; and each check of the day by its name."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "audit.duckdb"
    with open_duckdb(file) as connection:
        give_verdicts(connection, day_of(loop, rows), loop)
        fill(connection, "main", ACCOUNT, pa.table({"quarantined_share": [0.0]}))
        said = "list_transform(reasons, lambda r: r.code || ' ' || r.detail)"
        bad = connection.execute(f"select source_line, {said} from {BAD} order by source_line").fetchall()
    checks = run_checks(file, checks_of(loop), name=loop.name).checks
    return dict(bad), {check.name: check for check in checks}


def at(day: int, hour: int = 12) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=UTC)


BOTH = ((1, "a"), (None, None), (1, None), (None, "a"))
KINDS: list[tuple[dict[str, Any], list[dict[str, Any]], list[int]]] = [
    (
        {"kind": "not_one_of", "column": "feature_plan", "values": ["test", "it's"]},
        [{"feature_plan": plan} for plan in ("free", "test", None, "it's")],
        [2, 4],
    ),
    (
        {"kind": "not_matches", "column": "text", "regex": r"(?i)lorem\s{1,3}ipsum|:x"},
        [{"text": text} for text in ("a text", "Lorem  Ipsum dolor", "lorem", "a :x b")],
        [2, 4],
    ),
    (
        {"kind": "json", "column": "feature_plan"},
        [{"feature_plan": plan} for plan in ('{"a": [1, null]}', "{a: 1}", None, "3", "")],
        [2, 5],
    ),
    (
        {"kind": "time_between", "column": "event_time", "min": "-1d", "max": "now"},
        [{"event_time": moment} for moment in (at(15, 23), at(16, 0), at(16, 23), at(17, 1), None)],
        [1, 4],
    ),
    (
        {"kind": "time_between", "column": "event_time", "min": "2026-11-16T00:30:00+01:00", "zone": "UTC"},
        [{"event_time": moment} for moment in (at(15, 23), at(16, 0))],
        [1],
    ),
    (
        {"kind": "unique", "column": "feature_plan"},
        [{"feature_plan": plan} for plan in ("a", "b", "a", None, None, "a")],
        [3, 6],
    ),
    (
        {"kind": "unique", "column": "feature_plan", "together_with": ["label", "feature_size"]},
        [
            {"feature_plan": plan, "label": label, "feature_size": size}
            for plan, label, size in (
                ("a", "tech", 1), ("a", "sports", 1), ("a", "tech", 1), ("a", "tech", None),
                ("a", "tech", None),
            )
        ],
        [3],
    ),
    (
        {"kind": "compare", "column": "feature_size", "relation": "less_than", "other": "feature_weight"},
        [{"feature_size": one, "feature_weight": two} for one, two in ((1, 2), (2, 2), (3, 2), (3, None))],
        [2, 3],
    ),
    (
        {"kind": "compare", "column": "feature_size", "relation": "at_most", "other": "feature_weight"},
        [{"feature_size": one, "feature_weight": two} for one, two in ((1, 2), (2, 2), (3, 2), (None, 2))],
        [3],
    ),
    (
        {"kind": "compare", "column": "feature_plan", "relation": "equal", "other": "label"},
        [{"feature_plan": plan} for plan in ("tech", "sports", None)],
        [2],
    ),
    (
        {"kind": "compare", "column": "feature_size", "relation": "both_or_none", "other": "feature_plan"},
        [{"feature_size": one, "feature_plan": two} for one, two in BOTH],
        [3, 4],
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("check", "rows", "bad"), KINDS, ids=[f"{n}-{k[0]['kind']}" for n, k in enumerate(KINDS)]
)
def test_rows_that_fail_are_set_aside_or_counted_and_the_gate_agrees(
    tmp_path: Path, check: dict[str, Any], rows: list[dict[str, Any]], bad: list[int]
) -> None:
    set_aside, checks = judged(tmp_path / "row", loop_with(rows=[check]), rows)
    assert list(set_aside) == bad
    assert all("expected" in reason for reasons in set_aside.values() for reason in reasons)
    assert [name for name, one in checks.items() if not one.success] == []
    batch = {**check, "severity": "batch", "mostly": 0.9}
    kept, checks = judged(tmp_path / "batch", loop_with(rows=[batch]), rows)
    failed = [one for one in checks.values() if not one.success]
    assert kept == {}
    assert [one.found.split(":")[0] for one in failed] == [
        f"{len(bad)} of {len(rows)} row(s) fail ({len(bad) / len(rows):.2%})"
    ]


def test_a_day_ends_where_it_does_in_the_zone_of_the_loop(tmp_path: Path) -> None:
    check = {"kind": "time_between", "column": "event_time", "min": "-24h", "max": "now"}
    rows = [{"event_time": moment} for moment in (at(16, 4), at(16, 6), at(17, 4), at(17, 6))]
    set_aside, _ = judged(tmp_path, loop_with("America/New_York", rows=[check]), rows)
    end = "the end of the day, found"
    assert set_aside == {
        1: [f"event_time_too_early expected not before -24h from {end} 2026-11-16 04:00:00+00"],
        4: [f"event_time_too_late expected not after {end} 2026-11-17 06:00:00+00"],
    }


def test_no_row_is_refused_as_a_repeat_of_one_that_is_bad(tmp_path: Path) -> None:
    checks = [{"kind": "unique", "column": "feature_plan"}, {"kind": "unique", "column": "feature_size"}]
    rows = [
        {"feature_plan": "a", "label": None},
        {"feature_plan": "a", "feature_size": 1},
        {"feature_plan": "a", "feature_size": 2},
        {"feature_plan": "b", "feature_size": 2},
        {"feature_plan": "c", "feature_size": 1, "text": "!!"},
        {"feature_plan": "d", "feature_size": 3, "text": "!!!"},
    ]
    set_aside, checks_of_day = judged(tmp_path, loop_with(rows=checks), rows)
    assert {line: [said.split()[0] for said in why] for line, why in set_aside.items()} == {
        1: ["label_missing"],
        3: ["feature_plan_repeated"],
        5: ["feature_size_repeated"],
    }
    assert all(check.success for check in checks_of_day.values())


DAY = [
    {"feature_size": size, "feature_plan": plan, "label": label}
    for size, plan, label in ((1, "a", "tech"), (2, "a", "tech"), (3, "b", "sports"), (10, None, "tech"))
]


@pytest.mark.parametrize(
    ("check", "passes", "fails", "found"),
    [
        ({"kind": "distinct", "column": "feature_plan"}, {"min": 2}, {"min": 3}, "2 different value(s)"),
        ({"kind": "distinct_share", "column": "label"}, {"max": 0.5}, {"min": 0.6}, "0.5"),
        ({"kind": "mean", "column": "feature_size"}, {"min": 4, "max": 4}, {"max": 3.9}, "4"),
        ({"kind": "median", "column": "feature_size"}, {"min": 2.5, "max": 2.5}, {"min": 3}, "2.5"),
        ({"kind": "stddev", "column": "feature_size"}, {"min": 4, "max": 4.1}, {"max": 1}, "4.08248"),
        ({"kind": "sum", "column": "feature_size"}, {"min": 16, "max": 16}, {"max": 15}, "16"),
        ({"kind": "quantile", "column": "feature_size", "at": 0.75}, {"min": 3, "max": 3}, {"min": 4}, "3"),
        (
            {"kind": "value_share", "column": "label", "values": ["tech"]},
            {"min": 0.75, "max": 0.75}, {"max": 0.7}, "3 of 4 row(s) (75.00%)",
        ),
    ],
)  # fmt: skip
def test_a_day_is_held_to_a_number_that_is_shown(
    tmp_path: Path, check: dict[str, Any], passes: dict[str, Any], fails: dict[str, Any], found: str
) -> None:
    several = [{**check, **passes}, {**check, **fails}, {**check, **fails, "severity": "warn"}]
    _, checks = judged(tmp_path, loop_with(batch=several), DAY)
    ours = [one for name, one in checks.items() if name.startswith(check["column"])]
    assert [(one.success, one.severity) for one in ours] == [
        (True, "batch"),
        (False, "batch"),
        (False, "warn"),
    ]
    assert {one.found for one in ours} == {found}


def test_values_that_must_be_there_are_named_when_they_are_not(tmp_path: Path) -> None:
    values = ["a", "it's", "100 % :x {y}"]
    check = {"kind": "contains_all", "column": "feature_plan"}
    _, checks = judged(
        tmp_path, loop_with(batch=[{**check, "values": values}, {**check, "values": ["b", "a"]}]), DAY
    )
    one, other = checks["feature_plan_contains_all"], checks["feature_plan_contains_all_2"]
    assert (one.success, one.found) == (False, "no row has 100 % :x {y}, it's")
    assert (other.success, other.found) == (True, "each is there")


def test_a_day_has_at_most_so_many_rows_and_one_without_values_has_no_mean(tmp_path: Path) -> None:
    mean = {"kind": "mean", "column": "feature_weight", "min": 0}
    _, checks = judged(tmp_path, loop_with(max_rows=3, batch=[mean]), DAY)
    assert checks["day_max_rows"].found == "4 row(s)"
    failed = {name: one.found for name, one in checks.items() if not one.success}
    assert failed == {"day_max_rows": "4 row(s)", "feature_weight_mean": "no value"}
