"""The step `normalise`: what the dbt macro `normalised` does, on Arrow arrays."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

_WHITE_SPACE = r"[\s\x0B\x{85}\p{Z}]+"
"""Unicode's White_Space in RE2; the same pattern as in the macro."""


def normalise(texts: pa.Array) -> pa.Array:
    """Arrow strings in Unicode NFC, every run of white space one blank, trimmed; nulls stay null."""
    composed = pc.utf8_normalize(texts, form="NFC")
    spaced = pc.replace_substring_regex(composed, pattern=_WHITE_SPACE, replacement=" ")
    return pc.utf8_trim(spaced, characters=" ")
