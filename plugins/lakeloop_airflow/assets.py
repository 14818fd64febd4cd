"""The assets that join the DAGs of a loop. Each is a table or a model; its events name a partition."""

from __future__ import annotations

from typing import NamedTuple

from airflow.sdk import Asset


class LoopAssets(NamedTuple):
    """The assets of one loop, in the order in which they come to be."""

    raw: Asset
    """Rows as they came, typed; one partition a day."""
    mart: Asset
    """Rows that passed all checks and are published; one partition a day."""
    candidate: Asset
    """The trained and evaluated candidates; the partition is the newest day in their data set."""
    champion: Asset
    """The model version that is served."""


def loop_assets(loop: str) -> LoopAssets:
    """The assets of `loop`: named `lakeloop.<loop>.<kind>`."""
    return LoopAssets(*(_asset(loop, kind) for kind in LoopAssets._fields))


def _asset(loop: str, kind: str) -> Asset:
    # The URI is a name, not an address: where the lake is must not change what an asset is.
    return Asset(name=f"lakeloop.{loop}.{kind}", uri=f"lakeloop://{loop}/{kind}", group="lakeloop")
