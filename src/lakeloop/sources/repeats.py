"""Which rows of a day were there before, and how many keys it has, without keeping rows or keys.

Equal are rows whose hashes are equal in their first 128 bits, and keys with the same 64-bit hash: a collision
of two rows takes 2**64 tries, and a collision among 5 million keys has a chance of 1 in a million.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_HASH = np.dtype([("high", "<u8"), ("low", "<u8")])
_LOOKED_AT = 1 << 20


class Repeats:
    """Rows by their hashes, in order. 16 bytes a row; 9 more while they are looked through."""

    def __init__(self) -> None:
        self._hashes = bytearray()

    def add(self, hashes: Iterable[bytes]) -> None:
        """Add rows, each by its sha256 (32 bytes)."""
        self._hashes += b"".join(value[:16] for value in hashes)

    def mask(self) -> npt.NDArray[np.bool_]:
        """For each row, whether an equal one was added before it."""
        rows = np.frombuffer(self._hashes, _HASH) if self._hashes else np.empty(0, _HASH)
        repeated = np.zeros(len(rows), np.bool_)
        highs = rows["high"].copy()
        highs.sort()
        twice = np.unique(highs[1:][highs[1:] == highs[:-1]])
        if not len(twice):
            return repeated
        # The few that may be equal, sorted by hash and then by place.
        places = np.concatenate(
            [
                start + np.flatnonzero(np.isin(rows["high"][start : start + _LOOKED_AT], twice))
                for start in range(0, len(rows), _LOOKED_AT)
            ]
        )
        candidates = rows[places]
        order = np.lexsort((places, candidates["low"], candidates["high"]))
        ordered = candidates[order]
        repeated[places[order][1:][ordered[1:] == ordered[:-1]]] = True
        return repeated


class Distinct:
    """How many different values a column has. 8 bytes a value; 8 more while they are counted."""

    def __init__(self) -> None:
        self._hashes = bytearray()

    def add(self, column: pa.Array) -> None:
        """Add the values of a column of strings or integers without nulls."""
        if pa.types.is_integer(column.type):
            self._hashes += column.to_numpy().tobytes()
        else:
            # The secret of Python's hash is new in each process: no sender can choose keys that collide.
            self._hashes += np.fromiter(map(hash, column.to_pylist()), np.int64, len(column)).tobytes()

    def count(self) -> int:
        """Different values so far."""
        values = np.frombuffer(self._hashes, np.int64)
        values.sort()
        return len(values) - int((values[1:] == values[:-1]).sum())
