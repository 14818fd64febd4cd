"""CPU seconds and peak memory of `ingest`, beside a bare copy of the same file by Arrow into a Delta table.

    python -m benchmarks.ingest [--rows 200000 1000000] [--formats jsonl csv] [--bad 0.0] [--repeat 1]

Each side runs in a process of its own, so that its peak memory is its own; CPU seconds are those of all its
threads, with the start of Python and all imports; a second ratio leaves these aside, on both sides. The rows
are generated: a key, a time, a label, a number and about 220 characters of text, 315 bytes a row as JSON. The
bare copy types the columns by declared types and does nothing else: no verdicts, no duplicates, no
quarantine, no counts, no ledger.
"""

# ruff: noqa: PLC0415  (each side imports what it needs itself: imports are measured too)

from __future__ import annotations

import argparse
import csv
import importlib
import json
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.sides import Cost, cpu_seconds, in_a_process, median, report_cost
from benchmarks.stories import COLUMNS, DAY, LABELS

_WORDS = (
    "loop",
    "reads",
    "a",
    "drop",
    "of",
    "rows",
    "and",
    "says",
    "where",
    "each",
    "belongs",
    "or",
    "why",
    "not",
)
_CHUNK_ROWS = 10_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, nargs="+", default=[200_000, 1_000_000])
    parser.add_argument("--formats", nargs="+", default=["jsonl", "csv"], choices=["jsonl", "csv"])
    parser.add_argument("--bad", type=float, default=0.0, help="share of lines that are no rows")
    parser.add_argument("--repeat", type=int, default=1, help="the median of so many runs of each side")
    parser.add_argument("--side", choices=["ingest", "copy"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        return run_side(options.side, options.formats[0], options.folder)
    table = Table(title=f"Ingest of generated rows, {options.bad:.0%} of them bad; CPU seconds, peak memory")
    columns = ("rows", "format", "MB", "ingest", "copy", "ratio", "no imports", "ingest MB", "copy MB")
    for column in columns:
        table.add_column(column, justify="left" if column == "format" else "right")
    for rows in options.rows:
        for file_format in options.formats:
            table.add_row(*measured(rows, file_format, options.bad, options.repeat))
    Console().print(table)
    return 0


def measured(rows: int, file_format: str, bad: float, repeat: int) -> list[str]:
    """One line of the table."""
    with tempfile.TemporaryDirectory(prefix="lakeloop-bench-") as name:
        drop = drop_file(Path(name), file_format)
        write_drop(drop, rows, file_format, bad)
        costs: dict[str, list[Cost]] = {"ingest": [], "copy": []}
        for turn in range(repeat):
            for side, found in costs.items():
                # The bare copy has no way with bad lines.
                if side == "ingest" or not bad:
                    found.append(side_of(side, file_format, Path(name), turn))
        size = drop.stat().st_size / 1e6
    ingest, copy = (median(found) if found else None for found in costs.values())
    assert ingest is not None
    return [
        f"{rows:,}",
        file_format,
        f"{size:.0f}",
        f"{ingest.cpu_seconds:.1f} s",
        f"{copy.cpu_seconds:.1f} s" if copy else "-",
        f"{ingest.cpu_seconds / copy.cpu_seconds:.1f}" if copy else "-",
        f"{ingest.work_seconds / copy.work_seconds:.1f}" if copy else f"{ingest.work_seconds:.1f}",
        f"{ingest.peak_mb:.0f}",
        f"{copy.peak_mb:.0f}" if copy else "-",
    ]


def side_of(side: str, file_format: str, folder: Path, turn: int) -> Cost:
    """Run a side once, with a home of its own."""
    arguments = ("--side", side, "--formats", file_format, "--folder", str(folder))
    return in_a_process("benchmarks.ingest", arguments, {"LAKELOOP_HOME": str(folder / f"{side}-{turn}")})


def run_side(side: str, file_format: str, folder: Path) -> int:
    """The process that is measured; prints its cost."""
    home = Path(os.environ["LAKELOOP_HOME"])
    if side == "ingest":
        start = run_ingest(file_format, folder)
    else:
        start = run_copy(drop_file(folder, file_format), file_format, home)
    report_cost(start)
    return 0


def run_ingest(file_format: str, folder: Path) -> float:
    """Ingest the drop; returns the CPU seconds before that began."""
    from lakeloop.attempt import Attempt
    from lakeloop.lake.store import Lake
    from lakeloop.settings import Settings
    from lakeloop.spec.loop import LoopSpec
    from lakeloop.stages.data.ingest import ingest
    from lakeloop.stages.frame.session import StageContext

    for name in ("lakeloop.sources.intake", "lakeloop.sources.registry", "lakeloop.tracking.tracker"):
        importlib.import_module(name)
    start = cpu_seconds()
    loop = LoopSpec.model_validate(
        {
            "name": "bench",
            "source": {
                "kind": "files",
                "path": f"drops/{{partition}}.{file_format}",
                "key": "id",
                "event_time": "at",
                "columns": COLUMNS,
                "format": file_format,
            },
            "task": {"kind": "classification", "text": "text", "label": "label", "labels": LABELS},
        }
    )
    settings = Settings(root=folder)
    lake = Lake.from_settings(settings, loop)
    lake.bootstrap(loop)
    ingest(StageContext(loop, lake, settings, Attempt.local()), DAY)
    return start


def run_copy(drop: Path, file_format: str, home: Path) -> float:
    """Copy the drop; returns the CPU seconds before that began."""
    import pyarrow as pa
    import pyarrow.csv as pcsv
    import pyarrow.json as pj
    from deltalake import write_deltalake

    start = cpu_seconds()
    types = {"string": pa.string(), "timestamp": pa.timestamp("us", "UTC"), "number": pa.float64()}
    schema = pa.schema([(name, types[kind]) for name, kind in COLUMNS.items()])
    if file_format == "csv":
        convert = pcsv.ConvertOptions(column_types=schema)
        reader = pcsv.open_csv(drop, convert_options=convert)
    else:
        reader = pj.open_json(drop, parse_options=pj.ParseOptions(explicit_schema=schema))
    write_deltalake(str(home / "copy"), pa.RecordBatchReader.from_batches(schema, reader))
    return start


def drop_file(folder: Path, file_format: str) -> Path:
    return folder / "drops" / f"{DAY}.{file_format}"


def write_drop(path: Path, rows: int, file_format: str, bad: float) -> None:
    path.parent.mkdir(parents=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(COLUMNS), lineterminator="\n")
        if file_format == "csv":
            writer.writeheader()
        every = round(1 / bad) if bad else 0
        for number, row in enumerate(generated(rows), start=1):
            if every and number % every == 0:
                file.write("no row at all\n")
            elif file_format == "csv":
                writer.writerow(row)
            else:
                file.write(json.dumps(row) + "\n")


def generated(rows: int) -> Iterator[dict[str, Any]]:
    """Rows that differ from each other, the same at each call."""
    chance = random.Random(17)  # noqa: S311  (no secret)
    texts = [" ".join(chance.choices(_WORDS, k=43)) for _ in range(_CHUNK_ROWS)]
    for number in range(rows):
        yield {
            "id": f"row-{number:09d}",
            "at": datetime.fromtimestamp(1_763_251_200 + number % 86_400, UTC)
            .isoformat()
            .replace("+00:00", "Z"),
            "text": f"{number} {texts[number % _CHUNK_ROWS]}",
            "label": LABELS[number % len(LABELS)],
            "score": number / 7,
        }


if __name__ == "__main__":
    sys.exit(main())
