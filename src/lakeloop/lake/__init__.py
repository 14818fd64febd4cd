"""The lake: Delta tables and folders that hold the whole state of a loop.

`Lake` (module `store`) is what the rest of the library uses; it is loaded when it is asked for, so that
naming this package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lakeloop.lake.claims import Fence as Fence
    from lakeloop.lake.files import LakeFiles as LakeFiles
    from lakeloop.lake.ledger import Ledger as Ledger
    from lakeloop.lake.store import Lake as Lake
    from lakeloop.lake.store import Published as Published

_HOMES = {"Lake": "store", "Published": "store", "Fence": "claims", "Ledger": "ledger", "LakeFiles": "files"}

__all__ = ["Fence", "Lake", "LakeFiles", "Ledger", "Published"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
