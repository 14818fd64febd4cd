"""What dbt and the checks left of a day for a person: nobody reads it but in the moment it is made."""

from __future__ import annotations

from collections.abc import Iterator

from lakeloop.disk.base import Item, Kind, Place, days
from lakeloop.disk.extent import extent_of, folders


def _look(place: Place) -> Iterator[Item]:
    limit = place.limits.work_days
    for loop in place.loops:
        for stage in folders(place.home / "work" / loop.name):
            for day in folders(stage):
                for path in folders(day):
                    if path.name.startswith((".", "job-")):
                        continue
                    extent = extent_of(path)
                    young = place.days_since(extent.newest) <= limit
                    needed = f"it was made less than {days(limit)} ago" if young else ""
                    yield Item(path, extent, needed, f"made more than {days(limit)} ago")


KIND = Kind(
    "days",
    "transform, validate",
    "DuckDB files and logs of dbt and the checks, for a person to look into",
    lambda limits: days(limits.work_days),
    _look,
)
