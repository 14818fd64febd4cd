"""Folders of trainings: inputs, log, and what the job made, which the lake has when it has succeeded."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from lakeloop.artifact import candidate_folder
from lakeloop.disk.base import Item, Kind, Place, days
from lakeloop.disk.extent import Extent, extent_of, folders
from lakeloop.errors import JobError
from lakeloop.jobs import result
from lakeloop.jobs.leftovers import is_held, last_used, left_alone, remove_job
from lakeloop.jobs.state import Workdir
from lakeloop.lake.files import LakeFiles
from lakeloop.removal import remove
from lakeloop.settings import Settings
from lakeloop.tracking.progress import waiting

CHECKPOINTS = "checkpoints"
BUDGET_DAYS = 62
"""What a job has cost counts in the budget of its month."""


def job_folders(place: Place, loop: str) -> Iterator[Workdir]:
    """Of all trainings and trials of a loop."""
    for stage in folders(place.home / "work" / loop):
        for day in folders(stage):
            yield from (Workdir(path) for path in folders(day) if path.name.startswith("job-"))


def _look(place: Place) -> Iterator[Item]:
    waits = _waiting_for_wandb(place.settings)
    for loop in place.loops:
        files = place.lakes[loop.name].files
        for workdir in job_folders(place, loop.name):
            extent = extent_of(workdir.path, without=(CHECKPOINTS,))
            stage, day = workdir.path.parts[-3:-1]
            if is_held(workdir):
                yield Item(workdir.path, extent, "it is submitted, waits or runs")
            elif (loop.name, stage, day) in waits:
                yield Item(workdir.path, extent, "W&B does not have its run yet")
            else:
                yield _ended(place, workdir, extent, files)


def _waiting_for_wandb(settings: Settings) -> set[tuple[str, ...]]:
    """Loop, stage and day of the runs whose files W&B is still to be given."""
    if settings.wandb_mode == "disabled":
        return set()
    return {path.parent.relative_to(settings.journals).parts for path in waiting(settings.journals)}


def _ended(place: Place, workdir: Workdir, extent: Extent, files: LakeFiles) -> Item:
    used = last_used(workdir, extent.newest)
    age, limits, record = place.days_since(used), place.limits, workdir.read_record()
    if record is None and not workdir.config.exists() and not workdir.inputs.exists():
        limit = max(limits.log_days, BUDGET_DAYS) if workdir.spent.exists() else limits.log_days
        why, take = f"log of a training that ended {days(limit)} ago", functools.partial(_take_rest, workdir)
    else:
        in_lake = record is not None and record.state == "succeeded" and _is_stored(workdir, files)
        limit = limits.stored_days if in_lake else limits.job_days
        why = "its model is in the lake" if in_lake else f"nobody went on with it for {days(limit)}"
        take = functools.partial(_take, workdir, used)
    needed = "" if age > limit else f"it was used less than {days(limit)} ago"
    return Item(workdir.path, extent, needed, why, take)


def _is_stored(workdir: Workdir, files: LakeFiles) -> bool:
    try:
        return files.exists(candidate_folder(result(str(workdir.path))["digest"]))
    except (JobError, KeyError):
        return False


def _take(workdir: Workdir, used: float) -> bool:
    with left_alone(workdir) as free:
        if not free or is_used_since(workdir, used):
            return False
        remove_job(workdir.path, log=True)
    return True


def is_used_since(workdir: Workdir, used: float) -> bool:
    """Whether a job was reserved, or written to, after this moment."""
    return last_used(workdir, extent_of(workdir.path, without=(CHECKPOINTS,)).newest) > used


def _take_rest(workdir: Workdir) -> bool:
    with left_alone(workdir) as free:
        if not free or workdir.record.exists() or workdir.config.exists():
            return False
        remove(workdir.path)
    return True


KIND = Kind(
    "jobs",
    "train",
    "folders of trainings: inputs, log, a copy of the model",
    lambda limits: (
        f"{days(limits.stored_days)} when the model is in the lake, else {days(limits.job_days)};"
        f" logs {days(limits.log_days)}"
    ),
    _look,
)
