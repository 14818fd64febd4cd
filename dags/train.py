"""Train the candidates for the next champion, when there is enough new to learn from.

**Purpose.** `plan` decides whether a training is due. `dataset` freezes the published days as training,
validation and test rows. `baseline` (sentence embeddings and a logistic regression) and `finetune` are
trained as processes of their own, never on the test rows. `evaluate` has both, and the champion, answer
the same test rows.

**Schedule.** Whenever `transform` published a day (asset `lakeloop.<loop>.mart`); `plan` leaves most days
at that: it asks for `train.min_new_rows` new rows. Triggered by hand, the form overrides the loop file for
one run, and "train anyway" overrides the plan.

**Inputs and outputs.** In: the mart up to the partition. Out: a frozen data set, two candidates, an
evaluation with its report, asset `lakeloop.<loop>.candidate`. When no training is due `plan` ends green,
says why, and everything behind it is skipped. What was trained before from the same rows with the same
settings is not trained again.

**When it fails.** A training outlives its task: clear the task, and it finds the running process, or its
result. Exit code 64 or 65 (bad configuration, bad data) is not retried: the log ends with what was wrong.
Ended by SIGKILL is most often too little memory: lower `train.batch_size` or `train.max_tokens`.

**Owner.** The `owner` of the loop file.
"""

from airflow.sdk import DAG, PartitionedAssetTimetable, TriggerRule
from lakeloop_airflow.assets import loop_assets
from lakeloop_airflow.defaults import GPU_POOL, GPU_QUEUE, Tag, dag_arguments
from lakeloop_airflow.forms import FORCE, PARTITION, loop_fields, switch
from lakeloop_airflow.loops import readable_loops
from lakeloop_airflow.stage_task import StageOperator
from lakeloop_airflow.training import PlanOperator, TrainOperator

FIELDS = (
    "train.method",
    "train.epochs",
    "train.learning_rate",
    "train.batch_size",
    "train.max_tokens",
    "train.top_layers",
    "train.lora_rank",
    "train.seed",
    "train.base_model",
)

for loop in readable_loops():
    assets = loop_assets(loop.name)
    with DAG(
        **dag_arguments(loop, "train", Tag.MODEL, __doc__),
        schedule=PartitionedAssetTimetable(assets=assets.mart),
        params={
            "partition": PARTITION,
            FORCE: switch("Train anyway", "Train even when too few rows are new."),
            **loop_fields(loop, *FIELDS),
        },
    ):
        plan = PlanOperator(loop=loop.name, inlets=[assets.mart])
        dataset = StageOperator(loop=loop.name, stage="dataset")
        options = {
            "loop": loop.name,
            "pool": GPU_POOL,
            "queue": GPU_QUEUE,
            "trigger_rule": TriggerRule.NONE_FAILED,
        }
        baseline = TrainOperator(candidate="baseline", priority_weight=2, **options)  # the cheap one first
        finetune = TrainOperator(candidate="finetune", **options)
        evaluate = StageOperator(
            loop=loop.name,
            stage="evaluate",
            trigger_rule=TriggerRule.NONE_FAILED,
            outlets=[assets.candidate],
        )
        plan >> dataset >> [baseline, finetune] >> evaluate
