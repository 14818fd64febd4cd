"""One verb for each stage: the same function that Airflow runs, for one day of one loop."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

import typer

from lakeloop.cli.arguments import AsJson, LoopName, Partition

app = typer.Typer()
_PANEL = "Stages"

Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override the loop file for this run: train.epochs=3."),
]


@app.command(rich_help_panel=_PANEL)
def ingest(loop: LoopName, partition: Partition, json: AsJson = False) -> None:
    """Read a day's drop into the table raw; every bad line goes to quarantine, whole."""
    from lakeloop.cli.running import run_stage
    from lakeloop.stages.ingest import ingest as stage

    run_stage(stage, loop, partition, as_json=json)


@app.command(rich_help_panel=_PANEL)
def transform(loop: LoopName, partition: Partition, json: AsJson = False) -> None:
    """Build the day's mart rows from raw with dbt; nobody reads them yet."""
    from lakeloop.cli.running import run_stage
    from lakeloop.stages.transform import transform as stage

    run_stage(stage, loop, partition, as_json=json)


@app.command(rich_help_panel=_PANEL)
def validate(loop: LoopName, partition: Partition, json: AsJson = False) -> None:
    """Check the built rows, quarantine the bad ones, publish the rest to the mart."""
    from lakeloop.cli.running import run_stage
    from lakeloop.stages.validate import validate as stage

    run_stage(stage, loop, partition, as_json=json)


@app.command(rich_help_panel=_PANEL)
def dataset(loop: LoopName, partition: Partition, json: AsJson = False) -> None:
    """Freeze all published days up to this one as training, validation and test rows."""
    from lakeloop.cli.running import run_stage
    from lakeloop.stages.dataset import dataset as stage

    run_stage(stage, loop, partition, as_json=json)


@app.command(rich_help_panel=_PANEL)
def train(
    loop: LoopName,
    partition: Partition,
    candidate: Annotated[
        Literal["baseline", "finetune"] | None, typer.Option(help="Train only this one; default: both.")
    ] = None,
    method: Annotated[str | None, typer.Option(help="How to fine-tune: top_layers, lora or full.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Default: what suits the method.")] = None,
    epochs: Annotated[int | None, typer.Option(help="At most so many passes over the rows.")] = None,
    base_model: Annotated[str | None, typer.Option(help="package:NAME or a folder.")] = None,
    set_: Set = None,
    json: AsJson = False,
) -> None:
    """Train the baseline and the fine-tune on the frozen rows, each as a process of its own.

    Options override the loop file for this run. Started again while the process lives, it attaches to it.
    """
    from lakeloop.cli.logs import at_least_info
    from lakeloop.cli.running import overrides, run_stage
    from lakeloop.stages.train import Candidate
    from lakeloop.stages.train import train as stage

    at_least_info()  # it takes minutes: epochs and losses are worth seeing
    named = {"method": method, "learning_rate": learning_rate, "epochs": epochs, "base_model": base_model}
    changes = overrides(set_ or [], **named)
    for each in [candidate] if candidate else get_args(Candidate):
        run_stage(stage, loop, partition, as_json=json, changes=changes, candidate=each)


@app.command(rich_help_panel=_PANEL)
def evaluate(loop: LoopName, partition: Partition, set_: Set = None, json: AsJson = False) -> None:
    """Score the candidates and the champion on the same held-out rows."""
    from lakeloop.cli.running import overrides, run_stage
    from lakeloop.stages.evaluate import evaluate as stage

    run_stage(stage, loop, partition, as_json=json, changes=overrides(set_ or []))


@app.command(rich_help_panel=_PANEL)
def release(loop: LoopName, partition: Partition, set_: Set = None, json: AsJson = False) -> None:
    """Let the gate decide; register the better candidate and make it the champion, or refuse it."""
    from lakeloop.cli.running import overrides, run_stage
    from lakeloop.stages.release import release as stage

    run_stage(stage, loop, partition, as_json=json, changes=overrides(set_ or []))


@app.command(rich_help_panel=_PANEL)
def rollout(
    loop: LoopName,
    partition: Partition,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait for the server.")] = 120,
    json: AsJson = False,
) -> None:
    """Wait until the model server answers with the champion, and send it the smoke texts."""
    from lakeloop.cli.running import run_stage
    from lakeloop.stages.rollout import rollout as stage

    run_stage(stage, loop, partition, as_json=json, timeout_seconds=timeout)


@app.command(rich_help_panel=_PANEL)
def monitor(loop: LoopName, partition: Partition, json: AsJson = False) -> None:
    """Compare the day's predictions with the labels of the champion's training."""
    from lakeloop.cli.running import run_stage
    from lakeloop.stages.monitor import monitor as stage

    run_stage(stage, loop, partition, as_json=json)


@app.command(rich_help_panel=_PANEL)
def maintain(loop: LoopName, partition: Partition, json: AsJson = False) -> None:
    """Compact the tables, replay what W&B missed, and name the work that is left."""
    from lakeloop.cli.running import run_stage
    from lakeloop.stages.maintain import maintain as stage

    run_stage(stage, loop, partition, as_json=json)
