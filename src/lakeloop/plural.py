"""Numbers and what they count, in words for people."""

from __future__ import annotations

from collections.abc import Sequence

FEW = 12
"""Names that a sentence has at most."""
_CHARACTERS = 120
"""And all of them together, unless one alone is longer."""


def counted(number: int, one: str, many: str = "") -> str:
    """A number and what it counts: `1 day`, `2 days`; `many` where it is not `one` and an s."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def waits_for_label(rows: int) -> str:
    """Rows whose answer comes apart from them and has not come: `1 row waits for its label`."""
    return f"{counted(rows, 'row')} {'waits for its' if rows == 1 else 'wait for their'} label"


def few(names: Sequence[str]) -> str:
    """The names with commas between them; of many the first few, and how many more there are."""
    shown = names[:FEW]
    while len(shown) > 1 and len(", ".join(shown)) > _CHARACTERS:
        shown = shown[:-1]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")


def ends(text: str, most: int) -> str:
    """`text`; of more than `most` characters the beginning and the end, which says what was found."""
    if len(text) <= most:
        return text
    tail = most // 3
    return f"{text[: most - tail - 3]} … {text[-tail:]}"
