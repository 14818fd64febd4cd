"""Where the layers of an encoder lie."""

from __future__ import annotations

from torch import nn
from transformers import PreTrainedModel

from lakeloop.bases.files import WHERE
from lakeloop.errors import ConfigurationError


def layers_of(encoder: PreTrainedModel) -> nn.ModuleList:
    """The encoder's stack of layers, input side first.

    Raises:
        ConfigurationError: there is no single such stack.
    """
    depth = getattr(encoder.config, "num_hidden_layers", 0)
    stacks = [m for m in encoder.modules() if isinstance(m, nn.ModuleList) and len(m) == depth]
    # A layer may be made of as many parts as there are layers.
    inner = {id(part) for stack in stacks for part in stack.modules() if part is not stack}
    stacks = [stack for stack in stacks if id(stack) not in inner]
    if len(stacks) != 1:
        raise ConfigurationError(
            f"{type(encoder).__name__} has no single stack of {depth} layers",
            where=WHERE,
            remedy="train it with method lora or full",
        )
    return stacks[0]
