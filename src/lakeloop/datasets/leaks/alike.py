"""Texts on both sides: the same, or so much alike that to know one is to know the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lakeloop.cleaning.near import joined
from lakeloop.cleaning.similar import pairs_alike
from lakeloop.datasets.leaks.base import Looked, excerpt, share
from lakeloop.measures.leaking import Leak
from lakeloop.spec.leaks import Kind
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.tasks.base import TEXT

_FEWEST_WORDS = 5
"""Shorter texts are alike by chance: half of `thanks a lot` is in many."""
_WORD = r"[\p{L}\p{M}\p{N}]+"
_MOST_TRAINED, _MOST_TESTED = 100_000, 20_000
"""Rows that are compared: the newest of the training and, at equal distances, of the test."""
_LONGEST = 2000
"""Characters of a text that are compared."""


class TextsAlike:
    """No text of the test is one of the training; and few are much like one, see `leaks.similar`."""

    kind: ClassVar[Kind] = "alike"

    def needs(self, loop: LoopSpec) -> tuple[str, ...]:  # noqa: ARG002
        return ()

    def unfit(self, loop: LoopSpec) -> str:  # noqa: ARG002
        return ""  # every kind of task reads a text

    def look(self, looked: Looked) -> Iterator[Leak]:
        keys = looked.rows["text_key"]
        learnt = keys.filter(pa.array(~looked.test)).unique()
        same = np.asarray(pc.is_in(keys, value_set=learnt).to_numpy(), dtype=np.bool_) & looked.test
        tested = int(looked.test.sum())
        if same.any():
            places = np.flatnonzero(same)
            yield Leak(
                kind="alike",
                column=looked.loop.task.text,
                rows=len(places),
                found=f"{len(places)} of {tested} test rows ({share(len(places), tested)}) have the letters"
                " and digits of a text of the training",
                examples=looked.examples(places, looked.text),
            )
        asked = np.flatnonzero(looked.test)[:: max(1, -(-tested // _MOST_TESTED))]
        pairs = self._pairs(looked, asked)
        pairs, tested = pairs[~same[pairs[:, 1]]], len(asked)
        rows, first = np.unique(pairs[:, 1], return_index=True)
        if len(rows) and len(rows) > looked.loop.leaks.similar_share * tested:
            beside = dict(zip(rows.tolist(), pairs[first, 0].tolist(), strict=True))
            yield Leak(
                kind="alike",
                column=looked.loop.task.text,
                rows=len(rows),
                found=f"{len(rows)} of {tested} test rows ({share(len(rows), tested)}) share"
                f" {looked.loop.leaks.similar:.0%} of their pairs of words, or more, with a row of the"
                " training; clean.drop_similar takes one of them",
                examples=looked.examples(
                    rows, lambda at: f"{excerpt(looked.text(at))[:38]} | {looked.text(beside[at])}"
                ),
            )

    def _pairs(self, looked: Looked, asked: NDArray[np.int64]) -> NDArray[np.int64]:
        """A row of the training and a test row of those `asked` that are alike, int64 [pairs, 2]."""
        texts = joined([looked.rows[name] for name in looked.loop.task.reads])
        words = pc.count_substring_regex(looked.rows[TEXT], pattern=_WORD)
        long = np.asarray(words.to_numpy(), dtype=np.int64) >= _FEWEST_WORDS
        # Those of the training stand first: a test row is found beside one of them, no other test row.
        learnt = np.flatnonzero(long & ~looked.test)[-_MOST_TRAINED:]
        places = np.concatenate([learnt, asked[long[asked]]])
        read = pc.utf8_slice_codeunits(texts.take(pa.array(places)), 0, _LONGEST)
        pairs: NDArray[np.int64] = places[pairs_alike(read, looked.loop.leaks.similar)]
        across: NDArray[np.int64] = pairs[~looked.test[pairs[:, 0]] & looked.test[pairs[:, 1]]]
        return across
