"""When two texts are near-duplicates: the one definition of it, on Arrow arrays.

The mart's `text_key` is coarser on purpose (letters, marks and digits only): it decides the side of the
split, where texts that might be alike belong together. What is dropped must be alike for a reader as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakeloop.cleaning.invisible import LAYOUT
from lakeloop.cleaning.text import normalise

CONTENT = r"[\p{L}\p{M}\p{N}]"
"""What `text_key` is made of, in RE2: a text without any has a key of its row, whatever else is in it."""

_BETWEEN = "\u241f"
"""Stands between columns: a symbol counts, so that nothing moves from one column into the next unseen."""
_MINUS = r"[-\x{2010}-\x{2013}\x{FE63}\x{FF0D}]"
_SIGNS = r"#%&*@/\\_§‰\x{FF03}\x{FF05}\x{FF06}\x{FF0A}\x{FF20}\x{FF0F}\x{FF3C}\x{FF3F}"
"""Of Unicode's punctuation what does not part words but means something, of full width too: C# is not C."""
_NUMBER = r"\p{N}+(?:[\p{P} ]+\p{N}+)*"
# What a match keeps is in a group. A minus, and the point of .5, belong to the number where a word begins:
# at the start, behind a blank or other punctuation, or behind a sign or symbol.
_PARTS = (
    rf"(?:^|([\p{{S}}{_SIGNS}])|[\p{{P}} ])((?:{_MINUS}\.?|\.){_NUMBER})"
    rf"|([{_SIGNS}]|{_NUMBER}|[:;=]['\x{2019}]?[-~^]?[()\[\]{{}}|])"
    rf"|[\p{{P}}\p{{Z}}\p{{Cc}}{LAYOUT}]"
)


def near_key(texts: pa.Array) -> pa.Array:
    r"""Equal for texts that are near-duplicates of each other; null where nothing is left of a text.

    Does not count: upper or lower case, Unicode's form (NFC), white space, the punctuation that parts words
    and sentences, invisible marks of layout. Counts: letters, marks, numbers, symbols (emoji, +, $, <), the
    signs # % & * @ / \ _, faces such as :-), what stands between digits (1.50, 10-12 and 1 50 are three
    things), and a minus or point directly before a number where a word begins (-5, .5).

    Args:
        texts: Arrow strings; nulls are like no other.
    """
    lowered = pc.utf8_lower(normalise(texts))
    # A blank before a letter parts words and is part of nothing else: most matches are such, and slow ones.
    for letter in ascii_lowercase:
        lowered = pc.replace_substring(lowered, f" {letter}", letter)
    key = pc.replace_substring_regex(lowered, pattern=_PARTS, replacement=r"\1\2\3")
    return pc.if_else(pc.equal(key, ""), pa.scalar(None, key.type), key)


def joined(columns: Sequence[pa.Array | pa.ChunkedArray]) -> pa.Array | pa.ChunkedArray:
    """All that a model reads of each row as one text, for `near_key`; a single column is that itself."""
    if len(columns) == 1:
        return columns[0]
    words = [pc.fill_null(pc.cast(column, pa.large_string()), "") for column in columns]
    return pc.binary_join_element_wise(*words, pa.scalar(_BETWEEN, pa.large_string()))


def repeats(texts: pa.ChunkedArray, text_keys: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """Whether an earlier text is a near-duplicate of this one, bool [texts].

    `text_keys` are those of the mart: near-duplicates share one, so that few texts have to be looked at.
    """
    keys = text_keys.combine_chunks()
    counted = pc.value_counts(keys)
    shared = counted.field("values").filter(pc.greater(counted.field("counts"), 1))
    candidates = pc.or_(
        pc.is_in(keys, value_set=shared),
        pc.invert(pc.match_substring_regex(texts.combine_chunks(), CONTENT)),
    )
    places = pc.indices_nonzero(pc.fill_null(candidates, True))
    repeated = np.zeros(len(texts), dtype=np.bool_)
    seen: set[str] = set()
    for place, key in zip(
        places.to_pylist(), near_key(texts.take(places).combine_chunks()).to_pylist(), strict=True
    ):
        repeated[place] = key in seen
        if key is not None:
            seen.add(key)
    return repeated
