"""Numeric and categorical columns beside the text, as numbers: by statistics of the training rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lakeloop.records import Frozen
from lakeloop.spec.tasks.base import FeatureColumn, in_words

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

MOST_VALUES = 50
"""Of a categorical column that have a number of their own, the most frequent ones."""


class NumericFeature(Frozen):
    """A column of numbers: standardised, and a second number that says whether there was none."""

    name: str
    """As the loop file calls the column."""
    mean: float
    deviation: float
    """1 for a column that does not vary."""

    @property
    def width(self) -> int:
        return 2

    @property
    def arrow_type(self) -> pa.DataType:
        """Of the values of an instance."""
        import pyarrow as pa

        return pa.float64()

    def of(self, column: pa.Array | pa.ChunkedArray) -> NDArray[np.float32]:
        """float32 [rows, 2]."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        missing = pc.is_null(column, nan_is_null=True)
        values = pc.if_else(missing, self.mean, column.cast(pa.float64()))
        scaled = (_numpy(values) - self.mean) / self.deviation
        return np.column_stack([scaled, _numpy(missing)]).astype(np.float32)


class CategoricalFeature(Frozen):
    """A column of few values: a number for each that training knew, and one for any other and for none."""

    name: str
    values: tuple[str, ...]

    @property
    def width(self) -> int:
        return len(self.values) + 1

    @property
    def arrow_type(self) -> pa.DataType:
        """Of the values of an instance."""
        import pyarrow as pa

        return pa.string()

    def of(self, column: pa.Array | pa.ChunkedArray) -> NDArray[np.float32]:
        """float32 [rows, width], a single 1 in each."""
        import numpy as np

        index = {value: number for number, value in enumerate(self.values)}
        other = len(index)  # also for no value, which is not the text "None"
        places = [other if value is None else index.get(value, other) for value in column.to_pylist()]
        return np.eye(self.width, dtype=np.float32)[places]


Feature = NumericFeature | CategoricalFeature


def fit_features(
    columns: Mapping[FeatureColumn, pa.ChunkedArray], most_values: int = MOST_VALUES
) -> tuple[Feature, ...]:
    """The statistics of the training rows; of a categorical column the `most_values` most frequent values."""
    return tuple(
        _numeric(named.name, column)
        if named.kept_as == "number"
        else _categorical(named.name, column, most_values)
        for named, column in columns.items()
    )


def features_of(
    columns: Mapping[str, pa.Array | pa.ChunkedArray], features: Sequence[Feature]
) -> NDArray[np.float32]:
    """float32 [rows, sum of widths]: what `features` make of the `columns` of their names, side by side."""
    import numpy as np

    return np.concatenate([feature.of(columns[feature.name]) for feature in features], axis=1)


def as_value(value: float | str | bool | None, feature: Feature) -> float | str | None:
    """A value as people give it as the mart has it: 1 and 1.0 are the same word, true is "true"."""
    if value is None or isinstance(feature, NumericFeature):
        return None if value is None else float(value)
    return in_words(value).strip() or None


def _numeric(name: str, column: pa.ChunkedArray) -> NumericFeature:
    import pyarrow as pa
    import pyarrow.compute as pc

    values = column.cast(pa.float64())
    values = values.filter(pc.is_finite(values))
    mean, deviation = pc.mean(values).as_py(), pc.stddev(values).as_py()
    return NumericFeature(name=name, mean=mean or 0.0, deviation=deviation or 1.0)


def _categorical(name: str, column: pa.ChunkedArray, most: int) -> CategoricalFeature:
    counts = {pair["values"]: pair["counts"] for pair in column.value_counts().to_pylist()}
    counts.pop(None, None)
    frequent = sorted(counts, key=lambda value: (-counts[value], value))[:most]
    return CategoricalFeature(name=name, values=tuple(map(str, frequent)))


def _numpy(column: pa.Array | pa.ChunkedArray) -> NDArray[np.float64]:
    import numpy as np
    import pyarrow as pa

    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return np.asarray(whole.to_numpy(zero_copy_only=False), dtype=np.float64)
