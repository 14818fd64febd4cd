"""One verb for each stage of the catalogue: the same function that Airflow runs, for one day of one loop."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from inspect import Parameter
from typing import Annotated, Any

import typer

from lakeloop.cli.arguments import AsJson, Experiment, LoopName, Partition, known_loop
from lakeloop.spec.days import yesterday
from lakeloop.stages.catalogue import STAGES, Stage

app = typer.Typer()
_PANEL = "Stages"
_EVALUATE = "evaluate"

Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override the loop file for this run: train.epochs=3, train.method=lora, train.method.rank=4.",
    ),
]
Candidate = Annotated[str | None, typer.Option(help="Only the candidate of this name; default: all.")]


def _verb(stage: Stage) -> Callable[..., None]:
    """The verb of a stage; Typer reads its options from the signature."""

    def verb(loop: str, partition: str | None, **given: Any) -> None:
        from lakeloop.cli.logs import at_least_info
        from lakeloop.cli.running import overrides, run_stage

        changes, experiment = overrides(given.get("set_") or []), given.get("experiment", "")
        day = usual_day(stage, loop, experiment) if partition is None else partition
        options: dict[str, Any] = {option.keyword: given[option.name] for option in stage.options}
        options |= {"as_json": given["json"], "changes": changes, "experiment": experiment}
        if stage.per != "candidate":
            run_stage(stage.function, loop, day, **options)
            return
        at_least_info()  # it takes minutes: epochs and losses are worth seeing
        for name in _candidates(loop, changes, given["candidate"]):
            run_stage(stage.function, loop, day, candidate=name, **options)

    verb.__signature__ = inspect.Signature(_parameters(stage))  # type: ignore[attr-defined]
    return verb


def usual_day(stage: Stage, loop: str, experiment: str = "") -> str:
    """The day that a stage works on where none is named: the newest that is ready for it, or yesterday.

    An experiment is evaluated on the newest day that it was trained on.
    """
    from lakeloop.cli.running import open_loop

    if stage.after:
        context = open_loop(loop, {}, experiment=experiment)
        own = context.loop.train.all_candidates if experiment and stage.name == _EVALUATE else ()
        newest_day = context.lake.ledger.newest_day
        trained = filter(None, (newest_day(context.record_name("train", each.name)) for each in own))
        if ready := max(trained, default=None) or newest_day(stage.after):
            return ready
    return yesterday(stage.zone(known_loop(loop)[0]))


def _candidates(loop: str, changes: dict[str, Any], asked: str | None) -> list[str]:
    from lakeloop.cli.running import open_loop

    return [asked] if asked else [each.name for each in open_loop(loop, changes).loop.train.all_candidates]


def _experiment(stage: Stage) -> Any:
    """The option for an experiment; who gives it to a release is told by the stage why there is none."""
    return Annotated[str, typer.Option(hidden=True)] if stage.phase == "release" else Experiment


def _parameters(stage: Stage) -> list[Parameter]:
    wanted: list[tuple[str, Any, Any]] = [
        ("loop", LoopName, Parameter.empty),
        ("partition", Partition, None),
    ]
    if stage.per == "candidate":
        wanted.append(("candidate", Candidate, None))
    wanted += [
        (option.name, Annotated[float, typer.Option(min=0, help=option.help)], option.default)
        for option in stage.options
    ]
    if stage.settable:
        wanted += [("set_", Set, None), ("experiment", _experiment(stage), "")]
    wanted.append(("json", AsJson, False))
    return [
        Parameter(name, Parameter.KEYWORD_ONLY, annotation=kind, default=default)
        for name, kind, default in wanted
    ]


for _stage in STAGES:
    if _stage.own_verb:
        continue
    app.command(_stage.name, help=_stage.help, rich_help_panel=_PANEL)(_verb(_stage))
