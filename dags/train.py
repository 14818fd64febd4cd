"""Train the candidates for the next champion, when there is enough new to learn from.

**Purpose.** `plan` decides whether a training is due. `dataset` freezes the published days as training,
validation and test rows. Each of the loop's candidates (`train.candidates`; without any, `baseline`, a linear
model on sentence embeddings, and `finetune`) is trained as a process of its own, never on the test rows.
`evaluate` has all of them, and the champion, answer the same test rows. A candidate that the loop searches
for (`train.search`) has several tasks: `<candidate>_slots` says which trials are to be done,
`<candidate>_trial` is mapped over them, and `<candidate>` stores the best.

**Schedule.** Whenever `transform` published a day (asset `lakeloop.<loop>.mart`); `plan` leaves most days
at that: it asks for `train.min_new_rows` new rows. Days may come in any order: whichever day started the run,
the training is that of the newest published day, on all that is published. One that is due waits for days
that are on their way through `ingest` and `transform`, in the triggerer and in no slot, so that a backfill
ends in one; it goes on when none has moved for an hour. Triggered by hand, the form overrides the loop file
for one run, and "train anyway" overrides the plan, waits for nothing and trains on the days up to the run's
own. With a name in the field "experiment" the run is one: it trains whatever the plan says, on the newest
published day unless the form names one, `evaluate` compares with the champion, and nothing follows: no asset
event, no release, nothing due (`lakeloop status` shows it).

**Inputs and outputs.** In: all published days of the mart. Out: a frozen data set, the candidates, an
evaluation with its report, asset `lakeloop.<loop>.candidate`. When no training is due `plan` ends green,
says why, and everything behind it is skipped. What was trained before from the same rows with the same
settings is not trained again.

**When it fails.** A training outlives its task: clear the task, and it finds the running process, or its
result. A training whose own process was ended goes on from its last checkpoint when the task is tried again.
Exit code 64 or 65 (bad configuration, bad data) is not retried: the log ends with what was wrong.
Ended by SIGKILL is most often too little memory: lower `train.batch_size` or `train.max_tokens`. One that
hangs is ended, with the stacks of its threads in its log, and tried again. The same holds for trials; one
whose task has failed for good is given up, and the search goes on.

**Owner.** The `owner` of the loop file.
"""

from airflow.sdk import DAG, PartitionedAssetTimetable
from lakeloop_airflow.assets import loop_assets
from lakeloop_airflow.chain import stage_tasks
from lakeloop_airflow.defaults import Tag, dag_arguments
from lakeloop_airflow.forms import EXPERIMENT, FORCE, day_field, experiment_field, run_fields, switch
from lakeloop_airflow.loops import readable_loops
from lakeloop_airflow.training import PlanOperator

for loop in readable_loops():
    assets = loop_assets(loop.name)
    with DAG(
        **dag_arguments(loop, "train", Tag.MODEL, __doc__),
        schedule=PartitionedAssetTimetable(assets=assets.mart),
        params={
            "partition": day_field(loop.schedule.timezone),
            FORCE: switch("Train anyway", "Train even when too few rows are new."),
            EXPERIMENT: experiment_field(),
            **run_fields(loop, "train"),
            **run_fields(loop, "evaluate"),
        },
    ):
        PlanOperator(loop=loop.name, inlets=[assets.mart]) >> stage_tasks(loop, "train")
