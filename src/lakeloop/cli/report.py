"""A stage's record as a small panel for a person. Decides nothing, reads nothing but the record."""

from __future__ import annotations

from collections.abc import Mapping

import typer
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from lakeloop.local.status_view import COLOURS
from lakeloop.records import StageRecord

_MOST_METRICS = 12
_LONGEST_OUTPUT = 60


def show_record(record: StageRecord, *, as_json: bool) -> None:
    """Print `record` on stdout."""
    if as_json:
        # Not rich: it would put pictures in place of texts such as ":bug:".
        typer.echo(record.model_dump_json(indent=2))
    else:
        Console().print(record_panel(record))


def record_panel(record: StageRecord) -> Panel:
    """The record's reason, counts and refused records, then its metrics, outputs and links."""
    colour = COLOURS[record.status]
    parts: list[RenderableType] = [Text(record.reason)]
    if record.counts:
        parts += [Text(), Text(record.counts.words)]
    if record.examples:
        parts += [Text(), *map(Text, record.examples)]
    if facts := _facts(record):
        parts += [Text(), _grid(facts)]
    title = Text.assemble(
        f"{record.loop} {record.stage} {record.partition}: ", (record.status, f"bold {colour}")
    )
    # An unchanged record is an earlier one's: its seconds were not spent now.
    seconds = None if record.status == "unchanged" else f"{record.provenance.seconds:.1f} s"
    return Panel(Group(*parts), title=title, title_align="left", subtitle=seconds, subtitle_align="right")


def _facts(record: StageRecord) -> dict[str, str]:
    """Metrics, short outputs and links, by name; long outputs are for `--json`."""
    metrics = {name: f"{value:.4g}" for name, value in list(record.metrics.items())[:_MOST_METRICS]}
    if left := len(record.metrics) - len(metrics):
        metrics["..."] = f"{left} more with --json"
    outputs = {name: text for name, text in record.outputs.items() if len(text) <= _LONGEST_OUTPUT}
    return {**metrics, **outputs, **record.links}


def _grid(facts: Mapping[str, str]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in facts.items():
        grid.add_row(name, Text(text))
    return grid
