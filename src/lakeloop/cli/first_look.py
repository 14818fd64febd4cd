"""What a loop file that is right still leaves to do: the template as it was written, and no delivery to read.

Nothing here is an error: a file may be checked before its data come. No delivery is opened.
"""

from __future__ import annotations

from lakeloop.cli.scaffold import is_template
from lakeloop.errors import ConfigurationError
from lakeloop.settings import Settings
from lakeloop.sources.registry import open_source
from lakeloop.spec.days import yesterday
from lakeloop.spec.loop import LoopSpec


def first_look(loop: LoopSpec, settings: Settings) -> tuple[str, list[str]]:
    """What the loop reads, with the days there now; and what to do before it can run, a sentence each."""
    warnings = []
    if is_template(loop, settings):
        warnings.append(
            "this is the template of `lakeloop new`, untouched: say what your columns and the task are"
        )
    try:
        source = open_source(loop, settings)
        if days := source.partitions():
            span = " to ".join(dict.fromkeys((days[0], days[-1])))
            return f"reads {source.place}: {len(days)} day(s) there, {span}", warnings
        newest = yesterday(loop.schedule.timezone)
        warnings.append(f"nothing to read yet at {source.place}: {source.absence(newest)}")
    except ConfigurationError as error:
        warnings.append(str(error))
    return "", warnings
