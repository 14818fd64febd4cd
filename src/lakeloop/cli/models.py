"""Verbs for the versions of a loop's model: which there are, which answers, where one is from."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from lakeloop.cli.arguments import LoopName

if TYPE_CHECKING:
    from lakeloop.evidence import Evidence
    from lakeloop.lake.files import LakeFiles
    from lakeloop.registry.compare import Compared, Comparison
    from lakeloop.registry.history import Answer, ModelVersion, Move
    from lakeloop.registry.lineage import Lineage, Step
    from lakeloop.registry.listing import Listing
    from lakeloop.stages.frame.session import StageContext

app = typer.Typer()
_PANEL = "Models"

Version = Annotated[str, typer.Argument(metavar="VERSION", help="Name of a version, such as v3.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept in the registry's history.")]
Json = Annotated[bool, typer.Option("--json", help="Print it as JSON, for other programs.")]


@app.command(rich_help_panel=_PANEL)
def models(
    loop: LoopName,
    version: Annotated[
        str | None, typer.Argument(metavar="[VERSION]", help="Show the model card of this version.")
    ] = None,
    json: Json = False,
) -> None:
    """Show the versions of the loop's model, the newest first, every move of the champion, and trials.

    With VERSION its model card, as it was kept when it was registered.
    """
    from lakeloop.cli.running import open_loop, working
    from lakeloop.registry.listing import list_versions
    from lakeloop.registry.registry import Registry
    from lakeloop.stages.release.standing import trial_standing

    context = open_loop(loop, {})
    if version:
        _show_card(context, version, as_json=json)
        return
    with working(f"reading the registry of {loop}"):
        history = Registry(context.lake, context.attempt).read()
        found = list_versions(loop, history, context.loop.metric, context.lake.ledger.entries("dataset"))
        tried = trial_standing(context) if history.trial and not json else None
    if json:
        typer.echo(found.model_dump_json(indent=2))
    elif not found.versions:
        typer.echo(f"{loop} has no version yet; a release makes one: lakeloop run {loop}")
        if found.superseded:
            _print(Text(), _superseded(found.superseded))
    else:
        _show_listing(found)
        if tried:
            _print(Text(), Text(f"tried since {tried.trial.began_at:%Y-%m-%d %H:%M}: {tried.sentence}"))


@app.command(rich_help_panel=_PANEL)
def promote(loop: LoopName, version: Version, reason: Reason) -> None:
    """Make a registered version champion by hand, whatever the gate said; who, when and why are kept.

    Model servers take it within seconds. It is a promotion: a rollback goes back to what it replaced.
    """
    from lakeloop.cli.running import open_loop, user
    from lakeloop.registry.registry import Registry
    from lakeloop.stages.release.telling import tell_move

    context = open_loop(loop, {})
    registry = Registry(context.lake, context.attempt)
    promoted = registry.promote_by_hand(version, reason=reason, by=user())
    history = registry.read()
    tell_move(context, history)
    before = history.previous
    typer.echo(
        f"{promoted.name} is champion of {loop}; "
        + (f"a rollback goes back to {before.name}" if before else "there was none before")
    )


@app.command(rich_help_panel=_PANEL)
def rollback(
    loop: LoopName,
    reason: Reason,
    to: Annotated[
        str | None,
        typer.Option(metavar="VERSION", help="Go to this version instead, also to one that was rolled back."),
    ] = None,
) -> None:
    """Make the version before the champion champion again; model servers take it within seconds.

    That is the version whose place the champion took by a promotion: twice goes two versions back. While
    another version is tried beside the champion its trial ends instead, and the champion stays.
    """
    from lakeloop.cli.running import open_loop, user
    from lakeloop.registry.registry import Registry
    from lakeloop.stages.release.telling import tell_move

    context = open_loop(loop, {})
    registry = Registry(context.lake, context.attempt)
    ended = len(registry.read().trial_ends)
    version = registry.rollback(reason, to=to, by=user())
    history = registry.read()
    before = history.previous
    if ends := history.trial_ends[ended:]:
        back = f"; once more goes back to {before.name}" if before else ""
        typer.echo(
            f"the trial of {ends[-1].version} has ended, {version.name} stays champion of {loop}{back}"
        )
        return
    tell_move(context, history)
    typer.echo(
        f"{version.name} is champion of {loop} again; "
        f"before it came {before.name if before else 'no other, so that is as far back as it goes'}"
    )


@app.command(rich_help_panel=_PANEL)
def compare(loop: LoopName, first: Version, second: Version, json: Json = False) -> None:
    """Compare two versions: how they were made, field by field, their size, their scores on the same rows."""
    from lakeloop.cli.running import open_loop, working
    from lakeloop.evaluation.stored import evidence_of
    from lakeloop.registry.compare import compare as beside
    from lakeloop.registry.registry import Registry

    context = open_loop(loop, {})
    registry, files = Registry(context.lake, context.attempt), context.lake.files
    with working(f"comparing versions of {loop}"):
        history = registry.read()
        one, other = (registry.require(history, name) for name in (first, second))
        found = beside(
            files, one, other, context.lake.ledger.entries(), functools.partial(evidence_of, files)
        )
    if json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        _show_comparison(found)


@app.command(rich_help_panel=_PANEL)
def lineage(loop: LoopName, version: Version, json: Json = False) -> None:
    """Show where a version is from, down to days, files and lines, and which answers were given with it."""
    from lakeloop.cli.running import open_loop, working
    from lakeloop.registry.lineage import lineage_of
    from lakeloop.registry.registry import Registry

    context = open_loop(loop, {})
    registry = Registry(context.lake, context.attempt)
    with working(f"reading the ledger of {loop}"):
        history = registry.read()
        found = lineage_of(context.lake, history, registry.require(history, version))
    if json:
        typer.echo(found.model_dump_json(indent=2))
    else:
        _show_lineage(found)


@app.command(rich_help_panel=_PANEL)
def keep(loop: LoopName, json: Json = False) -> None:
    """Say which models maintenance would remove by `keep` of the loop file, and their bytes; remove none."""
    from lakeloop.cli.running import open_loop, working
    from lakeloop.stages.watch.maintain import to_remove

    context = open_loop(loop, {})
    with working(f"looking at the models of {loop}"):
        found = to_remove(context)
    if json:
        typer.echo(found.model_dump_json(indent=2))
        return
    rows = [(each.name, f"{each.bytes:,}", each.reason) for each in found.going]
    rows += [(name, "stays", reason) for name, reason in found.staying.items()]
    _print(_table(("folder", "bytes that go", "why"), rows))
    typer.echo(f"{len(found.going)} of {len(rows)} would go, {found.bytes:,} bytes; nothing was removed")


@app.command(rich_help_panel=_PANEL)
def export(
    loop: LoopName,
    version: Version,
    to: Annotated[Path, typer.Option(metavar="FOLDER", help="A folder that is not there yet.")],
    int8: Annotated[
        bool, typer.Option("--int8", help="Also the network in eight bits, checked on test rows.")
    ] = False,
    min_agreement: Annotated[
        float, typer.Option(min=0, max=1, help="Share of test rows that it has to answer alike.")
    ] = 0.98,
) -> None:
    """Write a version into a folder: what the server loads, the encoder for transformers, the model card.

    With its Dockerfile it makes an image that answers without a lake.
    """
    from lakeloop.cli.running import open_loop, working
    from lakeloop.datasets.freeze import held_back
    from lakeloop.registry.export import export_version
    from lakeloop.registry.registry import Registry
    from lakeloop.registry.smaller import CHECK, ROWS

    context = open_loop(loop, {})
    registry, files = Registry(context.lake, context.attempt), context.lake.files
    with working(f"exporting {version} of {loop}"):
        found = registry.require(registry.read(), version)
        digest, task = found.card.dataset_digest, context.loop.task
        rows = functools.partial(held_back, files, digest, task, ROWS)
        smaller = (rows, min_agreement) if int8 else None
        names = export_version(files, context.loop, found, _evidence(files, found), to, smaller)
    parts = dict.fromkeys(name.partition("/")[0] + ("/" if "/" in name else "") for name in names)
    typer.echo(f"{to}: {len(names)} files in {', '.join(parts)}")
    typer.echo(f"how to answer with it: {to / 'RUN.md'}")
    if int8:
        typer.echo((to / "int8" / CHECK).read_text().rstrip())


def _evidence(files: LakeFiles, version: ModelVersion) -> Callable[[], Evidence | None]:
    """What the gate accepted a version on, to be read where it is needed."""
    from lakeloop.evaluation.stored import read

    return lambda: read(files, version.card.evidence) if version.card.evidence else None


def _show_card(context: StageContext, name: str, *, as_json: bool) -> None:
    from lakeloop.registry.card import kept_card
    from lakeloop.registry.registry import Registry

    registry, files = Registry(context.lake, context.attempt), context.lake.files
    version = registry.require(registry.read(), name)
    text = kept_card(files, context.loop, version, _evidence(files, version))
    typer.echo(version.model_dump_json(indent=2) if as_json else text)


def _show_listing(found: Listing) -> None:
    from lakeloop.measures.base import shown

    rows = [
        (
            each.version,
            ", ".join(each.aliases),
            "" if each.score is None else shown(each.score),
            f"{each.candidate}: {each.method}",
            each.dataset_day,
            f"{each.registered_at:%Y-%m-%d %H:%M}",
            each.decision,
        )
        for each in found.versions
    ]
    _print(_table(("version", "alias", found.metric, "candidate", "data to", "registered", "decision"), rows))
    _print(Text(), _moves(found.moves))
    if found.trial_ends:
        ends = [
            (f"{end.ended_at:%Y-%m-%d %H:%M}", end.version, end.by or end.run_id, end.reason)
            for end in found.trial_ends
        ]
        _print(Text(), _table(("when (UTC)", "trial ended", "by", "why"), ends))
    if found.superseded:
        _print(Text(), _superseded(found.superseded))


def _superseded(ended: Sequence[Answer]) -> Table:
    rows = [
        (f"{each.answered_at:%Y-%m-%d %H:%M}", each.candidate[:12], "automatic", each.title) for each in ended
    ]
    return _table(("when (UTC)", "question about", "by", "how it ended"), rows)


def _moves(moves: Sequence[Move]) -> Table:
    rows = [
        (
            f"{move.moved_at:%Y-%m-%d %H:%M}",
            f"{move.previous or 'none'} → {move.version}",
            move.by or move.run_id,
            move.reason,
        )
        for move in moves
    ]
    return _table(("when (UTC)", "champion", "by", "why"), rows)


def _show_comparison(found: Comparison) -> None:
    different = [each for each in found.made if not each.equal]
    head = f"{len(different)} of {len(found.made)} fields of how they were made differ"
    _print(Text(head), _fields(different, found), Text())
    _print(_fields(found.size, found, title="bytes"), Text())
    if both := found.together:
        _print(Text(f"on the same {both.rows} test rows of {both.partition}:"))
        scores = both.scores
    else:
        _print(Text("they never stood in one evaluation; these scores may be of other rows:"))
        scores = found.cards
    _print(_scores(scores, found))


def _fields(fields: Iterable[Compared], found: Comparison, title: str = "field") -> Table:
    from lakeloop.stages.frame.why import shortened

    rows = [(each.name, shortened(each.first), shortened(each.second)) for each in fields]
    return _table((title, found.first, found.second), rows)


def _scores(scores: Iterable[tuple[str, float | None, float | None]], found: Comparison) -> Table:
    from lakeloop.measures.registry import told

    rows = [(name, *("" if score is None else told(name, score) for score in both)) for name, *both in scores]
    return _table(("score", found.first, found.second), rows)


def _show_lineage(found: Lineage) -> None:
    aliases = f" ({', '.join(found.aliases)})" if found.aliases else ""
    _print(Text(f"{found.loop} {found.version}{aliases}, artifact {found.digest[:12]}", style="bold"))
    steps = [found.release, found.evaluation, found.training, found.dataset]
    _print(_steps([step for step in steps if step]), Text())
    rows = []
    for day in found.days:
        read, published = day.read, day.published
        rows.append(
            (
                day.day,
                day.drop.rpartition("/")[2],
                day.drop_identity.removeprefix("sha256:")[:12],
                "" if read is None else f"{read.read} = {read.accepted}+{read.quarantined}+{read.duplicates}",
                "" if published is None else str(published.accepted),
                day.dbt_models.removeprefix("sha256:")[:12],
            )
        )
    head = ("day", "file", "identity", "lines = accepted+quarantined+doubled", "rows in mart", "dbt models")
    _print(_table(head, rows), Text())
    if found.missing:
        _print(Text(f"the ledger does not say any more: {', '.join(found.missing)}", style="yellow"), Text())
    total = sum(found.answers.values())
    _print(Text(f"{total:,} answers in the prediction log were given with it"))
    if total:
        _print(_table(("day", "answers"), [(day, f"{count:,}") for day, count in found.answers.items()]))
    _print(Text(), _moves(found.moves))


def _steps(steps: Sequence[Step]) -> Table:
    rows = [
        (
            step.stage,
            step.partition,
            f"{step.finished_at:%Y-%m-%d %H:%M}",
            step.git_sha[:12],
            step.run_id,
            step.reason,
        )
        for step in steps
    ]
    return _table(("step", "day", "ended (UTC)", "code", "run", "what it found"), rows)


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in heading:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _print(*parts: Table | Text) -> None:
    from lakeloop.local.status_view import console_for_people

    for part in parts:
        console_for_people().print(part)
