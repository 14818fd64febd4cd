"""How long texts are, and which are so long or short among others that they hardly belong to them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakeloop.cleaning.text import normalise
from lakeloop.spec.clean import LengthUnit

_WORD = r"[^\s\x0B\x{85}\p{Z}]+"
"""In RE2; what the check `length` counts as well."""
_TO_SIGMA = 1.4826
"""Times the median deviation: the standard deviation of a normal law (Hampel 1974)."""
_LEAST_SPREAD = 0.1
"""Of logarithms: where all texts are as long as each other, one that is a little longer is not unusual."""


def lengths(texts: pa.Array | pa.ChunkedArray, unit: LengthUnit) -> npt.NDArray[np.int64]:
    """Words, or characters after trimming, of each text; of a null 0. int64 [texts]."""
    array = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    counted = (
        pc.count_substring_regex(array, pattern=_WORD)
        if unit == "words"
        else pc.utf8_length(normalise(array))
    )
    return np.asarray(pc.fill_null(counted, 0).to_numpy(zero_copy_only=False), dtype=np.int64)


def outliers(found: npt.NDArray[np.int64], spread: float) -> npt.NDArray[np.bool_]:
    """Which lengths are unusual among all of them, bool [texts].

    Those whose logarithm is farther from the median than `spread` times the standard deviation, as the median
    of the deviations tells it: a few texts of a thousand pages do not hide each other.
    """
    if not len(found):
        return np.zeros(0, dtype=np.bool_)
    logs = np.log1p(found)
    away = np.abs(logs - np.median(logs))
    sigma = max(_TO_SIGMA * float(np.median(away)), _LEAST_SPREAD)
    unusual: npt.NDArray[np.bool_] = away > spread * sigma
    return unusual
