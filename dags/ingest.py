"""Bring one day of raw rows into the lake.

**Purpose.** Read the day's drop, keep every good line typed in the table `raw`, and every bad one whole,
with the reason, in `quarantine`. Lines read = rows + quarantined + exact duplicates, or nothing is
published. Where the loop file has a section `labels`, task `labels` reads the answers that were delivered on
the day, of rows of any day, into table `labels`.

**Schedule.** Daily at the loop file's `schedule.cron`: the partition is the calendar day before in the time
zone of the loop file, which is over by then. Can be triggered by hand for any day, and backfilled from the
web UI: its dates are the days to work on, both ends included; days that are not over are left out. Days that
passed while no scheduler ran are not caught up with by this DAG: `maintenance` finds those that have a drop.

**Inputs and outputs.** In: the source of the loop file. Out: tables `raw` and `quarantine`, asset
`lakeloop.<loop>.raw`; `labels` tells it of each day whose rows got answers. A day whose drop has not
changed, and of which no record was corrected since, is skipped and announces nothing.

**When it fails.** `DataError`, `ConfigurationError`: not retried; the log says where, what was expected
and what came. Mend the drop or the loop file, then clear the task. Anything else is retried three times.
Running it again is always safe: a partition is replaced whole or not at all.

**Owner.** The `owner` of the loop file.
"""

from airflow.sdk import DAG
from lakeloop_airflow.chain import stage_tasks
from lakeloop_airflow.defaults import Tag, dag_arguments
from lakeloop_airflow.forms import day_field
from lakeloop_airflow.loops import readable_loops
from lakeloop_airflow.timetable import DayBefore

for loop in readable_loops():
    with DAG(
        **dag_arguments(loop, "ingest", Tag.DATA, __doc__),
        schedule=DayBefore(loop.schedule.cron, loop.schedule.timezone),
        params={"partition": day_field(loop.schedule.timezone)},
    ):
        stage_tasks(loop, "ingest")
