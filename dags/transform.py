"""Build one day of the mart from its raw rows, check it, and publish it.

**Purpose.** `transform` runs dbt: text normalised, into `staging`, which nobody else reads. `validate`
judges every row, quarantines the bad ones, keeps the first of near-duplicates among the good ones, has Great
Expectations check what is left, and only then publishes the day in `mart`.

**Schedule.** Whenever `ingest` published a day of raw rows, or rows of a day got labels that come apart
(asset `lakeloop.<loop>.raw`), for that day.
Can be triggered by hand for any day.

**Inputs and outputs.** In: table `raw`, and `labels`: rows without one wait. Out: tables `staging`,
`mart` and `quarantine`, the day's Data Docs, asset `lakeloop.<loop>.mart`. What has not changed is skipped:
`validate` decides for itself, so a changed check is applied even when `transform` had nothing to do. When
both were skipped nothing is announced.

**When it fails.** A check of the day failed: nothing was published, yesterday's mart stands; open Data
Docs on the task `validate`, mend the source or the check, clear the task. dbt failed: the log names the
model, which was generated unless the loop has its own in `dbt/models/<loop>` (`lakeloop eject <loop>`).

**Owner.** The `owner` of the loop file.
"""

from airflow.sdk import DAG, PartitionedAssetTimetable
from lakeloop_airflow.assets import loop_assets
from lakeloop_airflow.chain import stage_tasks
from lakeloop_airflow.defaults import Tag, dag_arguments
from lakeloop_airflow.forms import day_field
from lakeloop_airflow.loops import readable_loops

for loop in readable_loops():
    assets = loop_assets(loop.name)
    with DAG(
        **dag_arguments(loop, "transform", Tag.DATA, __doc__),
        schedule=PartitionedAssetTimetable(assets=assets.raw),
        params={"partition": day_field(loop.schedule.timezone)},
    ):
        stage_tasks(loop, "transform", inlets=[assets.raw])
