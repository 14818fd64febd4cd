"""Rows dealt into splits as `dataset` deals them, clean or with a leak that a test plants."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from lakeloop.datasets.assemble import assemble
from lakeloop.datasets.dealing import GROUP
from lakeloop.datasets.leaks.base import Looked, in_order
from lakeloop.datasets.leaks.registry import look
from lakeloop.lake.tables import ARROW_TYPES, mart_schema
from lakeloop.measures.leaking import Leak, LeakReport
from lakeloop.spec.loop import LoopSpec

COLUMNS = {
    "id": "string", "text": "string", "label": "string", "plan": "string", "amount": "number",
    "customer": "string", "at": "timestamp", "due": "date",
}  # fmt: skip
WORDS = [f"word{number}" for number in range(400)]
LABELS = ("refund", "delivery", "account")
DAYS = ("2026-11-16", "2026-11-17")


def leaky_loop(task: Mapping[str, Any] | None = None, **sections: Any) -> LoopSpec:
    """A loop whose model reads a text, a word and a number; `task` adds keys of the task."""
    usual = {
        "kind": "classification", "text": "text", "label": "label", "labels": list(LABELS),
        "numeric": ["amount"], "categorical": ["plan"],
    }  # fmt: skip
    source = {"kind": "files", "path": "drops/{partition}.jsonl", "key": "id", "columns": COLUMNS}
    return LoopSpec.model_validate(
        {"name": "leaky", "source": source, "task": dict(task or usual), **sections}
    )


def clean_rows(count: int, *, seed: int = 1, days: Sequence[str] = DAYS) -> list[dict[str, Any]]:
    """Rows of the mart with texts of random words, whose label nothing says."""
    draw = random.Random(seed)
    rows = []
    for number in range(count):
        words = draw.choices(WORDS, k=12)
        rows.append(
            {
                "row_id": f"r{number}",
                "text": " ".join(words),
                "label": draw.choice(LABELS),
                "feature_plan": draw.choice(("free", "pro", None)),
                "feature_amount": draw.random(),
                "text_key": "".join(words),
                "event_time": None,
                "source_file": "drops/day.jsonl",
                "source_line": number + 1,
                "partition": days[number % len(days)],
            }
        )
    return rows


def dealt(
    rows: Sequence[Mapping[str, Any]], loop: LoopSpec, raw: Mapping[str, Sequence[Any]] | None = None
) -> Looked:
    """`rows` as a search for leaks takes them; `raw` are values of columns of the source, row for row."""
    table = pa.Table.from_pylist([dict(row) for row in rows], mart_schema(loop))
    ids = table["row_id"].to_pylist()
    values = {name: dict(zip(ids, of, strict=True)) for name, of in (raw or {}).items()}
    if (group := loop.split.group) is not None:
        table = table.append_column(GROUP, pa.array([values[group][row] for row in ids], pa.large_string()))
    task = loop.task
    assembled = assemble(table, loop.split, task.roles(), task.reads, loop.clean.drop_similar)
    keys = in_order(assembled)["row_id"].to_pylist()
    types = loop.source.types
    columns = {
        name: pa.chunked_array([[values.get(name, {}).get(key) for key in keys]], ARROW_TYPES[types[name]])
        for name in types
    }
    return Looked.of(assembled, loop, columns)


def found(
    rows: Sequence[Mapping[str, Any]], loop: LoopSpec, raw: Mapping[str, Sequence[Any]] | None = None
) -> dict[str, Leak]:
    """Kind -> the leak of that kind."""
    return {leak.kind: leak for leak in report(rows, loop, raw).leaks}


def report(
    rows: Sequence[Mapping[str, Any]], loop: LoopSpec, raw: Mapping[str, Sequence[Any]] | None = None
) -> LeakReport:
    """What is suspicious of `rows`."""
    return look(dealt(rows, loop, raw))
