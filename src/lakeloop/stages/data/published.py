"""What the tracker is told of rows that a stage published: their table, version and digest, no row."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from lakeloop.durable import write_atomically
from lakeloop.stages.frame.session import StageSession

if TYPE_CHECKING:
    from lakeloop.lake.draft import Published


def track_rows(stage: StageSession, table: str, rows: Published, **more: Any) -> None:
    """Tell of `rows` as an artifact named by `table`, with `more` in its description."""
    description = {
        "table": rows.uri,
        "version": rows.version,
        "partition": stage.partition,
        "rows": rows.rows,
        "digest": rows.digest,
        **more,
    }
    path = stage.work / f"{table}.json"
    write_atomically(path, json.dumps(description, indent=2) + "\n")
    stage.tracker.artifact(f"{stage.context.loop.name}-{table}", "dataset", path, description)
