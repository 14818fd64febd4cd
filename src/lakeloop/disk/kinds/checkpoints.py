"""What a training left for its next try."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from lakeloop.disk.base import Item, Kind, Place, days
from lakeloop.disk.extent import extent_of
from lakeloop.disk.kinds.jobs import job_folders
from lakeloop.jobs.leftovers import is_held, last_used, left_alone
from lakeloop.jobs.state import Workdir
from lakeloop.removal import remove


def _look(place: Place) -> Iterator[Item]:
    limit = place.limits.job_days
    for loop in place.loops:
        for workdir in job_folders(place, loop.name):
            if not workdir.checkpoints.is_dir():
                continue
            extent = extent_of(workdir.checkpoints)
            used = last_used(workdir, extent.newest)
            needed = ""
            if is_held(workdir):
                needed = "its training is submitted, waits or runs"
            elif place.days_since(used) <= limit:
                needed = f"a try may go on with it: it was used less than {days(limit)} ago"
            take = functools.partial(_take, workdir, used)
            why = f"nobody went on with it for {days(limit)}"
            yield Item(workdir.checkpoints, extent, needed, why, take)


def _take(workdir: Workdir, used: float) -> bool:
    with left_alone(workdir) as free:
        if not free or last_used(workdir, extent_of(workdir.checkpoints).newest) > used:
            return False
        remove(workdir.checkpoints)
    return True


KIND = Kind(
    "checkpoints",
    "train",
    "where a training that was ended goes on",
    lambda limits: f"{days(limits.job_days)} after the last sign of it",
    _look,
)
