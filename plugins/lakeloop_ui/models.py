"""The values for the page of one model version, from the registry."""

from __future__ import annotations

from typing import Any

from lakeloop.lake import Lake
from lakeloop.registry.registry import Registry
from lakeloop.settings import Settings
from lakeloop.spec.load import load_named


def model_page(settings: Settings, loop: str, name: str) -> dict[str, Any] | None:
    """The version called `name` and the moves of aliases to and from it; None when there is none."""
    history = Registry(Lake.from_settings(settings, load_named(loop, settings))).read()
    version = history.versions.get(name)
    if version is None:
        return None
    return {
        "version": version,
        "aliases": [alias for alias in ("champion", "challenger", "previous") if _is(history, alias, name)],
        "moves": [move for move in reversed(history.moves) if name in (move.version, move.previous)],
    }


def _is(history: Any, alias: str, name: str) -> bool:
    move = history.last_move(alias)
    return move is not None and move.version == name
