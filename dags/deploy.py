"""Let the better model through the gate, and put it behind the model server.

**Purpose.** `release` judges the evaluated candidates: good enough, no worse than the champion on the same
rows, a reason to replace it? Where the loop file says `approval: human`, task `approve` asks a person
first; a newer candidate ends the question about an older one. The winner becomes a version of the registry
and its champion, by compare-and-swap; where the loop file has `deploy.shadow` or `deploy.canary` it is put
beside the champion instead, and `trial` walks it from the shadow through each share into the champion's
place, or takes it back. Between its looks `trial` is deferred: it waits for requests, for days if need be, in
no slot of a worker. `rollout` waits until the model server answers with the champion, and sends it the loop
file's smoke texts.

**Schedule.** Whenever `train` evaluated candidates (asset `lakeloop.<loop>.candidate`). Can be triggered
by hand, with other rules for the gate, for the partition of an evaluation.

**Inputs and outputs.** In: the evaluated candidates, the champion. Out: a model version, the alias
`champion`, asset `lakeloop.<loop>.champion`. A refused candidate is a result: `release` ends green and
says why; the champion stays. So is a question that was superseded: `approve` and `release` end skipped, and
say by which day. So is a version that is taken back: `trial` ends green, with the numbers. A newer candidate
waits for the end of a trial. `lakeloop rollback` ends one at once, `lakeloop promote` too.

**When it fails.** `release`: `FenceError` means that another release was first; the retry judges anew.
`trial`: clear it at any time, it looks at the same tables again; a trial that nobody looks at any more is
found by `maintenance`. `rollout`: the server is away or does not take the version; its log says why. Start
it, clear the task: the version is released already, nothing is done twice.

**Owner.** The `owner` of the loop file.
"""

from airflow.sdk import DAG, PartitionedAssetTimetable
from lakeloop_airflow.assets import loop_assets
from lakeloop_airflow.chain import stage_tasks
from lakeloop_airflow.defaults import Tag, dag_arguments
from lakeloop_airflow.forms import day_field, run_fields
from lakeloop_airflow.loops import readable_loops

for loop in readable_loops():
    assets = loop_assets(loop.name)
    with DAG(
        **dag_arguments(loop, "deploy", Tag.MODEL, __doc__),
        schedule=PartitionedAssetTimetable(assets=assets.candidate),
        params={"partition": day_field(loop.schedule.timezone), **run_fields(loop, "gate")},
    ):
        stage_tasks(loop, "deploy", inlets=[assets.candidate])
