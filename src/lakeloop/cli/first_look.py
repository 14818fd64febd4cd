"""What a loop file that is right still leaves to do: the template as it was written, and no drop to read.

Nothing here is an error: a file may be checked before its data come. No drop is opened.
"""

from __future__ import annotations

from lakeloop.cli.scaffold import is_template
from lakeloop.settings import Settings
from lakeloop.sources.days import days_there, place_of
from lakeloop.spec.days import yesterday
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.paths import confine, day_file
from lakeloop.spec.source import FilesSource


def what_it_reads(loop: LoopSpec, settings: Settings) -> str:
    """The source in words, with the days that it has now; empty when it has none."""
    days = days_there(loop, settings)
    if not days:
        return ""
    if isinstance(loop.source, FilesSource):
        what = loop.source.path
    else:
        what = f"{loop.source.package}/{loop.source.dataset}"
    return f"reads {what}: {len(days)} day(s) there, {' to '.join(dict.fromkeys((days[0], days[-1])))}"


def warnings(loop: LoopSpec, settings: Settings) -> list[str]:
    """What to do before the loop can run, a sentence each; empty when it can."""
    found = []
    if is_template(loop, settings):
        found.append(
            "this is the template of `lakeloop new`, untouched: say what your columns and the task are"
        )
    if isinstance(loop.source, FilesSource) and not days_there(loop, settings):
        found.append(_nothing_there(loop.source, settings))
    return found


def _nothing_there(source: FilesSource, settings: Settings) -> str:
    example = day_file(source, yesterday(), settings)
    folder = confine(place_of(source)[0], settings, "source.path")
    where = "it has no file of a day" if folder.is_dir() else "there is no such folder"
    return f"nothing to read: of {source.path} it would read, for yesterday, {example}; {folder}: {where}"
