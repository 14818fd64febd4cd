"""Columns of texts in the form that most have, known by their bytes: 2026-11-20T08:30:00Z, 12, -0.25.

Each function is sure where it says True, for a whole column at once and without a pattern of `values`; what
it is not sure of is for those.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_Bytes = npt.NDArray[np.uint8]

_MOMENT = np.frombuffer(b"0000-00-00T00:00:00Z", np.uint8)
"""The form of a moment: a digit where there is a zero."""
_ZERO, _MINUS, _POINT = ord("0"), ord("-"), ord(".")
_IS_DIGIT = np.zeros(256, np.bool_)
_IS_DIGIT[_ZERO : _ZERO + 10] = True
_IN_NUMBERS = _IS_DIGIT.copy()
_IN_NUMBERS[[_MINUS, _POINT]] = True


def usual_moments(column: pa.Array) -> bool:
    """Whether every value that is not null is like 2026-11-20T08:30:00Z: digits and signs where it has them.

    Whether there is such a day and hour is not looked at.
    """
    content, borders = _content(column)
    if len(content) != len(_MOMENT) * (len(borders) - 1) or (np.diff(borders) != len(_MOMENT)).any():
        return False
    moments = content.reshape(-1, len(_MOMENT))
    signs = _MOMENT != _ZERO
    return bool((moments[:, signs] == _MOMENT[signs]).all() and _IS_DIGIT[moments[:, ~signs]].all())


def usual_numbers(column: pa.Array) -> bool:
    """Whether every value that is not null is digits, points and minus signs, with digits where a number has.

    A value begins with a digit, or with a minus sign and a digit, and ends with one. That it has one point at
    most, and no sign behind its first place, is for the cast, which refuses it.
    """
    content, borders = _content(column)
    if (np.diff(borders) <= 0).any() or not _IN_NUMBERS[content].all():
        return False
    begins, ends = borders[:-1], borders[1:]
    first = begins + (content[begins] == _MINUS)
    return bool(
        (first < ends).all() and _IS_DIGIT[content[first]].all() and _IS_DIGIT[content[ends - 1]].all()
    )


def _content(column: pa.Array) -> tuple[_Bytes, npt.NDArray[np.int32]]:
    """The bytes of all values that are not null, and where in them each begins and the last one ends."""
    if column.null_count:
        column = column.drop_null()
    _, places, data = column.buffers()
    if not len(column) or places is None or data is None:
        return np.empty(0, np.uint8), np.zeros(len(column) + 1, np.int32)
    borders = np.frombuffer(places, np.int32)[column.offset : column.offset + len(column) + 1]
    content = np.frombuffer(data, np.uint8)[borders[0] : borders[-1]]
    return content, borders - borders[0]
