"""The step `invisible`: characters that nobody sees are taken out."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

LAYOUT = (
    r"\x{AD}\x{61C}\x{180E}\x{200B}\x{200E}\x{200F}\x{202A}-\x{202E}"
    r"\x{2060}-\x{2064}\x{2066}-\x{206F}\x{FEFF}"
)
"""Marks that say how a text is set and broken into lines, in RE2. The two joiners are none of them: words of
Persian and Hindi are spelt with them, and emoji made of several."""
_CONTROLS = r"\x00-\x08\x0E-\x1F\x7F-\x{84}\x{86}-\x{9F}"
"""Control characters that are no white space."""
_NOTES = r"\x{FFF9}-\x{FFFB}\x{E0000}-\x{E007F}"
"""Begin and end of notes between the lines; tags, with which words can be hidden from readers of a text."""
_UNSEEN = f"[{LAYOUT}{_CONTROLS}{_NOTES}]"


def without_invisible(texts: pa.Array) -> pa.Array:
    """Arrow strings without characters that nobody sees; white space stays, nulls stay null."""
    return pc.replace_substring_regex(texts, pattern=_UNSEEN, replacement="")
