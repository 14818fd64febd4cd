"""Reading and appending events of the registry: what every change of it is made of."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

import pyarrow as pa

from lakeloop.attempt import Attempt
from lakeloop.errors import ConfigurationError, FenceError
from lakeloop.lake.store import Lake
from lakeloop.lake.tables import REGISTRY
from lakeloop.records import now
from lakeloop.registry.history import MOVED, History, ModelVersion, read_history

P = ParamSpec("P")
R = TypeVar("R")
E = TypeVar("E", bound="Events")


def in_turn(method: Callable[Concatenate[E, P], R]) -> Callable[Concatenate[E, P], R]:
    """`method` reads the registry and appends to it, and nobody of this machine does between the two."""

    @functools.wraps(method)
    def taking_turns(events: E, /, *given: P.args, **named: P.kwargs) -> R:
        with events._lake.turn("registry"):  # noqa: SLF001
            return method(events, *given, **named)

    return taking_turns


class Events:
    """The registry of one loop, as a list of events. Every call reads the newest state."""

    def __init__(self, lake: Lake, attempt: Attempt | None = None) -> None:
        self._lake = lake
        self._attempt = attempt or Attempt.local()

    def read(self) -> History:
        """The history at the newest version of the table."""
        rows, version = self._lake.read_newest("registry")
        return read_history(rows.to_pylist(), version)

    def require(self, history: History, name: str) -> ModelVersion:
        """The version called `name`. Raises ConfigurationError when none is."""
        if name in history.versions:
            return history.versions[name]
        raise ConfigurationError(
            "no such model version",
            where=f"{self._lake.loop} registry",
            expected=", ".join(history.versions) or "no version is registered yet",
            found=name,
        )

    def _require_champion(self, history: History, over: str | None) -> None:
        champion = history.alias("champion")
        if (champion.name if champion else None) != over:
            raise FenceError(
                "the champion is not the one that was judged against",
                where=f"{self._lake.loop} registry",
                expected=over or "no champion",
                found=champion.name if champion else "no champion",
                remedy="evaluate again, then release",
            )

    def _require_weights(self, history: History, version: ModelVersion) -> None:
        if version.name in history.forgotten:
            raise ConfigurationError(
                f"the weights of {version.name} are gone",
                where=f"{self._lake.loop} registry",
                expected="a version that was kept",
                found=history.forgotten[version.name],
                remedy="train on its data set again; keep more of them with keep.versions in the loop file",
            )

    def _append(self, history: History, events: list[dict[str, Any]]) -> None:
        """Raises FenceError when the table is not at the version of `history` any more."""
        common = {
            "run_id": self._attempt.run_id,
            "try_number": self._attempt.try_number,
            "recorded_at": now(),
        }
        rows = [
            {**common, **event, "sequence": history.length + number}
            for number, event in enumerate(events, start=1)
        ]
        self._lake.append_at(
            "registry",
            pa.Table.from_pylist(rows, REGISTRY),
            version=history.table_version,
            attempt=self._attempt,
        )


def require_reason(reason: str, where: str) -> None:
    """Raises ConfigurationError when who asks for a change gives no reason."""
    if not reason.strip():
        raise ConfigurationError("a move by hand needs a reason", where=where, expected="--reason TEXT")


def moved(
    target: ModelVersion, before: ModelVersion | None, reason: str, cause: str, by: str = ""
) -> dict[str, Any]:
    """The event of the champion's move from `before` to `target`."""
    return {
        "event": MOVED,
        "alias": "champion",
        "version": target.name,
        "previous": before.name if before else None,
        "digest": target.digest,
        "reason": reason,
        "record": cause,
        "moved_by": by or None,
    }
