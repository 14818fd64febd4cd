"""What a loop file that is right would read, and what it leaves to do: a look at the first day of its data.

Nothing here is an error: a file may be checked before its data come. The look is bounded: some thousand
records of one day, and no large file is split into days for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lakeloop.bases.vocabulary import MANY_UNKNOWN
from lakeloop.cli.scaffold import is_template
from lakeloop.errors import LakeloopError
from lakeloop.settings import Settings
from lakeloop.sources.registry import open_source
from lakeloop.spec.base import Section
from lakeloop.spec.days import yesterday
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.quoting import plain
from lakeloop.spec.reading.load import shown_path
from lakeloop.spec.reading.nearest import nearest
from lakeloop.transform.models import lacking, own_folder

if TYPE_CHECKING:
    from lakeloop.proposal.preview import Preview

_MOST_TO_SPLIT = 64 << 20
"""Bytes of files with many days that are split for a look; larger ones wait for the first ingest."""
_MANY_TOO_LONG = 0.5
_SHOWN = 8
_DETAIL = 200


@dataclass
class FirstLook:
    """What was found, a sentence each."""

    found: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    """What to do before the loop can run, and what will surprise when it does."""


def first_look(loop: LoopSpec, settings: Settings, *, data: bool | None = None) -> FirstLook:
    """What the loop reads, with the days there now; with `data` also what the first records of them are.

    Where `data` is None they are looked at when they are here, and not when a day has to be fetched whole.
    """
    look = FirstLook()
    if is_template(loop, settings):
        look.warnings.append(
            "this is the template of `lakeloop new`, untouched: say what your columns and the task are"
        )
    look.warnings += _idle(loop)
    _look_at_models(look, loop, settings)
    _look_at_budget(look, loop, settings)
    _look_at_launcher(look, loop)
    _look_at_labels(look, loop, settings)
    try:
        source = open_source(loop, settings)
        size = source.unread_bytes()
        if size and (data is False or (data is None and size > _MOST_TO_SPLIT)):
            look.found.append(f"reads {source.place}: {size:,} bytes, not split into days yet")
            return look
        days = source.partitions()
        if not days:
            newest = yesterday(loop.schedule.timezone)
            source.find(newest)  # says what is wrong with what is there
            look.warnings.append(f"nothing to read yet at {source.place}: {source.absence(newest)}")
            return look
        span = " to ".join(dict.fromkeys((days[0], days[-1])))
        look.found.append(f"reads {source.place}: {len(days)} day(s) there, {span}")
        if data or (data is None and size is not None):
            _look_at_data(look, loop, settings)
        elif data is None:
            look.found.append("its records were not looked at, for a day is fetched whole: --data does it")
    except (LakeloopError, OSError) as error:
        look.warnings.append(str(error))
    return look


def _idle(section: Section, *above: str) -> Iterator[str]:
    """Sections that the file says and that do nothing, each with what it lacks."""
    if section.idle:
        yield f"{'.'.join(above)} {section.idle}"
    for name in sorted(section.model_fields_set):
        if isinstance(inner := getattr(section, name), Section):
            yield from _idle(inner, *above, name)


def _look_at_models(look: FirstLook, loop: LoopSpec, settings: Settings) -> None:
    folder = own_folder(settings.dbt, loop.name)
    if folder is None:
        return
    shown = shown_path(folder, settings)
    look.found.append(f"has dbt models of its own: {shown}")
    if names := lacking(settings.dbt, loop):
        look.warnings.append(
            f"mart_{loop.name} in {shown} lacks {', '.join(names)} of this loop file: add to the models what"
            " is missing; or move the folder away, and they are generated"
        )


def _look_at_budget(look: FirstLook, loop: LoopSpec, settings: Settings) -> None:
    """What of the budget is spent; the lake of a loop that never ran is not made for that."""
    from lakeloop.lake.store import Lake
    from lakeloop.stages.frame.cost import budget_status, unfinished

    if budget_status(loop, []) is None:
        return
    try:
        lake = Lake.from_settings(settings, loop)
        lake.version("ledger")
        entries = lake.ledger.entries()
    except LakeloopError:  # nothing ran yet, or the lake is away: the next stage says so
        entries = []
    budget = budget_status(loop, entries, unfinished(settings, loop.name))
    if budget and budget.exhausted:
        until = f"{budget.until:%Y-%m-%d}"
        look.warnings.append(f"over its budget: {budget.sentence}; trains no more until {until}")
    elif budget:
        look.found.append(f"budget: {budget.sentence}")


def _look_at_launcher(look: FirstLook, loop: LoopSpec) -> None:
    """Which candidates are trained in several processes, and which are not although the file says so."""
    train = loop.train
    if train.launcher == "process":
        if train.processes:
            look.warnings.append("train.processes counts with train.launcher: torchrun only")
        return
    alone = [each for each in train.all_candidates if not each.method.shares_batches]
    shared = [each.name for each in train.all_candidates if each not in alone]
    if shared:
        each_gpu = "one process for each GPU of the worker, without any in two"
        count = f"{train.processes} process(es)" if train.processes else each_gpu
        look.found.append(f"{train.launcher} trains {', '.join(shared)} in {count}")
    if alone:
        names = ", ".join(f"{each.name} ({each.method.kind})" for each in alone)
        look.found.append(f"trained in one process, no batches to share: {names}")


def _look_at_labels(look: FirstLook, loop: LoopSpec, settings: Settings) -> None:
    """Where answers come apart from their rows, what there is of them; none is read."""
    if loop.of_labels is None:
        return
    try:
        source = open_source(loop.of_labels, settings)
        days = source.partitions()
    except (LakeloopError, OSError) as error:
        look.warnings.append(f"labels: {error}")
        return
    span = f", {' to '.join(dict.fromkeys((days[0], days[-1])))}" if days else ""
    look.found.append(f"labels come from {source.place}: {len(days)} day(s) there{span}")


def _look_at_data(look: FirstLook, loop: LoopSpec, settings: Settings) -> None:
    from lakeloop.proposal.preview import preview

    seen = preview(loop, settings, most_days=1)
    look.found.append(f"{seen.accepted:,} of the first {seen.read:,} records of {seen.days[0]} are rows")
    if seen.undeclared:
        look.found.append(f"fields not declared ({loop.source.undeclared}): {_counted(seen.undeclared)}")
    look.warnings += _surprises(seen, loop)


def _surprises(seen: Preview, loop: LoopSpec) -> Iterator[str]:
    if seen.rejects:
        first = seen.rejects[0]
        yield (
            f"{seen.read - seen.accepted:,} of {seen.read:,} records are refused; the first, line "
            f"{first.line}: {first.reason}: {plain(first.detail, _DETAIL)}"
        )
    for name in seen.empty:
        close = nearest(name, list(seen.undeclared))
        meant = f": did you mean {plain(close)}, which is not declared" if close else ""
        yield f"column {plain(name)} has no value in the first {seen.read:,} records{meant}"
    if seen.unknown:
        column = loop.task.roles()[loop.task.target].column
        yield f"{column} has answers that the task does not know: {_counted(seen.unknown)}"
    if seen.accepted and loop.labels is None and (absence := loop.task.absence(seen.answers)):
        yield f"in the first {seen.read:,} records of {seen.days[0]}, {absence}"
    yield from surprises_of_texts(seen, loop)


def surprises_of_texts(seen: Preview, loop: LoopSpec) -> Iterator[str]:
    """Where the texts do not suit the base model, and what to do, a sentence each."""
    if seen.fit and seen.fit.unknown >= MANY_UNKNOWN:
        yield (
            f"the base model does not know {seen.fit.unknown:.0%} of the tokens: choose one of this language,"
            " train.base_model"
        )
    if seen.fit and seen.fit.too_long > _MANY_TOO_LONG:
        yield (
            f"{seen.fit.too_long:.0%} of the texts are longer than train.max_tokens ({loop.train.max_tokens})"
            f" and cut; the longest has {seen.fit.longest}"
        )


def _counted(counts: Counter[str]) -> str:
    shown = ", ".join(f"{plain(name)} {number:,}" for name, number in counts.most_common(_SHOWN))
    return f"{shown} and {len(counts) - _SHOWN} more" if len(counts) > _SHOWN else shown
