"""How a candidate is trained: one class a method, with the keys that only this method has.

What a method does is `training.methods`. A method that does not fit a task says so here, so that
`lakeloop check` can refuse the pair without torch.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field

from lakeloop.spec.base import WEIGHTS, Mark, Section, Words, short_form
from lakeloop.spec.rules import Broken

LAYERS = "layers"
"""What a method may ask of an architecture: layers of their own, in one stack."""
BIASES = "biases"
"""Layers that add something."""
TURNED_INPUTS = "turned_inputs"
"""Layers whose input can be turned, and the turn merged into their weights."""

ADAPTER, PROMPT, PREFIX = "adapter", "prompt", "prefix"
"""What a method may leave in an encoder beside its weights."""


_WHOLE_ROWS_ONLY = ("token_classification",)
_ONE_OF_MANY_ONLY = ("regression", "multi_label", *_WHOLE_ROWS_ONLY)
WRITING = ("seq2seq", "causal_lm")
"""Kinds of task whose answers are texts that a model writes."""
BESIDE = ("numeric", "categorical")
"""Keys of section `task` that name columns beside the text."""


class MethodBase(Section):
    """What every method has."""

    not_for: ClassVar[tuple[str, ...]] = ()
    """Kinds of task that the method cannot learn."""
    writes: ClassVar[bool] = False
    """It moves a whole language model, so that it can learn to write texts."""
    cannot_read: ClassVar[tuple[str, ...]] = ()
    """Keys of section `task` by which there is more to read than the method can."""
    needs: ClassVar[tuple[str, ...]] = ()
    """What it asks of the base model's architecture; which lack it is told in `bases.families`."""
    in_steps: ClassVar[bool] = True
    """Weights are moved step by step, so that the keys of section `train` for steps count."""
    ignores: ClassVar[tuple[str, ...]] = ()
    """Keys of section `train` that decide the weights of other such methods, and not its own."""
    usual: ClassVar[dict[str, float]] = {}
    """What a key of section `train` is taken for when the loop file leaves it open."""
    shares_batches: ClassVar[bool] = False
    """Whether several processes may each take a part of a batch: its loss is the mean over the rows."""

    many_a_process: ClassVar[bool] = False
    """Whether trials of a search that differ in keys of the method alone are scored in one process."""

    def takes(self, key: str) -> bool:
        """Whether a key of section `train` can mean anything to it; steps are another matter."""
        return key not in self.ignores

    @property
    def leaves(self) -> tuple[str, int] | None:
        """What it leaves in the encoder and of what size; None: a plain encoder."""
        return None

    @property
    def virtual_tokens(self) -> int:
        """How many trained vectors stand before each text, and take positions as tokens do."""
        return 0

    def unfit_for(self, kind: str, keys: Collection[str] = ()) -> str:
        """Why the method cannot learn a `kind` of task whose section says these `keys`; empty: it can."""
        if kind in self.not_for:
            return f"cannot learn {kind}"
        if kind in WRITING and not self.writes:
            return f"cannot learn {kind}: it trains a last layer on an encoder, and writes no texts"
        unread = [key for key in keys if key in self.cannot_read]
        return f"cannot read what task.{unread[0]} names" if unread else ""

    def broken_rules(self, answers: Sequence[str]) -> Iterator[Broken]:  # noqa: ARG002
        """What of the method does not fit the right answers that the task has; keys from the method's."""
        yield from ()


class Head(MethodBase):
    """A linear model on the sentence embeddings of the untouched base model: cheap, and hard to beat."""

    in_steps: ClassVar[bool] = False
    many_a_process: ClassVar[bool] = True

    kind: Annotated[Literal["head"], WEIGHTS]
    regularisation: Annotated[float | None, WEIGHTS] = Field(default=None, gt=0, le=1e6)
    """The larger, the smaller its weights stay: 1/C of logistic regression, alpha of ridge regression.
    Default: of five values the one with the smallest validation loss."""
    standardise: Annotated[bool, WEIGHTS] = False
    """Whether each number of an embedding is scaled to mean 0 and deviation 1 for the fit; the model that
    comes out has that in its weights."""


class ZeroShot(MethodBase):
    """Nothing is trained: the answer is the nearest description, or what the base model writes."""

    writes: ClassVar[bool] = True
    not_for: ClassVar[tuple[str, ...]] = _ONE_OF_MANY_ONLY
    cannot_read: ClassVar[tuple[str, ...]] = ("text_pair", *BESIDE)
    in_steps: ClassVar[bool] = False
    ignores: ClassVar[tuple[str, ...]] = ("augment", "class_weights")

    kind: Annotated[Literal["zero_shot"], WEIGHTS]
    descriptions: Annotated[dict[str, Words], Mark(("weights",))] = Field(default_factory=dict)
    """Answer -> what a text of it is about, in a few words. One that is not here is described by its name."""
    features: Annotated[Literal["embeddings", "characters"], WEIGHTS] = "embeddings"
    """What is compared: what the base model makes of texts, or up to three characters together, which finds
    the words of a description in a text and nothing of their sense."""

    def broken_rules(self, answers: Sequence[str]) -> Iterator[Broken]:
        for name in self.descriptions:
            if name not in answers:
                yield Broken(("descriptions", name), "no such answer", ", ".join(answers), name)


class FewShot(MethodBase):
    """For a handful of rows of each answer: which texts belong together is learnt, then a linear model."""

    not_for: ClassVar[tuple[str, ...]] = _ONE_OF_MANY_ONLY
    cannot_read: ClassVar[tuple[str, ...]] = BESIDE
    ignores: ClassVar[tuple[str, ...]] = (
        "patience", "min_delta", "label_smoothing", "class_weights", "sampling", "adversarial", "distil",
    )  # fmt: skip
    usual: ClassVar[dict[str, float]] = {"learning_rate": 5e-5}
    shares_batches: ClassVar[bool] = False  # what is learnt is how the texts of a batch lie to each other

    kind: Annotated[Literal["few_shot"], WEIGHTS]
    temperature: Annotated[float, WEIGHTS] = Field(default=0.1, gt=0, le=10)
    """The smaller, the more the hardest pairs count."""


class Classical(MethodBase):
    """A linear model or trees, on how often which words occur (TF-IDF) or on sentence embeddings."""

    not_for: ClassVar[tuple[str, ...]] = _WHOLE_ROWS_ONLY
    in_steps: ClassVar[bool] = False

    kind: Annotated[Literal["classical"], WEIGHTS]
    features: Annotated[Literal["words", "characters", "embeddings"], WEIGHTS] = "words"
    """What the model reads: pieces of words as the base model's tokenizer has them, weighted by how rare they
    are; up to three characters together, for which no base model has to know the language; or what the base
    model makes of the text."""
    model: Annotated[Literal["linear", "forest", "boosting"], WEIGHTS] = "linear"
    trees: Annotated[int, WEIGHTS] = Field(default=100, ge=1, le=2000)
    """Of a forest, or rounds of boosting."""

    def unfit_for(self, kind: str, keys: Collection[str] = ()) -> str:
        if self.model != "linear" and kind == "multi_label":
            return "learns one answer for each row: only model linear learns several"
        return super().unfit_for(kind, keys)

    def takes(self, key: str) -> bool:
        if key == "quantise":  # of words there is no product of matrices
            return self.features == "embeddings"
        return super().takes(key) and (self.model == "linear" or key != "calibration")


class GradientMethod(MethodBase):
    """Weights of the base model are moved by gradient descent."""

    shares_batches: ClassVar[bool] = True


class TopLayers(GradientMethod):
    """The last layers and the head are trained; the layers below run once for each text."""

    needs: ClassVar[tuple[str, ...]] = (LAYERS,)
    usual: ClassVar[dict[str, float]] = {"learning_rate": 3e-4}

    kind: Annotated[Literal["top_layers"], WEIGHTS]
    layers: Annotated[int, WEIGHTS] = Field(default=2, ge=1, le=48)
    """How many, counted from the output."""


class FrozenPart(GradientMethod):
    """Everything is trained but the first layers, what lies below them, and weights of these names."""

    needs: ClassVar[tuple[str, ...]] = (LAYERS,)
    usual: ClassVar[dict[str, float]] = {"learning_rate": 1e-4}

    kind: Annotated[Literal["frozen"], WEIGHTS]
    lowest: Annotated[int, WEIGHTS] = Field(default=4, ge=0, le=48)
    """How many layers, counted from the input; they run once for each text. With 0, and without names,
    everything is trained, the word vectors too."""
    names: Annotated[str, WEIGHTS] = ""
    """Weights that stay as they are, by patterns with `*` between spaces: `embeddings.* *.attention.*`."""


class LowRank(GradientMethod):
    """What low-rank adapters have."""

    kind: Annotated[str, WEIGHTS]
    rank: Annotated[int, WEIGHTS] = Field(default=8, ge=1, le=512)
    scale: Annotated[float, WEIGHTS] = Field(default=2.0, gt=0, le=1000)
    """What an adapter gives is multiplied by it: `lora_alpha / r` elsewhere."""
    dropout: Annotated[float, WEIGHTS] = Field(default=0.05, ge=0, lt=1)
    """Of what goes into an adapter."""
    targets: Annotated[str, WEIGHTS] = ""
    """Linear layers that get one, by the ends of their names between spaces: `query value`. Empty: all."""


class Lora(LowRank):
    """Low-rank adapters (LoRA) on linear layers are trained, then merged into the weights."""

    writes: ClassVar[bool] = True
    usual: ClassVar[dict[str, float]] = {"learning_rate": 5e-4}

    kind: Annotated[Literal["lora"], WEIGHTS]


class Dora(LowRank):
    """Low-rank adapters turn the weights, a length of each output is trained beside (DoRA); then merged."""

    writes: ClassVar[bool] = True
    usual: ClassVar[dict[str, float]] = {"learning_rate": 5e-4}

    kind: Annotated[Literal["dora"], WEIGHTS]


class AdaLora(GradientMethod):
    """Low-rank adapters that lose rank where it matters least, in training (AdaLoRA); then merged."""

    writes: ClassVar[bool] = True
    usual: ClassVar[dict[str, float]] = {"learning_rate": 5e-3}

    kind: Annotated[Literal["adalora"], WEIGHTS]
    rank: Annotated[int, WEIGHTS] = Field(default=8, ge=1, le=512)
    """Of an adapter in the end, on average."""
    spare: Annotated[int, WEIGHTS] = Field(default=4, ge=0, le=512)
    """So much more rank it has in the beginning."""


class Ia3(GradientMethod):
    """A factor for each output of each linear layer is trained (IA3), then merged into the weights."""

    writes: ClassVar[bool] = True
    usual: ClassVar[dict[str, float]] = {"learning_rate": 1e-2}

    kind: Annotated[Literal["ia3"], WEIGHTS]


class Vera(GradientMethod):
    """Scales of random low-rank adapters, the same for all layers, are trained (VeRA); then merged."""

    writes: ClassVar[bool] = True
    usual: ClassVar[dict[str, float]] = {"learning_rate": 1e-2}

    kind: Annotated[Literal["vera"], WEIGHTS]
    rank: Annotated[int, WEIGHTS] = Field(default=256, ge=1, le=512)


class Oft(GradientMethod):
    """Inputs of all linear layers are turned in blocks (OFT): angles stay; then merged into the weights."""

    writes: ClassVar[bool] = True
    needs: ClassVar[tuple[str, ...]] = (TURNED_INPUTS,)
    usual: ClassVar[dict[str, float]] = {"learning_rate": 2e-3}

    kind: Annotated[Literal["oft"], WEIGHTS]
    block: Annotated[int, WEIGHTS] = Field(default=32, ge=2, le=1024)
    """Values that are turned together, at most: of a layer, the largest divisor of its inputs."""


class BitFit(GradientMethod):
    """What layers add (their biases) is trained, and nothing of what they multiply by."""

    needs: ClassVar[tuple[str, ...]] = (BIASES,)
    usual: ClassVar[dict[str, float]] = {"learning_rate": 5e-3}

    kind: Annotated[Literal["bitfit"], WEIGHTS]


class Adapter(GradientMethod):
    """A small network behind each layer is trained, and stays in the model."""

    needs: ClassVar[tuple[str, ...]] = (LAYERS,)
    usual: ClassVar[dict[str, float]] = {"learning_rate": 1e-3}

    kind: Annotated[Literal["adapter"], WEIGHTS]
    size: Annotated[int, WEIGHTS] = Field(default=64, ge=1, le=4096)
    """Values in its middle."""

    @property
    def leaves(self) -> tuple[str, int]:
        return ADAPTER, self.size


class Virtual(GradientMethod):
    """What methods have that put trained vectors before each text."""

    part: ClassVar[str] = PROMPT

    kind: Annotated[str, WEIGHTS]
    tokens: Annotated[int, WEIGHTS] = Field(default=20, ge=1, le=1024)
    """How many vectors; with `max_tokens` they must fit into what the base model reads."""

    @property
    def leaves(self) -> tuple[str, int]:
        return self.part, self.tokens

    @property
    def virtual_tokens(self) -> int:
        return self.tokens


class PromptTuning(Virtual):
    """Vectors that stand before each text like words are trained, and stay in the model."""

    usual: ClassVar[dict[str, float]] = {"learning_rate": 3e-2}

    kind: Annotated[Literal["prompt"], WEIGHTS]


class PTuning(Virtual):
    """The same vectors, made by a small network while they are trained (p-tuning); the vectors stay."""

    usual: ClassVar[dict[str, float]] = {"learning_rate": 3e-3}

    kind: Annotated[Literal["p_tuning"], WEIGHTS]


class PrefixTuning(Virtual):
    """Vectors that a layer reads before each text are trained, others for each layer; they stay."""

    needs: ClassVar[tuple[str, ...]] = (LAYERS,)
    usual: ClassVar[dict[str, float]] = {"learning_rate": 3e-2}
    part: ClassVar[str] = PREFIX

    kind: Annotated[Literal["prefix"], WEIGHTS]


class Full(GradientMethod):
    """Everything is trained but the table of word vectors."""

    writes: ClassVar[bool] = True
    usual: ClassVar[dict[str, float]] = {"learning_rate": 1e-4}

    kind: Annotated[Literal["full"], WEIGHTS]


_Any = (
    Head
    | ZeroShot
    | FewShot
    | Classical
    | TopLayers
    | FrozenPart
    | Lora
    | Dora
    | AdaLora
    | Ia3
    | Vera
    | Oft
    | BitFit
    | Adapter
    | PromptTuning
    | PTuning
    | PrefixTuning
    | Full
)
"""The one list of methods in the loop file."""

METHODS: tuple[type[MethodBase], ...] = get_args(_Any)


def kind_of(method: type[MethodBase]) -> str:
    """The name of a method in the loop file."""
    (kind,) = get_args(method.model_fields["kind"].annotation)
    return str(kind)


def usual(method: type[MethodBase]) -> MethodBase:
    """A method with its defaults."""
    return method.model_validate({"kind": kind_of(method)})


def methods_for(kind: str, keys: Collection[str] = ()) -> tuple[str, ...]:
    """The methods that can learn a `kind` of task whose section says these `keys`, by their names."""
    return tuple(kind_of(method) for method in METHODS if not usual(method).unfit_for(kind, keys))


Method = Annotated[
    Annotated[_Any, Field(discriminator="kind")],
    *short_form(*(kind_of(method) for method in METHODS)),
]
