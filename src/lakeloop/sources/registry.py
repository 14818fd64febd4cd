"""The kinds of sources: `source.kind` of the loop file -> class. A new kind is a module and a line here."""

from __future__ import annotations

from collections.abc import Callable

from lakeloop.settings import Settings
from lakeloop.sources.base import Source
from lakeloop.sources.delta import DeltaDays
from lakeloop.sources.demo.package import PackageReplay
from lakeloop.sources.files import files_source
from lakeloop.sources.http.api import ApiDays
from lakeloop.sources.hub import hub_source
from lakeloop.sources.sql.source import SqlRows
from lakeloop.spec.loop import LoopSpec

KINDS: dict[str, Callable[[LoopSpec, Settings], Source]] = {
    "delta": DeltaDays,
    "files": files_source,
    "http": ApiDays,
    "hub": hub_source,
    "package": PackageReplay,
    "sql": SqlRows,
}


def open_source(loop: LoopSpec, settings: Settings) -> Source:
    """The source of a loop.

    Raises:
        ConfigurationError: what the loop file asks of it is not there, such as a package.
    """
    return KINDS[loop.source.kind](loop, settings)
