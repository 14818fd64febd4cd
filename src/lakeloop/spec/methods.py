"""How a candidate is trained: one class a method, with the keys that only this method has.

What a method does is `training.methods`. A method that does not fit a task says so here, so that
`lakeloop check` can refuse the pair without torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field

from lakeloop.spec.base import WEIGHTS, Mark, Section, Words, short_form
from lakeloop.spec.rules import Broken

LAYERS = "layers"
"""What a method may ask of an architecture: layers of their own, in one stack."""


_NO_EPOCHS = ("epochs", "patience", "batch_size", "learning_rate")
_NO_NUMBERS = ("regression",)


class MethodBase(Section):
    """What every method has."""

    not_for: ClassVar[tuple[str, ...]] = ()
    """Kinds of task that the method cannot learn."""
    needs: ClassVar[tuple[str, ...]] = ()
    """What it asks of the base model's architecture; which lack it is told in `bases.families`."""
    ignores: ClassVar[tuple[str, ...]] = ()
    """Keys of section `train` that decide the weights of other methods, and not its own."""
    usual: ClassVar[dict[str, float]] = {}
    """What a key of section `train` is taken for when the loop file leaves it open."""

    def broken_rules(self, answers: Sequence[str]) -> Iterator[Broken]:  # noqa: ARG002
        """What of the method does not fit the right answers that the task has; keys from the method's."""
        yield from ()


class Head(MethodBase):
    """A linear model on the sentence embeddings of the untouched base model: cheap, and hard to beat."""

    ignores: ClassVar[tuple[str, ...]] = _NO_EPOCHS

    kind: Annotated[Literal["head"], WEIGHTS]


class ZeroShot(MethodBase):
    """Nothing is trained: the answer is the one whose description is nearest to the text."""

    not_for: ClassVar[tuple[str, ...]] = _NO_NUMBERS
    ignores: ClassVar[tuple[str, ...]] = _NO_EPOCHS

    kind: Annotated[Literal["zero_shot"], WEIGHTS]
    descriptions: Annotated[dict[str, Words], Mark(("weights",))] = Field(default_factory=dict)
    """Answer -> what a text of it is about, in a few words. One that is not here is described by its name."""

    def broken_rules(self, answers: Sequence[str]) -> Iterator[Broken]:
        for name in self.descriptions:
            if name not in answers:
                yield Broken(("descriptions", name), "no such answer", ", ".join(answers), name)


class FewShot(MethodBase):
    """For a handful of rows of each answer: which texts belong together is learnt, then a linear model."""

    not_for: ClassVar[tuple[str, ...]] = _NO_NUMBERS
    ignores: ClassVar[tuple[str, ...]] = ("patience",)
    usual: ClassVar[dict[str, float]] = {"learning_rate": 5e-5}

    kind: Annotated[Literal["few_shot"], WEIGHTS]
    temperature: Annotated[float, WEIGHTS] = Field(default=0.1, gt=0, le=10)
    """The smaller, the more the hardest pairs count."""


class Classical(MethodBase):
    """A linear model or trees, on how often which words occur (TF-IDF) or on sentence embeddings."""

    ignores: ClassVar[tuple[str, ...]] = _NO_EPOCHS

    kind: Annotated[Literal["classical"], WEIGHTS]
    features: Annotated[Literal["words", "embeddings"], WEIGHTS] = "words"
    """What the model reads: pieces of words, weighted by how rare they are, or what the base model makes of
    the text."""
    model: Annotated[Literal["linear", "forest", "boosting"], WEIGHTS] = "linear"
    trees: Annotated[int, WEIGHTS] = Field(default=100, ge=1, le=2000)
    """Of a forest, or rounds of boosting."""


class GradientMethod(MethodBase):
    """Weights of the base model are moved by gradient descent."""


class TopLayers(GradientMethod):
    """The last layers and the head are trained; the layers below run once for each text."""

    needs: ClassVar[tuple[str, ...]] = (LAYERS,)
    usual: ClassVar[dict[str, float]] = {"learning_rate": 3e-4}

    kind: Annotated[Literal["top_layers"], WEIGHTS]
    layers: Annotated[int, WEIGHTS] = Field(default=2, ge=1, le=48)
    """How many, counted from the output."""


class Lora(GradientMethod):
    """Low-rank adapters (LoRA) on all linear layers are trained, then merged into the weights."""

    usual: ClassVar[dict[str, float]] = {"learning_rate": 5e-4}

    kind: Annotated[Literal["lora"], WEIGHTS]
    rank: Annotated[int, WEIGHTS] = Field(default=8, ge=1, le=512)


class Full(GradientMethod):
    """Everything is trained but the table of word vectors."""

    usual: ClassVar[dict[str, float]] = {"learning_rate": 1e-4}

    kind: Annotated[Literal["full"], WEIGHTS]


_Any = Head | ZeroShot | FewShot | Classical | TopLayers | Lora | Full
"""The one list of methods in the loop file."""

METHODS: tuple[type[MethodBase], ...] = get_args(_Any)


def kind_of(method: type[MethodBase]) -> str:
    """The name of a method in the loop file."""
    (kind,) = get_args(method.model_fields["kind"].annotation)
    return str(kind)


Method = Annotated[
    Annotated[_Any, Field(discriminator="kind")],
    *short_form(*(kind_of(method) for method in METHODS)),
]
