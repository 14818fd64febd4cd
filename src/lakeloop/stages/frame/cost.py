"""What the trainings of a loop have cost, and what its budget leaves.

The ledger has those that ended well, each with all tries of its job. What jobs without a result have cost
lies in their folders: they run, failed, or were given up.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from lakeloop.jobs.state import Workdir
from lakeloop.plural import counted
from lakeloop.records import Frozen, StageRecord, now
from lakeloop.settings import Settings
from lakeloop.spec.loop import LoopSpec
from lakeloop.stages.catalogue import stage_named

_HOUR = 3600.0
_MINUTE = 60.0
_SMALL_HOURS = 0.1
_SMALL_KWH = 0.01
"""Below these a smaller unit is told."""


class Unfinished(Frozen):
    """What one try of a training job without a result has cost."""

    job: str
    """Name of the job's folder."""
    at: datetime
    """When that was known last."""
    wall_hours: float
    cpu_hours: float
    gpu_hours: float


class Spent(Frozen):
    """The cost of some trainings together."""

    trainings: int = 0
    """Jobs: one for each candidate."""
    wall_hours: float = 0.0
    cpu_hours: float = 0.0
    gpu_hours: float = 0.0
    peak_memory_mb: float | None = None
    """The highest of them; None when no record says."""
    energy_kwh: float | None = None
    """Of those whose machine tells it; None when none does."""
    unfinished_hours: float = 0.0
    """How much of `wall_hours` is of jobs without a result."""

    @property
    def sentence(self) -> str:
        """For people."""
        jobs = counted(self.trainings, "training job")
        parts = [f"{jobs}: {_told(self.wall_hours)}", _told(self.cpu_hours, "CPU ")]
        if self.gpu_hours:
            parts.append(_told(self.gpu_hours, "GPU "))
        if self.peak_memory_mb is not None:
            parts.append(f"at most {self.peak_memory_mb / 1024:.1f} GB")
        if self.energy_kwh is not None:
            small = self.energy_kwh < _SMALL_KWH
            parts.append(f"{self.energy_kwh * 1000:.2g} Wh" if small else f"{self.energy_kwh:.3f} kWh")
        if self.unfinished_hours:
            parts.append(f"{_told(self.unfinished_hours)} of it in jobs without a result")
        return ", ".join(parts)


def _told(hours: float, of: str = "") -> str:
    """A time in the unit that shows its digits: `1.50 h`, `4.2 min`, `12 CPU s`."""
    if hours >= _SMALL_HOURS:
        return f"{hours:.2f} {of}h"
    seconds = hours * _HOUR
    return f"{seconds / 60:.1f} {of}min" if seconds >= _MINUTE else f"{seconds:.3g} {of}s"


class BudgetStatus(Frozen):
    """What a budget allows and what of it is spent."""

    since: datetime
    """The beginning of the week or month."""
    until: datetime
    """When the next one begins."""
    sentence: str
    """For people: what is spent of what."""
    exhausted: bool


def spent(
    entries: Sequence[StageRecord], since: datetime | None = None, unfinished: Sequence[Unfinished] = ()
) -> Spent:
    """The cost of the trainings in `entries` that ended at `since` or later; of all without it.

    With what lies in `unfinished`, which is no training.
    """
    done = [
        entry
        for entry in entries
        if _is_paid_training(entry) and (since is None or entry.provenance.finished_at >= since)
    ]
    others = [each for each in unfinished if since is None or each.at >= since]
    peaks = list(_metrics(done, "peak_memory_mb"))
    energies = list(_metrics(done, "energy_joules"))
    return Spent(
        trainings=len(done),
        wall_hours=sum(_metrics(done, "seconds")) / _HOUR + sum(each.wall_hours for each in others),
        cpu_hours=sum(_metrics(done, "cpu_seconds")) / _HOUR + sum(each.cpu_hours for each in others),
        gpu_hours=sum(_metrics(done, "gpu_seconds")) / _HOUR + sum(each.gpu_hours for each in others),
        peak_memory_mb=max(peaks, default=None),
        energy_kwh=sum(energies) / 3.6e6 if energies else None,
        unfinished_hours=sum(each.wall_hours for each in others),
    )


def unfinished(settings: Settings, loop: str) -> tuple[Unfinished, ...]:
    """What jobs of a loop without a result have cost, on this machine; the last try first."""
    work = settings.home / "work" / loop
    found = [one for folder in work.glob("*/*/job-*") for one in tries_of(Workdir(folder))]
    return tuple(sorted(found, key=lambda each: each.at, reverse=True))


def tries_of(workdir: Workdir) -> Iterator[Unfinished]:
    """What each try of one job has cost; nothing when it has a result, which says it."""
    record = workdir.read_record()
    if record is not None and record.state == "succeeded":  # its result says it
        return
    for path in workdir.spent.rglob("*.json"):
        try:
            cost, at = json.loads(path.read_bytes()), path.stat().st_mtime
        except (OSError, ValueError):  # the job ended at this moment, or the machine did
            continue
        beside = path.parent != workdir.spent  # one of several processes, which run at the same time
        yield Unfinished(
            job=workdir.path.name,
            at=datetime.fromtimestamp(at, UTC),
            wall_hours=0.0 if beside else cost.get("wall_seconds", 0.0) / _HOUR,
            cpu_hours=cost.get("cpu_seconds", 0.0) / _HOUR,
            gpu_hours=cost.get("gpu_seconds", 0.0) / _HOUR,
        )


def budget_status(
    loop: LoopSpec,
    entries: Sequence[StageRecord],
    unfinished: Sequence[Unfinished] = (),
    at: datetime | None = None,
) -> BudgetStatus | None:
    """How the budget of `loop` stands at the moment `at`, by default now; None when it has none."""
    budget = loop.train.budget
    limits = {"CPU": budget.cpu_hours, "GPU": budget.gpu_hours}
    if not any(limits.values()):
        return None
    since, until = _period(budget.per, at or now(), loop.schedule.timezone)
    cost = spent(entries, since, unfinished)
    used = {"CPU": cost.cpu_hours, "GPU": cost.gpu_hours}
    parts = [f"{used[name]:.2f} of {limit:g} {name} h" for name, limit in limits.items() if limit is not None]
    return BudgetStatus(
        since=since,
        until=until,
        sentence=f"{' and '.join(parts)} of this {budget.per} are spent, since {since:%Y-%m-%d}",
        exhausted=any(limit is not None and used[name] >= limit for name, limit in limits.items()),
    )


def _period(per: str, at: datetime, timezone: str) -> tuple[datetime, datetime]:
    """Beginning and end, in `timezone`, of the week (from Monday) or month that `at` is in."""
    zone = ZoneInfo(timezone)
    today = at.astimezone(zone).date()
    if per == "week":
        first = today - timedelta(days=today.weekday())
        after = first + timedelta(days=7)
    else:
        first = today.replace(day=1)
        after = (first + timedelta(days=32)).replace(day=1)
    begin, end = (datetime(day.year, day.month, day.day, tzinfo=zone) for day in (first, after))
    return begin, end


def _is_paid_training(entry: StageRecord) -> bool:
    if entry.status != "done" or "seconds" not in entry.metrics:  # one that was taken again has cost nothing
        return False
    try:
        return stage_named(entry.stage).per == "candidate"
    except KeyError:  # of a stage that an earlier version had
        return False


def _metrics(entries: Sequence[StageRecord], name: str) -> Iterator[float]:
    return (entry.metrics[name] for entry in entries if name in entry.metrics)
