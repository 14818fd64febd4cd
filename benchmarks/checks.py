"""CPU seconds and peak memory of `transform` and `validate`, beside a DuckDB script of the same by hand.

    python -m benchmarks.checks [--rows 10 1000000] [--repeat 1]

A day of generated texts (`stories`) is ingested, which is not measured. Then its rows are built, judged by 12
checks, freed of near-duplicates and published: on one side by the two stages, each in a process of its own,
as Airflow runs them; on the other by `by_hand.sql` in one process, which writes plain Parquet files, keeps no
ledger, no lake and no pages, and is not told when a row was lost. All have to publish the same rows, refuse
the same rows for the same reasons, and count the same. The script runs twice: with the patterns as the rules
for texts read, and with the short cuts that we take (`_SHORT`; its DuckDB file is not packed). Ratios are
given with and without imports; what the stages cost on ten rows is what dbt and Great Expectations take to
begin.
"""

# ruff: noqa: PLC0415  (each side imports what it needs itself: imports are measured too)

from __future__ import annotations

import argparse
import importlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from benchmarks.sides import Cost, cpu_seconds, in_a_process, machine, median, report_cost
from benchmarks.stories import DAY, write_drop

if TYPE_CHECKING:
    from lakeloop.records import StageRecord
    from lakeloop.settings import Settings
    from lakeloop.stages.frame.session import StageContext

ROOT = Path(__file__).resolve().parents[1]
LOOP = """\
name: bench
source:
  kind: files
  path: drops/{partition}.jsonl
  key: id
  event_time: at
  columns: {id: string, at: timestamp, text: string, label: string, score: number}
task: {kind: classification, text: text, label: label, labels: [business, sports, tech]}
checks:
  rows:
    - {kind: not_null, column: event_time}
    - {kind: length, column: text, min: 0, max: 2000}
    - {kind: matches, column: row_id, regex: "^row-[0-9]{9}$"}
    - {kind: matches, column: text, regex: "[A-Za-z]"}
"""
DAY_BEFORE = "2026-11-15"
INGESTED = "lake-ingested"
STAGES = ("transform", "validate")
BY_HAND = ("by hand", "by hand, short cuts")
_PUBLISHED = ["row_id", "text", "label", "text_key", "event_time", "source_file", "source_line", "partition"]
_REFUSED = ["reason", "row_key", "source_file", "source_line"]
_IMPORTS = {
    "transform": ("dbt.cli.main", "dbt.adapters.duckdb", "lakeloop.transform.dbt"),
    "validate": (
        "great_expectations",
        "great_expectations.expectations.core",
        "lakeloop.quality.adapter",
        "lakeloop.quality.page",
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, nargs="+", default=[10, 1_000_000])
    parser.add_argument("--repeat", type=int, default=1, help="the median of so many runs of each side")
    parser.add_argument("--side", choices=["ingest", *STAGES, *BY_HAND], help=argparse.SUPPRESS)
    parser.add_argument("--project", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        SIDES[options.side](options.project)
        return 0
    table = Table(title="A day's rows built, judged by 12 checks and published")
    for column in ("rows", "side", "CPU s", "of it imports", "ours to it", "without imports", "peak MB"):
        table.add_column(column, justify="left" if column == "side" else "right")
    for rows in options.rows:
        for line in measured(rows, options.repeat):
            table.add_row(*line)
        table.add_section()
    Console().print(table, machine())
    return 0


def measured(rows: int, repeat: int) -> list[list[str]]:
    """The lines of the table for a day of `rows`."""
    costs: dict[str, list[Cost]] = {name: [] for name in (*STAGES, *BY_HAND)}
    with tempfile.TemporaryDirectory(prefix="lakeloop-bench-") as name:
        project = Path(name)
        prepare(project, rows)
        for _ in range(repeat):
            shutil.rmtree(project / "lake", ignore_errors=True)
            shutil.copytree(project / INGESTED, project / "lake")
            for side, found in costs.items():
                found.append(_run(side, project))
                if side in BY_HAND:
                    require_the_same(project, costs["validate"][-1].found, found[-1].found)
    return _lines(rows, {side: median(found) for side, found in costs.items()})


def _lines(rows: int, costs: Mapping[str, Cost]) -> list[list[str]]:
    stages = [costs[stage] for stage in STAGES]
    both = Cost(
        sum(cost.cpu_seconds for cost in stages),
        max(cost.peak_mb for cost in stages),
        sum(cost.import_seconds for cost in stages),
    )
    lines = []
    for side, cost in {**costs, "both stages": both}.items():
        ratios = ["", ""]
        if side in BY_HAND:
            ratios = [
                f"{ours / by_hand:.2f}"
                for ours, by_hand in (
                    (both.cpu_seconds, cost.cpu_seconds),
                    (both.work_seconds, cost.work_seconds),
                )
            ]
        seconds = [f"{cost.cpu_seconds:.1f}", f"{cost.import_seconds:.1f}"]
        lines.append([f"{rows:,}", side, *seconds, *ratios, f"{cost.peak_mb:.0f}"])
    return lines


def _run(side: str, project: Path) -> Cost:
    return in_a_process("benchmarks.checks", ["--side", side, "--project", str(project)], {})


def prepare(project: Path, rows: int) -> None:
    """A project with one loop whose day of `rows` is ingested, and whose models dbt has parsed before."""
    loop = project / "loops/bench/loop.yaml"
    loop.parent.mkdir(parents=True)
    loop.write_text(LOOP)
    write_drop(project / "drops" / f"{DAY_BEFORE}.jsonl", 10)
    write_drop(project / "drops" / f"{DAY}.jsonl", rows)
    _run("ingest", project)
    (project / "lake").rename(project / INGESTED)


def run_ingest(project: Path) -> None:
    from lakeloop.stages.data.ingest import ingest
    from lakeloop.stages.data.transform import transform

    context = _context(project)
    ingest(context, DAY)
    ingest(context, DAY_BEFORE)
    transform(context, DAY_BEFORE)
    report_cost()


def run_transform(project: Path) -> None:
    imports = _import(_IMPORTS["transform"])
    from lakeloop.stages.data.transform import transform

    report_cost(imports, _said(transform(_context(project), DAY)))


def run_validate(project: Path) -> None:
    imports = _import(_IMPORTS["validate"])
    from lakeloop.stages.data.validate import validate

    report_cost(imports, _said(validate(_context(project), DAY)))


def run_by_hand(project: Path) -> None:
    _run_by_hand(project, _PLAIN, {})


def run_by_hand_short(project: Path) -> None:
    _run_by_hand(project, _SHORT, {"force_compression": "uncompressed"})


def _run_by_hand(project: Path, macros: str, options: Mapping[str, str]) -> None:
    imports = _import(("duckdb", "deltalake"))
    import duckdb
    from deltalake import DeltaTable

    raw = DeltaTable(str(project / "lake/bench/raw"))
    files = raw.file_uris(file_pruning_predicate=[("partition", "=", DAY)])
    out = project / "by-hand"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    names = {
        "day": DAY,
        "files": files,
        "mart": out / "mart.parquet",
        "quarantine": out / "quarantine.parquet",
    }
    script = (ROOT / "benchmarks/by_hand.sql").read_text(encoding="utf-8").format(**names)
    limits: dict[str, Any] = {"memory_limit": "1GB", "threads": "2", "temp_directory": str(out / "tmp")}
    limits |= options
    with duckdb.connect(str(out / "work.duckdb"), config=limits) as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(macros + script)
        found = {
            "accepted": _one(connection, f"from '{names['mart']}'"),
            "quarantined": _one(connection, f"from '{names['quarantine']}'"),
            "duplicates": _one(connection, "from alike where is_duplicate"),
            "conflicts": _one(connection, f"from alike where near in ({_CONTRADICTING})"),
        }
        account = connection.execute(_CHECKS.format(mart=names["mart"], **found)).fetchall()[0]
    found["checks"] = sum(map(bool, account))
    report_cost(imports, found)


_PLAIN = r"""
create macro normalised(t) as trim(regexp_replace(nfc_normalize(t), '[\s\x0B\x{85}\p{Z}]+', ' ', 'g'));
create macro letters(t) as regexp_replace(t, '[^\p{L}\p{M}\p{N}]', '', 'g');
"""
_SHORT = r"""
create macro normalised(t) as case
    when regexp_matches(t, '^ | $|[\s\x0B\x{85}\p{Z}]{2}|[\t\n\x0B\f\r\x{85}\x00]|[^ \P{Z}]')
    then trim(regexp_replace(nfc_normalize(t), '[\s\x0B\x{85}\p{Z}]+', ' ', 'g')) else nfc_normalize(t) end;
create macro letters(t) as regexp_replace(
    replace(replace(replace(t, ' ', ''), ',', ''), '.', ''), '[^\p{L}\p{M}\p{N}]+', '', 'g');
"""
_CONTRADICTING = "select near from alike group by near having count(distinct label) > 1"
_CHECKS = """
select count(*) >= 1, count(distinct label) >= 1,
    {quarantined} / ({accepted} + {quarantined} + {duplicates}) <= 0.2,
    count(row_id) = count(*), count(distinct row_id) = count(*),
    count(*) filter (coalesce(length(text), 0) < 1) = 0, count(label) = count(*),
    count(*) filter (label not in ('business', 'sports', 'tech')) = 0, count(event_time) = count(*),
    count(*) filter (length(text) > 2000) = 0,
    count(*) filter (not regexp_matches(row_id, '^row-[0-9]{{9}}$')) = 0,
    count(*) filter (not regexp_matches(text, '[A-Za-z]')) = 0
from '{mart}'
"""


def _one(connection: Any, relation: str) -> int:
    return int(connection.execute(f"select count(*) {relation}").fetchall()[0][0])


SIDES: Mapping[str, Callable[[Path], None]] = {
    "ingest": run_ingest,
    "transform": run_transform,
    "validate": run_validate,
    "by hand": run_by_hand,
    "by hand, short cuts": run_by_hand_short,
}


def require_the_same(project: Path, ours: Mapping[str, Any], by_hand: Mapping[str, Any]) -> None:
    """Raises AssertionError when the sides have published other rows, or say other numbers."""
    import pyarrow.parquet as pq

    from lakeloop.lake.digest import content_digest

    lake = _context(project).lake
    for table, columns in (("mart", _PUBLISHED), ("quarantine", _REFUSED)):
        published = content_digest(lake.scan(table, columns=columns, partition=DAY))
        with pq.ParquetFile(project / "by-hand" / f"{table}.parquet") as file:
            assert published == content_digest(file.iter_batches(columns=columns)), table
    assert ours == by_hand, (ours, by_hand)
    assert by_hand["checks"] == 12, by_hand


def _said(record: StageRecord) -> dict[str, int]:
    assert record.status == "done", record.reason
    assert record.counts is not None
    counted = {
        "accepted": record.counts.accepted,
        "quarantined": record.counts.quarantined,
        "duplicates": record.counts.duplicates,
    }
    if record.stage == "validate":
        counted["conflicts"] = round(record.metrics["conflicts/rows"])
        counted["checks"] = round(record.metrics["checks/passed"])
    return counted


def _context(project: Path) -> StageContext:
    from lakeloop.stages.frame.session import StageContext

    return StageContext.open("bench", _settings(project))


def _settings(project: Path) -> Settings:
    from lakeloop.settings import Settings

    return Settings(root=project, lake=str(project / "lake"), dbt=ROOT / "dbt")


def _import(modules: tuple[str, ...]) -> float:
    """CPU seconds of the process until all of them, and what every stage imports, are there."""
    for module in (
        "lakeloop.lake.store",
        "lakeloop.stages.frame.session",
        "lakeloop.scratch.duckdb",
        *modules,
    ):
        importlib.import_module(module)
    return cpu_seconds()


if __name__ == "__main__":
    sys.exit(main())
