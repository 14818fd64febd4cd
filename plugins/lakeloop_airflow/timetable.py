"""When the DAGs that take one day a run start, and which day each run works on.

Airflow's own timetable for partitions goes one *tick* of the cron back, which is another day when the clocks
change. The scheduler and the API server find the class by its name, through the plugin.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from airflow.timetables.base import DagRunInfo
from airflow.timetables.trigger import CronPartitionTimetable

from lakeloop.spec.days import day_before, days_between, yesterday

if TYPE_CHECKING:
    from pendulum import DateTime


class DayBefore(CronPartitionTimetable):
    """Runs at each tick of `cron` in `zone` (an IANA name), with the calendar day before it as partition key.

    The partition date of a day is the midnight at its beginning in `zone`. That the cron ticks once a day is
    seen to by the check of the loop file.
    """

    def __init__(self, cron: str, zone: str) -> None:
        super().__init__(cron, timezone=zone, key_format="%Y-%m-%d")
        self.zone = zone

    @property
    def expression(self) -> str:
        """The cron."""
        return self._expression

    def serialize(self) -> dict[str, Any]:
        return {"cron": self._expression, "zone": self.zone}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> DayBefore:
        return cls(data["cron"], data["zone"])

    def iter_partition_dagrun_infos(self, *, earliest: datetime, latest: datetime) -> Iterable[DagRunInfo]:
        """One run for each day from that of `earliest` to that of `latest`, both included, oldest first.

        The days are those that the two times show, whatever zone they are in: a form has dates. Days that
        are not over are left out.
        """
        first, last = earliest.date(), min(latest.date(), date.fromisoformat(yesterday(self.zone)))
        for day in days_between(first.isoformat(), last.isoformat()) if first <= last else []:
            begin = self._begin(day)
            yield DagRunInfo(run_after=begin, data_interval=None, partition_date=begin, partition_key=day)

    def _get_partition_info(self, run_date: DateTime) -> tuple[DateTime, str]:
        day = day_before(run_date, self.zone)
        return self._begin(day), day

    def _begin(self, day: str) -> DateTime:
        """Midnight at the beginning of `day`."""
        return self.localize_partition_datetime(datetime.fromisoformat(day))
