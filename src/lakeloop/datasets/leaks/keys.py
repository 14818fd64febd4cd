"""Rows of one key on both sides: the model has seen the ticket, or the customer, that it is tested on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakeloop.datasets.leaks.base import Looked, share
from lakeloop.measures.leaking import Leak
from lakeloop.spec.leaks import Kind
from lakeloop.spec.loop import LoopSpec


class KeysOnBothSides:
    """The key of the source, and each of `leaks.keys`: no value in the training and in the test."""

    kind: ClassVar[Kind] = "keys"

    def needs(self, loop: LoopSpec) -> tuple[str, ...]:
        return loop.leaks.keys

    def unfit(self, loop: LoopSpec) -> str:
        if loop.source.key or loop.leaks.keys:
            return ""
        return "no column names a row (source.key), and leaks.keys names none"

    def look(self, looked: Looked) -> Iterator[Leak]:
        loop = looked.loop
        named = {name: looked.raw[name] for name in loop.leaks.keys}
        if loop.source.key:
            named = {loop.source.key: looked.rows["row_id"], **named}
        for name, values in named.items():
            if name not in loop.leaks.ignore and (leak := _shared(looked, name, values)):
                yield leak


def _shared(looked: Looked, name: str, values: pa.ChunkedArray) -> Leak | None:
    learnt = pc.drop_null(values.filter(pa.array(~looked.test))).unique()
    known = pc.fill_null(pc.is_in(values, value_set=learnt, skip_nulls=True), False)
    both = np.flatnonzero(np.asarray(known.to_numpy(), dtype=np.bool_) & looked.test)
    if not len(both):
        return None
    tested, distinct = int(looked.test.sum()), len(values.take(pa.array(both)).unique())
    return Leak(
        kind="keys",
        column=name,
        rows=len(both),
        found=f"{len(both)} of {tested} test rows ({share(len(both), tested)}) have a value that rows of the"
        f" training have, too ({distinct} values)"
        + ("" if looked.loop.split.group == name else f"; split.group: {name} keeps them apart"),
        examples=looked.examples(both, lambda place: f"{name} {values[int(place)].as_py()}"),
    )
