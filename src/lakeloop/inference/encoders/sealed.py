"""The encoder in an artifact: of the files that a training sealed, in torch, to be run or trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModel, PreTrainedModel

from lakeloop.bases.files import read_json
from lakeloop.inference.encoders.parts import add_again

ENCODER = "encoder."
"""Begins the names of the encoder's weights in those of a network."""


def sealed(config: Path, weights: Path) -> tuple[PreTrainedModel, dict[str, torch.Tensor]]:
    """The encoder with this config and these weights, and by name those of its weights that are not there.

    Float32, on the CPU. What transformers and safetensors raise on other files is passed on.
    """
    told = AutoConfig.for_model(**read_json(config))
    encoder = encoder_of(AutoModel.from_config(told, dtype=torch.float32))
    add_again(encoder)
    saved = load_file(weights)
    given = {name.removeprefix(ENCODER): w for name, w in saved.items() if name.startswith(ENCODER)}
    own = dict(encoder.named_parameters(remove_duplicate=False))
    loading = encoder.load_state_dict(given, strict=False)
    # Of weights that are one, one is saved.
    there = {id(own[name]) for name in given if name in own}
    return encoder, {
        name: own[name] for name in loading.missing_keys if name in own and id(own[name]) not in there
    }


def encoder_of(model: Any) -> PreTrainedModel:
    """`model`, or of one with a decoder (BART, T5) its encoder: texts are read here, none is written."""
    encoder = model.get_encoder() if hasattr(model, "decoder") else model
    encoder = encoder if isinstance(encoder, PreTrainedModel) else model
    if getattr(encoder, "pooler", None) is not None:
        # Its output is not used here, and many published models leave its weights out.
        encoder.pooler = None
    return cast("PreTrainedModel", encoder)
