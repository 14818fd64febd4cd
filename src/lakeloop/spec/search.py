"""Section `train.search`: values of keys are tried, each in a training of its own, and the best are kept.

Which keys those may be, and which values they take, follows from the marks and types of the keys themselves
(`broken_rules`); how a value is chosen is `lakeloop.search`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema

from lakeloop.spec.base import NOTHING, Identifier, Mark, Section, mark_of
from lakeloop.spec.methods import MethodBase, kind_of
from lakeloop.spec.quoting import describe
from lakeloop.spec.rules import Broken

SEARCHED = Mark(("weights",))
SEARCHED_PER_RUN = Mark(("weights",), per_run=True)

SLOTS, TRIAL = "_slots", "_trial"
"""End the names of the tasks of a search, behind that of its candidate."""
METHOD = "method."
"""Begins the keys of the method itself."""
_MOST_POINTS = 10_000

Scalar = float | int | str | bool
"""A single value; strict, so that 1 and 1.0 stay what they are."""


class _ListIsChoices:
    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        values = {"type": "array", "items": {"type": ["number", "string", "boolean"]}, "minItems": 1}
        return {"anyOf": [values, handler(core)]}


class Dimension(Section):
    """The values of one key: a list of `choices`, or all between `low` and `high`."""

    low: Annotated[float | int | None, SEARCHED] = None
    high: Annotated[float | int | None, SEARCHED] = None
    """Both ends are tried, this one only where steps lead to it."""
    step: Annotated[float | int | None, SEARCHED] = Field(default=None, gt=0)
    """Only values that are so far apart, from `low` on. A key of whole numbers has 1."""
    log: Annotated[bool, SEARCHED] = False
    """Each order of magnitude is as likely as the next: for learning rates and the like."""
    choices: Annotated[tuple[Scalar, ...], SEARCHED] = ()
    """These values, and no order between them; a list alone is short for it."""

    @property
    def identity(self) -> dict[str, Any]:
        """What was said of it, JSON values."""
        return self.model_dump(mode="json", exclude_defaults=True)


def _as_choices(value: Any) -> Any:
    """The long form; behind this, strict JSON takes no list for a tuple any more."""
    if isinstance(value, list | tuple):
        value = {"choices": value}
    if isinstance(value, dict) and isinstance(value.get("choices"), list):
        value = {**value, "choices": tuple(value["choices"])}
    return value


class Search(Section):
    """Trials of one candidate with values from `space`; the best `keep` of them are judged by `evaluate`."""

    most_kept: ClassVar[int] = 10

    candidate: Annotated[Identifier, SEARCHED] = "finetune"
    """The candidate whose keys are tried."""
    sampler: Annotated[Literal["tpe", "random", "grid"], SEARCHED] = "tpe"
    """How values are chosen: near those that did well (TPE), by chance, or every combination."""
    pruner: Annotated[Literal["asha", "none"], SEARCHED] = "asha"
    """End trials early that are behind the best third after epoch 1, 3, 9 and so on (ASHA), once `keep`
    trials are whole. Nothing to methods without epochs."""
    space: Annotated[
        dict[str, Annotated[Dimension, BeforeValidator(_as_choices), _ListIsChoices()]], SEARCHED
    ] = Field(min_length=1)
    """Key of section `train` (`learning_rate`, `method.rank`) -> its values: `[2, 4, 8]`, or
    `{low: 1e-5, high: 1e-3, log: true}`."""
    trials: Annotated[int, SEARCHED_PER_RUN] = Field(default=20, ge=1, le=1000)
    """So many trials at most."""
    minutes: Annotated[int | None, SEARCHED_PER_RUN] = Field(default=None, ge=1)
    """None begins later than that after the first. Default: only `trials` counts."""
    parallel: Annotated[int, NOTHING] = Field(default=1, ge=1, le=64)
    """Trials at once; in Airflow each takes a slot of the pool `gpu`, which has to have as many."""
    keep: Annotated[int, SEARCHED] = Field(default=3, ge=1, le=most_kept)
    """The best trials that stay: `finetune`, `finetune_2` and so on. All models of the others are removed."""

    @property
    def identity(self) -> dict[str, Any]:
        """What of it decides which models come out, flat, without what is at its default: JSON values."""
        found: dict[str, Any] = {}
        values = self.model_dump(mode="json")
        for key, info in type(self).model_fields.items():
            mark, value = mark_of(info), getattr(self, key)
            if key == "space":
                found |= {f"space.{name}": each.identity for name, each in self.space.items()}
            elif mark and mark.decides and value != info.default:
                found[key] = values[key]
        return found

    @property
    def points(self) -> int | None:
        """How many combinations there are; None where that is no number."""
        counts = [grid_of(each) for each in self.space.values()]
        return None if None in counts else math.prod(len(each or ()) for each in counts)

    def names(self) -> tuple[str, ...]:
        """What the models are called that it leaves, the best first."""
        return (self.candidate, *(f"{self.candidate}_{number}" for number in range(2, self.keep + 1)))

    def broken_rules(
        self, fields: Mapping[str, FieldInfo], method: MethodBase, names: Sequence[str], launcher: str
    ) -> Iterator[Broken]:
        """What is wrong with it, for a candidate of `method`; keys from this section.

        `fields` are the keys that may be tried, `names` those of all candidates.
        """
        for key, dimension in self.space.items():
            if key not in fields:
                known = tuple(fields)
                message = f"decides nothing of {self.candidate}, by method {kind_of(type(method))}"
                yield Broken(("space", key), message, f"one of {', '.join(known)}", key, known)
                continue
            for broken in _wrong_values(dimension, fields[key]):
                yield broken._replace(key=("space", key))
            if self.sampler == "grid" and grid_of(dimension) is None:
                wanted = "a list of values, or a step"
                yield Broken(("space", key), "no number of values for a grid", wanted, "all between two ends")
        if self.sampler == "grid" and (points := self.points) and points > _MOST_POINTS:
            yield Broken("space", "too large a grid", f"at most {_MOST_POINTS} combinations", str(points))
        for name in (*self.names()[1:], f"{self.candidate}{SLOTS}", f"{self.candidate}{TRIAL}"):
            if name in names:
                wanted = "another name for that candidate"
                yield Broken("keep", f"a model or a task of the search is called {name}", wanted, name)
        if launcher == "torchrun" and self.pruner != "none" and method.in_steps:
            wanted = "pruner: none, or launcher: process"
            yield Broken("pruner", "trials of several processes are not ended early", wanted, self.pruner)


def is_fractional(info: FieldInfo) -> bool:
    """Whether a key takes numbers with a fraction; else whole ones, or none."""
    return "float" in str(info.annotation)


def _wrong_values(dimension: Dimension, info: FieldInfo) -> Iterator[Broken]:
    if not dimension.choices:
        yield from _wrong_range(dimension, info)
        return
    if dimension.identity.keys() != {"choices"}:
        yield Broken((), "says choices and a range", "one of them", "both")
    for value in dimension.choices:
        if wanted := _refused(info, value):
            yield Broken((), "wrong value", wanted, describe(value))


def _wrong_range(dimension: Dimension, info: FieldInfo) -> Iterator[Broken]:
    low, high, step = dimension.low, dimension.high, dimension.step
    if low is None or high is None:
        yield Broken((), "no values", "a list of values, or low and high", "neither")
        return
    for name, value in (("low", low), ("high", high)):
        if wanted := _refused(info, value):
            yield Broken((), f"wrong {name}", wanted, describe(value))
            return
    if isinstance(step, float) and not is_fractional(info):
        yield Broken((), "wrong step", "a whole number", describe(step))
    elif low >= high:
        yield Broken((), "the range is empty", f"a high above {low:g}", f"{high:g}")
    elif dimension.log and step is not None:
        yield Broken((), "a step is of no use with log", "one of them", "both")
    elif dimension.log and low <= 0:
        yield Broken((), "the low end has no logarithm", "more than 0", f"{low:g}")


def _refused(info: FieldInfo, value: Any) -> str:
    """What the key takes instead of `value`; empty where it takes it."""
    model: Any = create_model("Key", value=(cast("Any", info.annotation), info))
    try:
        model.model_validate({"value": value}, strict=True)
    except ValidationError as error:
        return error.errors(include_url=False)[0]["msg"].removeprefix("Input should be ")
    return ""


def grid_of(dimension: Dimension) -> tuple[Scalar, ...] | None:
    """All values of it in order; None where it is a range without a step."""
    if dimension.choices:
        return dimension.choices
    low, high, step = dimension.low, dimension.high, dimension.step
    if low is None or high is None:
        return ()
    if step is None:
        if isinstance(low, float) or isinstance(high, float) or dimension.log:
            return None
        step = 1
    count = math.floor((high - low) / step + 1e-9) + 1
    # Rounded: 0.1 + 2 * 0.1 is not the 0.3 that somebody means.
    values = (low + number * step for number in range(min(count, _MOST_POINTS + 1)))
    return tuple(round(value, 12) if isinstance(value, float) else value for value in values)
