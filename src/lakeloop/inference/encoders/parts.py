"""What a method adds to an encoder and leaves there: adapters behind its layers, vectors before its texts.

The parts lie in the encoder, so that their weights are saved and loaded as its own, and its config says which
there are (`bases.parts`). Vectors before a text are read by `reading`, which runs encoders.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from lakeloop.bases.parts import KEY
from lakeloop.inference.encoders.layers import layers_of
from lakeloop.spec.methods import ADAPTER, PREFIX, PROMPT

_BEFORE = "before_texts"
"""Name of the part of an encoder that stands before its texts."""
_IN_A_LAYER = "added_{}"
"""Name of a part of a layer, by kind."""


class Adapter(nn.Module):
    """A bottleneck behind a layer, around which the hidden states also go straight on.

    In the beginning it changes nothing.
    """

    def __init__(self, hidden: int, size: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(hidden, size), nn.Linear(size, hidden)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        adapted: torch.Tensor = hidden + self.up(nn.functional.gelu(self.down(hidden))).to(hidden.dtype)
        return adapted

    def behind(self, _layer: nn.Module, _inputs: Any, output: Any) -> Any:
        """The output of the layer, adapted: hidden states, alone or first of more."""
        if isinstance(output, tuple):
            return (self(output[0]), *output[1:])
        return self(output)


class Prompt(nn.Module):
    """Vectors that are put before those of a text's tokens: float32 [count, size of a word vector]."""

    def __init__(self, vectors: torch.Tensor) -> None:
        super().__init__()
        self.vectors = nn.Parameter(vectors)

    @property
    def count(self) -> int:
        return len(self.vectors)

    def forward(self) -> torch.Tensor:
        return self.vectors


class Room(nn.Module):
    """Keeps places before a text free for what each layer puts there."""

    empty: torch.Tensor

    def __init__(self, count: int, size: int) -> None:
        super().__init__()
        self.count, self._size = count, size
        self.register_buffer("empty", torch.zeros(1), persistent=False)

    def forward(self) -> torch.Tensor:
        return self.empty.expand(self.count, self._size)


class Prefix(nn.Module):
    """Hidden states that a layer reads before those of a text, whatever the layer below put there."""

    def __init__(self, vectors: torch.Tensor) -> None:
        super().__init__()
        self.vectors = nn.Parameter(vectors)

    def ahead(self, _layer: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """The arguments of the layer, with these hidden states in the first places."""
        if args:
            return (self._put(args[0]), *args[1:]), named
        return args, {**named, "hidden_states": self._put(named["hidden_states"])}

    def _put(self, hidden: torch.Tensor) -> torch.Tensor:
        own = self.vectors.to(hidden.dtype).expand(hidden.shape[0], -1, -1)
        return torch.cat([own, hidden[:, len(self.vectors) :]], dim=1)


def add(encoder: PreTrainedModel, kind: str, size: int) -> None:
    """Add a part; one that is there already stays as it is."""
    if kind not in parts_in(encoder):
        _BUILDERS[kind](encoder, size, True)
        setattr(encoder.config, KEY, {**parts_in(encoder), kind: size})


def add_again(encoder: PreTrainedModel) -> None:
    """Add the parts that the encoder's config tells of; their weights are then to be loaded."""
    for kind, size in parts_in(encoder).items():
        _BUILDERS[kind](encoder, size, False)


def parts_in(encoder: PreTrainedModel) -> Mapping[str, int]:
    """Kind -> size of the parts that there are."""
    return dict(getattr(encoder.config, KEY, None) or {})


def weights_of(encoder: PreTrainedModel, kind: str) -> list[nn.Parameter]:
    """The weights of that part."""
    place = _BEFORE if kind == PROMPT else _IN_A_LAYER.format(kind)
    return [weight for name, weight in encoder.named_parameters() if place in name.split(".")]


def before_texts(encoder: PreTrainedModel) -> Any:
    """The vectors that stand before each text, with their `count`; None: there are none."""
    return getattr(encoder, _BEFORE, None)


def stand_before(encoder: PreTrainedModel, part: nn.Module) -> None:
    """Make `part` what stands before the texts."""
    setattr(encoder, _BEFORE, part)


def _adapters(encoder: PreTrainedModel, size: int, _fresh: bool) -> None:
    for layer in layers_of(encoder):
        adapter = Adapter(encoder.config.hidden_size, size)
        setattr(layer, _IN_A_LAYER.format(ADAPTER), adapter)
        layer.register_forward_hook(adapter.behind)


def _prompt(encoder: PreTrainedModel, count: int, fresh: bool) -> None:
    vectors = _word_vectors(encoder, count) if fresh else torch.empty(count, _word_size(encoder))
    stand_before(encoder, Prompt(vectors))


def _prefix(encoder: PreTrainedModel, count: int, fresh: bool) -> None:
    layers = layers_of(encoder)
    if fresh:
        with torch.no_grad():
            read = encoder(inputs_embeds=_word_vectors(encoder, count)[None], output_hidden_states=True)
        vectors = [states[0].clone() for states in read.hidden_states[: len(layers)]]
    else:
        vectors = [torch.empty(count, encoder.config.hidden_size) for _ in layers]
    stand_before(encoder, Room(count, _word_size(encoder)))
    for layer, hidden in zip(layers, vectors, strict=True):
        prefix = Prefix(hidden)
        setattr(layer, _IN_A_LAYER.format(PREFIX), prefix)
        layer.register_forward_pre_hook(prefix.ahead, with_kwargs=True)


@torch.no_grad()
def _word_vectors(encoder: PreTrainedModel, count: int) -> torch.Tensor:
    """Vectors of random words: a better beginning than random numbers (Lester et al. 2021)."""
    words = torch.randint(encoder.config.vocab_size, (count,), device=encoder.device)
    vectors: torch.Tensor = encoder.get_input_embeddings()(words)
    return vectors.detach().clone()


def _word_size(encoder: PreTrainedModel) -> int:
    vectors: torch.Tensor = encoder.get_input_embeddings().weight
    return vectors.shape[1]


_BUILDERS: Mapping[str, Callable[[PreTrainedModel, int, bool], None]] = {
    ADAPTER: _adapters,
    PROMPT: _prompt,
    PREFIX: _prefix,
}
