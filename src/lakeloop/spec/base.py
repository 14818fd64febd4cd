"""What every section of the loop file is made of: its base class, common types, and the marks on its keys.

A mark says what a key decides and whether one run may set it. Forms, the command line, fingerprints and the
record all follow from the marks; a key without one fails a test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler, StringConstraints
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema

from lakeloop.records import Frozen

PATTERNS: dict[str, str] = {}
"""Pattern of a text -> what a text has to be, for the person whose text is not."""


def text_like(pattern: str, wanted: str, max_length: int | None = None) -> StringConstraints:
    """The constraint that a text matches `pattern`; `wanted` says in words what that is.

    Raises:
        ValueError: the pattern has other words already, and an error could not tell which to say.
    """
    if PATTERNS.setdefault(pattern, wanted) != wanted:
        raise ValueError(f"the pattern {pattern} is said to be {PATTERNS[pattern]}, and {wanted}")
    return StringConstraints(pattern=pattern, max_length=max_length)


SMALL_NAME = "a name of small letters, digits and _ that begins with a letter"
Identifier = Annotated[str, text_like(r"^[a-z][a-z0-9_]{0,62}$", SMALL_NAME)]
"""Lower-case name, safe as a column, a file name and a DAG id."""

PlainName = Annotated[
    str, text_like(r"^[A-Za-z0-9_]{1,100}$", "a name of letters, digits and _, of at most 100")
]
Share = Annotated[float, Field(ge=0, le=1)]
Words = Annotated[str, StringConstraints(min_length=1, max_length=1000)]

Effect = Literal["raw", "labels", "built", "mart", "dataset", "weights", "scores", "release"]
"""An output of the loop: rows read, labels read, rows built, rows published, rows dealt into splits, a
trained model, its scores, the gate's decision."""


@dataclass(frozen=True)
class Mark:
    """What a key of the loop file decides, and who may set it."""

    decides: tuple[Effect, ...] = ()
    """The outputs that can be others when this key is another; empty: when, how long or in which words."""
    per_run: bool = False
    """One run may set the key, by its form or on the command line."""
    in_steps: bool = False
    """The key counts for methods that move weights step by step, and for no others."""
    extra: bool = False
    """At its default the key does nothing, and is not said among the settings of a training."""
    of_classes: bool = False
    """The key makes sense only where the answers are classes."""
    whole: tuple[Effect, ...] = ()
    """Of a key that holds a section which stands elsewhere too: keys of it that decide one of these there
    decide here what this mark says, and nothing else."""


RAW = Mark(("raw",))
BUILT = Mark(("built",))
MART = Mark(("mart",))
DATASET = Mark(("dataset",))
WEIGHTS = Mark(("weights",), per_run=True)
STEPS = Mark(("weights",), per_run=True, in_steps=True)
EXTRA = Mark(("weights",), per_run=True, extra=True)
CLASS_EXTRA = Mark(("weights",), per_run=True, extra=True, of_classes=True)
EXTRA_STEPS = Mark(("weights",), per_run=True, in_steps=True, extra=True)
CLASS_STEPS = Mark(("weights",), per_run=True, in_steps=True, extra=True, of_classes=True)
SCORES = Mark(("scores", "release"), per_run=True)
RELEASE = Mark(("release",), per_run=True)
NOTHING = Mark()
PER_RUN = Mark(per_run=True)


def mark_of(info: FieldInfo) -> Mark | None:
    """The mark on a key; None for a key that holds a section, whose keys have marks of their own."""
    return next((item for item in info.metadata if isinstance(item, Mark)), None)


class Section(Frozen):
    """Base of the sections: their field docstrings become the descriptions of the JSON schema."""

    model_config = ConfigDict(use_attribute_docstrings=True, serialize_by_alias=True)

    @property
    def idle(self) -> str:
        """What the section lacks to do anything, for a person who wrote it; empty where it does something."""
        return ""


@dataclass(frozen=True)
class _SchemaOfShortForm:
    names: tuple[str, ...]

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"enum": list(self.names), "type": "string"}, handler(core)]}


def short_form(*kinds: str) -> tuple[Any, Any]:
    """Annotations of a choice by `kind`: the name of a kind alone stands for that kind with its defaults.

    Keys of such kinds hold single values or tuples of them, no sections: behind a validator of Python, strict
    JSON takes no list for a tuple.
    """

    def lengthen(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: tuple(each) if isinstance(each, list) else each for key, each in value.items()}
        return {"kind": value} if isinstance(value, str) else value

    return BeforeValidator(lengthen), _SchemaOfShortForm(kinds)
