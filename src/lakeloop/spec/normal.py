"""The form that `clean.normalise` gives texts and words: what the dbt macro `normalised` does, in Python."""

from __future__ import annotations

import re
import unicodedata

_WHITE_SPACE = re.compile("[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
"""Unicode's White_Space; Python's own `\\s` has four control characters more."""


def normalised(text: str) -> str:
    """`text` in Unicode NFC, every run of white space one blank, trimmed."""
    return _WHITE_SPACE.sub(" ", unicodedata.normalize("NFC", text)).strip(" ")
