"""Numbers and what they count, in words for people."""

from __future__ import annotations


def counted(number: int, one: str, many: str = "") -> str:
    """A number and what it counts: `1 day`, `2 days`; `many` where it is not `one` and an s."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def waits_for_label(rows: int) -> str:
    """Rows whose answer comes apart from them and has not come: `1 row waits for its label`."""
    return f"{counted(rows, 'row')} {'waits for its' if rows == 1 else 'wait for their'} label"
