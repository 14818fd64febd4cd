"""Logs of processes and of Airflow's tasks; what is written to stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lakeloop.disk.base import Item, Kind, Place, days
from lakeloop.disk.extent import entries, extent_of, folders


def _look(place: Place) -> Iterator[Item]:
    # A question may wait for longer than that, and writes nothing meanwhile.
    asked = max((loop.approval.hours / 24 + 1 for loop in place.loops), default=0.0)
    limit = max(place.limits.log_days, asked)
    for path in _logs(place.home):
        extent = extent_of(path)
        young = place.days_since(extent.newest) <= limit
        needed = f"written to less than {days(limit)} ago" if young else ""
        yield Item(path, extent, needed, f"nothing was written to it for {days(limit)}")


def _logs(home: Path) -> Iterator[Path]:
    yield from (path for path in entries(home / "logs") if not path.is_symlink())
    for part in folders(home / "airflow" / "logs"):  # of a DAG its runs, of the parser its days
        yield from (path for path in entries(part) if not path.is_symlink())


KIND = Kind(
    "logs",
    "Airflow, servers, mirror",
    "logs of tasks and processes",
    lambda limits: f"{days(limits.log_days)} after the last line",
    _look,
    shared=True,
)
