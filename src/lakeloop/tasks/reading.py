"""What a model reads of a row: a text, a second one behind it, and columns beside them as numbers.

Which of these, and by which statistics columns become numbers, is sealed in the artifact: a row is read in
use as it was read in training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from pydantic import JsonValue

from lakeloop.records import Frozen
from lakeloop.spec.tasks.base import TEXT, TEXT_PAIR, TaskBase
from lakeloop.tasks.features import Feature, NumericFeature, features_of, fit_features

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from lakeloop.spec.loop import LoopSpec


class Instance(NamedTuple):
    """One row, as a model is asked for it."""

    text: str
    text_pair: str | None = None
    features: Mapping[str, float | str | None] = {}
    """By the names of the loop file; one that is not here has no value."""

    @property
    def shown(self) -> str:
        """All of it on one line, for people."""
        beside = [f"{name} {value}" for name, value in self.features.items() if value is not None]
        return " | ".join([self.text, *([self.text_pair] if self.text_pair else []), *beside])

    @property
    def words(self) -> tuple[str, ...]:
        """Its texts, and the words among its features."""
        beside = (value for value in self.features.values() if isinstance(value, str))
        return (self.text, self.text_pair or "", *beside)

    @property
    def beside(self) -> dict[str, JsonValue]:
        """What there is beside the text; empty where there is nothing."""
        pair: dict[str, JsonValue] = {} if self.text_pair is None else {TEXT_PAIR: self.text_pair}
        return {**pair, "features": dict(self.features)} if self.features else pair


class Reading(Frozen):
    """What a model reads of each row; by default the text alone."""

    text_pair: bool = False
    """A second text, behind the first."""
    features: tuple[Feature, ...] = ()

    @property
    def width(self) -> int:
        """Numbers that the features are for a model."""
        return sum(feature.width for feature in self.features)

    @property
    def text_alone(self) -> bool:
        return not self.text_pair and not self.features

    @property
    def in_words(self) -> str:
        """What a row has to hold, for people."""
        texts = "text and text_pair" if self.text_pair else "text alone"
        names = ", ".join(feature.name for feature in self.features)
        return f"{texts.removesuffix(' alone')}, and features: {names}" if names else texts

    def faults(self, instance: Instance) -> Iterator[tuple[str, str, str]]:
        """What of `instance` the model cannot read: the key, what was expected, what was found."""
        if self.text_pair and instance.text_pair is None:
            yield TEXT_PAIR, "a second text", "nothing"
        if not self.text_pair and instance.text_pair is not None:
            yield TEXT_PAIR, "nothing: the model reads one text", "a text"
        kinds = {feature.name: isinstance(feature, NumericFeature) for feature in self.features}
        for name, value in instance.features.items():
            if name not in kinds:
                yield (
                    f"features.{name}",
                    f"one of {', '.join(kinds)}" if kinds else "no features",
                    "this name",
                )
            elif kinds[name] and isinstance(value, str):
                yield f"features.{name}", "a number, or null", "a text"

    def numbers(self, instances: Sequence[Instance]) -> NDArray[np.float32] | None:
        """The features of `instances`, float32 [rows, width]; None where the model reads none."""
        import pyarrow as pa

        if not self.features:
            return None
        columns = {
            feature.name: pa.array(
                [each.features.get(feature.name) for each in instances], feature.arrow_type
            )
            for feature in self.features
        }
        return features_of(columns, self.features)


TEXT_ALONE = Reading()


def as_instances(rows: Sequence[str] | Sequence[Instance]) -> list[Instance]:
    """`rows` as instances; a text stands for a row without more."""
    return [Instance(row) if isinstance(row, str) else row for row in rows]


def fit_reading(task: TaskBase, rows: pa.Table) -> Reading:
    """What a model of `task` reads, by the statistics of the training `rows` (columns of the mart)."""
    features = fit_features({each: rows[each.column] for each in task.features})
    return Reading(text_pair=TEXT_PAIR in task.reads, features=features)


def smoke_instances(loop: LoopSpec) -> list[Instance]:
    """The rows that the server is asked after a roll-out."""
    return [Instance(row.text, row.text_pair, row.features) for row in loop.deploy.rows]


def instances_of(task: TaskBase, rows: pa.Table) -> list[Instance]:
    """The rows of the mart as a model is asked for them."""
    texts = rows[TEXT].to_pylist()
    if task.reads == (TEXT,):
        return [Instance(text) for text in texts]
    pairs = rows[TEXT_PAIR].to_pylist() if TEXT_PAIR in task.reads else [None] * len(texts)
    columns = [(each.name, rows[each.column].to_pylist()) for each in task.features]
    return [
        Instance(text, pair, {name: values[row] for name, values in columns})
        for row, (text, pair) in enumerate(zip(texts, pairs, strict=True))
    ]
