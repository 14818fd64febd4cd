"""How a candidate is trained: one class a method, with the keys that only this method has.

What a method does is `training.methods`. A method that does not fit a task says so here, so that
`lakeloop check` can refuse the pair without torch.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field

from lakeloop.spec.base import WEIGHTS, Section, short_form

LAYERS = "layers"
"""What a method may ask of an architecture: layers of their own, in one stack."""


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


class Head(MethodBase):
    """A linear model on the sentence embeddings of the untouched base model: cheap, and hard to beat."""

    ignores: ClassVar[tuple[str, ...]] = ("epochs", "patience", "batch_size", "learning_rate")

    kind: Annotated[Literal["head"], WEIGHTS]


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


_Any = Head | TopLayers | Lora | Full
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
