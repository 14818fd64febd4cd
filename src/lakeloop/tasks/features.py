"""Numeric and categorical columns beside the text, as numbers: by statistics of the training rows.

The statistics are sealed in the artifact, so that a row is seen in use as it was seen in training. No task
reads such columns yet; this is their place.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lakeloop.records import Frozen


class NumericFeature(Frozen):
    """A column of numbers: standardised, and a second column that says whether there was none."""

    column: str
    mean: float
    deviation: float
    """1 for a column that does not vary."""

    @property
    def width(self) -> int:
        return 2


class CategoricalFeature(Frozen):
    """A column of few values: a column for each that training knew, and one for any other and for none."""

    column: str
    values: tuple[str, ...]

    @property
    def width(self) -> int:
        return len(self.values) + 1


Feature = NumericFeature | CategoricalFeature


def fit_features(
    rows: pa.Table, numeric: Sequence[str], categorical: Sequence[str], most_values: int = 50
) -> tuple[Feature, ...]:
    """The statistics of the training rows; of a categorical column the `most_values` most frequent values."""
    found: list[Feature] = []
    for column in numeric:
        values = rows[column].cast(pa.float64())
        mean, deviation = pc.mean(values).as_py(), pc.stddev(values).as_py()
        found.append(NumericFeature(column=column, mean=mean or 0.0, deviation=deviation or 1.0))
    for column in categorical:
        counts = {pair["values"]: pair["counts"] for pair in rows[column].value_counts().to_pylist()}
        counts.pop(None, None)
        frequent = sorted(counts, key=lambda value: (-counts[value], value))[:most_values]
        found.append(CategoricalFeature(column=column, values=tuple(map(str, frequent))))
    return tuple(found)


def features_of(rows: pa.Table, features: Sequence[Feature]) -> NDArray[np.float32]:
    """float32 [rows, sum of widths]: the columns of `features` one after another."""
    parts = [np.empty((rows.num_rows, 0), dtype=np.float32)]
    for feature in features:
        column = rows[feature.column]
        if isinstance(feature, NumericFeature):
            parts.append(_numbers(column, feature))
        else:
            parts.append(_one_hot(column, feature))
    return np.concatenate(parts, axis=1)


def _numbers(column: pa.ChunkedArray, feature: NumericFeature) -> NDArray[np.float32]:
    missing = pc.is_null(column).to_numpy(zero_copy_only=False).astype(np.float32)
    values = pc.fill_null(column.cast(pa.float64()), feature.mean).to_numpy()
    return np.column_stack([(values - feature.mean) / feature.deviation, missing]).astype(np.float32)


def _one_hot(column: pa.ChunkedArray, feature: CategoricalFeature) -> NDArray[np.float32]:
    index = {value: number for number, value in enumerate(feature.values)}
    other = len(index)  # also for no value, which is not the text "None"
    places = [other if value is None else index.get(str(value), other) for value in column.to_pylist()]
    return np.eye(feature.width, dtype=np.float32)[places]
