"""The verb that says why a training, or a stage of a day, would be skipped or run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lakeloop.cli.arguments import Experiment, LoopName
from lakeloop.errors import ConfigurationError
from lakeloop.spec.reading.nearest import nearest
from lakeloop.stages.catalogue import STAGES, Stage, stage_named

if TYPE_CHECKING:
    from lakeloop.stages.frame.session import StageContext
    from lakeloop.stages.frame.why import Field, Why

Candidate = Annotated[str | None, typer.Option(help="Only the candidate of this name; default: all.")]

app = typer.Typer()
_PANEL = "The loop"
_TRAIN = "train"
_COLOURS = {"run": "green", "skip": "cyan", "nothing": "cyan"}


@app.command(rich_help_panel=_PANEL)
def why(
    loop: LoopName,
    candidate: Candidate = None,
    partition: Annotated[
        str | None,
        typer.Option(
            "--partition", "-p", metavar="YYYY-MM-DD", help="The day; default: the newest that is published."
        ),
    ] = None,
    stage: Annotated[str, typer.Option(help="A stage of the day instead of the training.")] = _TRAIN,
    experiment: Experiment = "",
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON, for other programs.")] = False,
) -> None:
    """Say why the next training, or a stage of a day, would be skipped or run, field by field."""
    from lakeloop.cli.running import open_loop, working
    from lakeloop.local.status_view import console_for_people
    from lakeloop.spec.days import require_day, yesterday
    from lakeloop.stages.frame.why import why as why_stage
    from lakeloop.stages.training.why import why_training

    asked = _stage(stage)
    if partition is not None:
        require_day(partition, where="--partition")
    if candidate and asked.name != _TRAIN:
        raise ConfigurationError(
            "only trainings have candidates", where="--candidate", found=f"--stage {stage}"
        )
    context = open_loop(loop, {}, experiment=experiment, looking=True)
    with working(f"asking {stage} of {loop}"):
        if asked.name == _TRAIN:
            training = why_training(context, partition, candidate or "")
            parts, text = training.candidates, training.model_dump_json(indent=2)
            head = f"{loop}: {'a' if training.due else 'no'} training is due: {training.decision}"
            head += f"\nbudget: {training.budget}" if training.budget else ""
        else:
            last = context.lake.ledger.latest(context.record_name(stage))
            day = partition or (last.partition if last else yesterday(asked.zone(context.loop)))
            one = why_stage(context, asked, day)
            parts, text, head = (one,), one.model_dump_json(indent=2), ""
    if json:
        typer.echo(text)
        return
    console = console_for_people()
    if misfit := context.lake.misfit(context.loop):
        console.print(Text(f"{loop}: no stage can run: {misfit}"))
    if head:
        console.print(Text(head), *_decision(context))
    for part in parts:
        console.print(Group(*_shown(part)))


def _decision(context: StageContext) -> Iterator[RenderableType]:
    """What became of the last trial, and the gate's last decision with each thing that it asked for."""
    from lakeloop.registry.decisions import SUPERSEDED, decision_of, is_decided
    from lakeloop.registry.registry import Registry
    from lakeloop.stages.release.standing import last_told, trial_standing

    ledger, history = context.lake.ledger, Registry(context.lake, context.attempt).read()
    if history.trial and (tried := trial_standing(context)):
        yield Text(f"\ntrial: {tried.sentence}")
    elif last := last_told(history):
        yield Text(f"\nlast trial: {last}")
    record = next(filter(is_decided, reversed(ledger.entries("release"))), None)
    if record is None:
        return
    how = "superseded" if SUPERSEDED in record.outputs else record.status
    yield Text(f"\nlast decision of the gate, {record.partition} ({how}): {record.reason}")
    decision = decision_of(context.lake.files, record)
    if decision is None or not decision.checks:
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("", "asked", "expected", "found"):
        table.add_column(name, overflow="fold")
    for check in decision.checks:
        mark, style = ("  ✓", "") if check.passed else ("  ✗", "red")
        table.add_row(mark, Text(check.name), Text(check.expected), Text(check.found), style=style)
    yield table


def _stage(name: str) -> Stage:
    known = [each.name for each in STAGES if each.decides]
    if name not in known:
        raise ConfigurationError(
            "no stage whose inputs alone decide",
            where="--stage",
            expected=", ".join(known),
            found=name,
            remedy=f"did you mean {close}?" if (close := nearest(name, known)) else "",
        )
    return stage_named(name)


def _shown(found: Why) -> Iterator[RenderableType]:
    head = Text.assemble(
        f"\n{found.stage} {found.partition}: ", (found.reason, f"bold {_COLOURS[found.verdict]}")
    )
    yield head
    if found.earlier:
        yield Text(f"  beside {found.earlier}", style="dim")
    if found.fields:
        yield _table(found.different_first)
    if found.verdict == "skip":
        yield Text(
            f"  another value of one of these would have it run: {', '.join(found.changed_by)}", style="dim"
        )


def _table(fields: Sequence[Field]) -> Table:
    from lakeloop.stages.frame.why import beside

    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("", "field", "then", "now"):
        table.add_column(name, overflow="fold")
    for each in fields:
        mark, style = {True: ("=", "dim"), False: ("≠", ""), None: ("?", "")}[each.equal]
        then, now = beside(each)
        table.add_row(
            f"  {mark}", each.name, Text(then or "not recorded"), Text(now or "not known yet"), style=style
        )
    return table
