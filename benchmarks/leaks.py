"""Leaks that are planted and found, and what is suspected of data sets in which nobody planted any.

    python -m benchmarks.leaks [--data FOLDER]

Rows are those of the examples that ship, made up and, below FOLDER, of the public data sets they read; they
are dealt as `dataset` deals them. Each kind of leak is then planted in each set that it makes sense for, in
`SHARE` of the rows or more. Exits with 1 when a planted leak is not found.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import random
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.sides import machine
from lakeloop.datasets.assemble import Assembled, assemble
from lakeloop.datasets.leaks.base import Looked, in_order
from lakeloop.datasets.leaks.registry import look
from lakeloop.examples.base import AT, KEY
from lakeloop.examples.drops import generated, spread
from lakeloop.examples.registry import EXAMPLES, answers_in, loop_text, rows_of
from lakeloop.lake.tables import ARROW_TYPES, mart_schema
from lakeloop.measures.leaking import LeakReport
from lakeloop.spec.leaks import KINDS
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.yesterday import lift_file

SHARE = 0.1
"""Of the rows that have a planted leak, where it is one of rows."""
PUBLIC = {
    "intent": "banking77",
    "sentiment": "sentence_polarity",
    "spam": "spamassassin_dated",
    "entities": "wnut17",
    "credit": "german_credit",
    "dialogue": "gsm8k",
}
Rows = list[dict[str, Any]]


class Set(NamedTuple):
    """A data set by its name, its loop, and its records as a delivery has them, with their `partition`."""

    name: str
    loop: LoopSpec
    rows: Rows


def main() -> int:
    """Print what is suspected of each set as it is, and which planted leaks are found; 1 when one is not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the public data sets")
    asked = parser.parse_args()
    console = Console(width=160)
    console.print(machine())
    table = Table("data set", "rows", "suspected as it is", "planted and found", "not found", "CPU s")
    missed = False
    for each in _sets(asked.data):
        start = time.process_time()
        clean = _report(each)
        seconds = time.process_time() - start
        found = {kind: _plant(each, kind) for kind in KINDS if kind not in clean.not_looked}
        before = {leak.kind for leak in clean.leaks}
        lost = [kind for kind, kinds in found.items() if kinds is not None and kind not in kinds]
        missed = missed or bool(lost)
        there = [kind for kind, kinds in found.items() if kinds is not None and kind in kinds - before]
        suspected = "\n".join(leak.sentence for leak in clean.leaks) or "nothing"
        table.add_row(
            each.name, f"{len(each.rows):,}", suspected, ", ".join(there), ", ".join(lost), f"{seconds:.2f}"
        )
    console.print(table)
    return int(missed)


def _sets(data: Path | None) -> Iterator[Set]:
    for name, example in EXAMPLES.items():
        drops = generated(example)
        yield Set(f"{name}, made up", _loop(name), list(_records(name, drops)))
        if data is not None and name in PUBLIC:
            rows = rows_of(name, data / PUBLIC[name])
            loop = _loop(name, answers_in(example, rows))
            yield Set(PUBLIC[name], loop, list(_records(name, spread(example, rows))))


def _loop(name: str, answers: tuple[str, ...] = ()) -> LoopSpec:
    return LoopSpec.model_validate_json(json.dumps(lift_file(yaml.safe_load(loop_text(name, name, answers)))))


def _records(name: str, drops: dict[str, bytes]) -> Iterator[dict[str, Any]]:
    """The records of the drops that are whole; nothing else is judged here."""
    seen: set[Any] = set()
    for day, content in drops.items():
        lines = content.decode().split("\n")
        if EXAMPLES[name].format == "csv":
            found: Iterator[dict[str, Any]] = csv.DictReader([line for line in lines if line])
        else:
            found = (json.loads(line) for line in lines if line.endswith("}"))
        for row in found:
            if row.get(EXAMPLES[name].answer) and row.get(EXAMPLES[name].text) and row[KEY] not in seen:
                seen.add(row[KEY])
                yield {**row, "partition": day}


def _report(data: Set) -> LeakReport:
    """What is suspicious of a set, dealt as `dataset` deals it."""
    loop, task = data.loop, data.loop.task
    known = set(task.answers)
    rows = [
        _mart_row(row, loop) for row in data.rows if not known or row[EXAMPLES[loop.name].answer] in known
    ]
    assembled = assemble(pa.Table.from_pylist(rows, mart_schema(loop)), loop.split, task.roles(), task.reads)
    return look(Looked.of(assembled, loop, _raw(data, assembled)))


def _raw(data: Set, assembled: Assembled) -> dict[str, pa.ChunkedArray]:
    named = {(row[KEY], row["partition"]): row for row in data.rows}
    dealt = in_order(assembled)
    keys = zip(dealt["row_id"].to_pylist(), dealt["partition"].to_pylist(), strict=True)
    rows = [named[key] for key in keys]
    return {
        name: pa.chunked_array([pa.array([_typed(row.get(name), kind) for row in rows], ARROW_TYPES[kind])])
        for name, kind in data.loop.source.types.items()
    }


def _mart_row(row: dict[str, Any], loop: LoopSpec) -> dict[str, Any]:
    built: dict[str, Any] = {"row_id": row[KEY], "partition": row["partition"], "source_line": 0}
    for name, role in loop.task.roles().items():
        value = row.get(role.column)
        built[name] = _typed(value, "number" if role.kept_as == "number" else "string")
    read = " ".join(str(built[name]) for name in loop.task.reads)
    built["text_key"] = "".join(c for c in read.lower() if unicodedata.category(c)[0] in "LMN") or row[KEY]
    return built


def _typed(value: Any, kind: str) -> Any:
    if value is None or value == "":
        return None
    if kind == "timestamp":
        moment = datetime.fromisoformat(str(value))
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if kind in ("number", "integer"):
        return float(value) if kind == "number" else int(float(value))
    return str(value)


def _plant(data: Set, kind: str) -> set[str] | None:
    """The kinds that are suspected once a leak of `kind` is planted; None where there is no place for it."""
    draw = random.Random(1)  # noqa: S311  (no secret: the same rows again are wanted)
    rows = [dict(row) for row in data.rows]
    if not _PLANTS[kind](rows, data.loop, draw):
        return None
    return {leak.kind for leak in _report(data._replace(rows=rows)).leaks}


def _copied(rows: Rows, loop: LoopSpec, draw: random.Random) -> bool:
    """The answer, in a code of its own, in the first column of words beside the text; in `SHARE` of them."""
    feature = next((each.name for each in loop.task.features if each.kept_as == "string"), "")
    for row in rows if feature else ():
        row[feature] = (
            f"code {sum(map(ord, row[EXAMPLES[loop.name].answer]))}" if draw.random() < SHARE else ""
        )
    return bool(feature)


def _written(rows: Rows, loop: LoopSpec, draw: random.Random) -> bool:
    text, answer = EXAMPLES[loop.name].text, EXAMPLES[loop.name].answer
    for row in rows:
        if loop.task.writes or draw.random() < SHARE:
            mark = " " if loop.task.writes else " category: "
            row[text] = f"{row[text]}{mark}{row[answer]}"
    return True


def _future(rows: Rows, loop: LoopSpec, draw: random.Random) -> bool:
    for row in rows:
        if row.get(AT) and draw.random() < SHARE:
            moment = _typed(row[AT], "timestamp") + timedelta(days=3)
            row[AT] = moment.isoformat()
    return "timestamp" in loop.source.types.values()


def _keys(rows: Rows, loop: LoopSpec, draw: random.Random) -> bool:
    """Rows of a day come again the next day with another text."""
    text, days = EXAMPLES[loop.name].text, sorted({row["partition"] for row in rows})
    if len(days) < 2:
        return False
    after = dict(itertools.pairwise(days))
    again = [row for row in rows if row["partition"] in after and draw.random() < SHARE]
    rows += [{**row, "partition": after[row["partition"]], text: f"{row[text]} (closed)"} for row in again]
    return True


def _alike(rows: Rows, loop: LoopSpec, draw: random.Random) -> bool:
    """Of a fifth of the rows there is another in which a word was changed."""
    text = EXAMPLES[loop.name].text
    chosen = [row for row in rows if len(str(row[text]).split()) >= 14 and draw.random() < 2 * SHARE]
    for number, row in enumerate(chosen):
        words = str(row[text]).split()
        words[-1] = "indeed"
        rows.append({**row, KEY: f"{row[KEY]}-like-{number}", text: " ".join(words)})
    return len(chosen) > SHARE * len(rows)


_PLANTS: dict[str, Callable[[Rows, LoopSpec, random.Random], bool]] = {
    "copied": _copied,
    "written": _written,
    "future": _future,
    "keys": _keys,
    "alike": _alike,
}

if __name__ == "__main__":
    sys.exit(main())
