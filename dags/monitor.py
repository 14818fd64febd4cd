"""Compare what the model answered on one day with what it was trained on.

**Purpose.** Count the day's logged predictions and set the shares of their answers (by class, or by interval)
beside those of the champion's training rows. It records and decides nothing.

**Schedule.** Daily at 01:00 UTC, for the UTC day before, whatever the loop's time zone: predictions are kept
by the day in UTC on which they were made, and the server writes its last batch within minutes of midnight.
Can be triggered by hand for any day, and backfilled.

**Inputs and outputs.** In: table `predictions`, the champion's description. Out: metrics in the ledger and
in W&B. A day without predictions is skipped.

**When it fails.** Read the log; nothing depends on this DAG, and any day can be counted again later.

**Owner.** The `owner` of the loop file.
"""

from airflow.sdk import DAG
from lakeloop_airflow.chain import stage_tasks
from lakeloop_airflow.defaults import Tag, dag_arguments
from lakeloop_airflow.forms import day_field
from lakeloop_airflow.loops import readable_loops
from lakeloop_airflow.timetable import DayBefore

from lakeloop.stages.catalogue import stage_named

AN_HOUR_AFTER_MIDNIGHT = "0 1 * * *"

for loop in readable_loops():
    zone = stage_named("monitor").zone(loop)
    with DAG(
        **dag_arguments(loop, "monitor", Tag.MODEL, __doc__),
        schedule=DayBefore(AN_HOUR_AFTER_MIDNIGHT, zone),
        params={"partition": day_field(zone)},
    ):
        stage_tasks(loop, "monitor")
