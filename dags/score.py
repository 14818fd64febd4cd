"""Answer a day's rows, or files, with the champion, into a table and a file.

**Purpose.** `score` has the champion answer the rows of `score.source`, a table of the lake or files, and
replaces the day's rows of table `scores`: each has the version, what names the row, and the answer, or why
it could not be asked. With `score.to` a Parquet file gets them too.

**Schedule.** By hand, unless the loop file says when (`score.when`): daily for the day before, whenever the
day's rows were published (asset `lakeloop.<loop>.mart` or `.raw`), whenever a release was rolled out (asset
`lakeloop.<loop>.champion`). After a move of the champion by button or command `maintenance` has it done. The
form has the source and the file; empty: those of the loop file.

**Inputs and outputs.** In: rows of the day, the champion. Out: the day's rows of table `scores`, a Parquet
file. The same rows with the same champion are skipped, and so is a day without rows or files.

**When it fails.** `ConfigurationError`: the loop file does not say what is answered, or a path leads out of
the allowed folders. `DataError`: a file cannot be read, or lacks a column; the log says which. Nothing is
published then. Mend it and clear the task: doing it again is always safe.

**Owner.** The `owner` of the loop file.
"""

from airflow.sdk import DAG, PartitionedAssetTimetable
from lakeloop_airflow.assets import loop_assets
from lakeloop_airflow.chain import stage_tasks
from lakeloop_airflow.defaults import Tag, dag_arguments
from lakeloop_airflow.forms import day_field, run_fields
from lakeloop_airflow.loops import readable_loops
from lakeloop_airflow.timetable import DayBefore

for loop in readable_loops():
    assets, schedule, when = loop_assets(loop.name), loop.schedule, loop.score.when
    of_rows = assets.raw if loop.score.source == "raw" else assets.mart
    with DAG(
        **dag_arguments(loop, "score", Tag.MODEL, __doc__),
        schedule={
            (): None,
            ("day",): DayBefore(schedule.cron, schedule.timezone),
            ("input",): PartitionedAssetTimetable(assets=of_rows),
            ("champion",): PartitionedAssetTimetable(assets=assets.champion),
        }.get(when, PartitionedAssetTimetable(assets=of_rows | assets.champion)),
        params={"partition": day_field(schedule.timezone), **run_fields(loop, "score")},
    ):
        stage_tasks(loop, "score")
