"""The values of the page on what was made of a day's rows, before and after it was delivered again."""

from __future__ import annotations

from dataclasses import dataclass

from lakeloop.registry.impact import Impact, impact_of
from lakeloop.registry.registry import Registry
from lakeloop.settings import Settings
from lakeloop_ui.opened import open_to_look, recorded


@dataclass(frozen=True)
class ImpactPage:
    """What was made of each state of a day."""

    found: Impact
    models: frozenset[str]
    """Versions that have a page."""


def impact_page(settings: Settings, loop: str, day: str) -> ImpactPage:
    """The values for `day` of `loop`; without states where it was never published.

    Raises:
        LakeloopError: the loop file or the lake cannot be read.
    """
    context = open_to_look(settings, loop)
    if recorded(context) is None:
        return ImpactPage(Impact(loop=loop, day=day, editions=()), frozenset())
    history = Registry(context.lake, context.attempt).read()
    return ImpactPage(impact_of(context.lake, history, day), frozenset(history.versions))
