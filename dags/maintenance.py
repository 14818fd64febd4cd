"""Find what was left behind, and keep the lake small.

**Purpose.** `pending` asks the lake which partitions were published and never used, and the sources which
drops, or labels, were never ingested, since the first day that was (they came late, or no scheduler ran), or
are others than those that were ingested; also which days have rows that got their answer since, records that
people corrected since, or rows that wait in quarantine for an answer that the loop file knows by now.
`trigger` starts the DAG of each: asset events can get lost, the lake does not.
A drop that looks as it did (size and times of its file) is not read again. A day older than the first that
was ingested is left alone, and the record of `maintain` names such days: ingest them by hand. A step that is
started twice finds its work done. `maintain` compacts and vacuums the tables, removes what is beyond its
limit on the disk (`lakeloop disk` says what that is: weights by section `keep` of the loop file, folders and
checkpoints of trainings, caches, logs), and counts the journals that W&B does not have yet.

**Schedule.** Daily at 04:00 UTC, when the night's runs are over. Can be triggered by hand at any time;
with "dry run" it only says what is left to do.

**Inputs and outputs.** In: the ledger. Out: runs of the other DAGs; fewer and larger files. Versions of
the tables that a reader may still have pinned are kept.

**When it fails.** Read the log; nothing depends on this DAG, and the next run does what this one left.
`trigger` leaves out DAGs that are paused, and says so.

**Owner.** The `owner` of the loop file.
"""

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, CronTriggerTimetable
from lakeloop_airflow.chain import stage_tasks
from lakeloop_airflow.defaults import Tag, dag_arguments
from lakeloop_airflow.forms import DRY_RUN, switch
from lakeloop_airflow.loops import readable_loops
from lakeloop_airflow.upkeep import PendingOperator

AFTER_THE_NIGHTS_RUNS = "0 4 * * *"
A_FEW = 4  # of a backlog's triggers at a time: the runs that they start need the machine, too

for loop in readable_loops():
    with DAG(
        **dag_arguments(loop, "maintenance", Tag.UPKEEP, __doc__),
        schedule=CronTriggerTimetable(AFTER_THE_NIGHTS_RUNS, timezone="UTC"),
        params={DRY_RUN: switch("Dry run", "Only say what is left to do: trigger and delete nothing.")},
    ):
        pending = PendingOperator(loop=loop.name)
        TriggerDagRunOperator.partial(
            task_id="trigger", logical_date=None, skip_when_already_exists=True, max_active_tis_per_dag=A_FEW
        ).expand_kwargs(pending.output)
        stage_tasks(loop, "maintenance")
