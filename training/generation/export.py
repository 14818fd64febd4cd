"""From a trained language model to its sealed artifact, which must write what the trained one writes."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

from lakeloop.artifact import Artifact, ArtifactDescription
from lakeloop.base_model import BaseModel
from lakeloop.bases.files import SEALED_CONFIG, WEIGHTS
from lakeloop.durable import write_atomically
from lakeloop.errors import ArtifactError
from lakeloop.inference.batches import pad
from lakeloop.inference.engines.torch_generate import TorchGenerate, write
from lakeloop.inference.writing import Prompts
from training.export import begun, sealed, weights_to_save
from training.generation.prompts import said_again
from training.network import TokenNetwork

log = logging.getLogger(__name__)

COMPARED = 4
"""Texts, at most, that files and network both write answers to: a small model takes seconds for each."""


def export_writer(
    network: TokenNetwork,
    tokenizer: Tokenizer,
    description: ArtifactDescription,
    texts: Sequence[str],
    *,
    rows: Mapping[str, int],
    into: Path,
    base: BaseModel,
) -> Artifact:
    """Write the artifact of `network` to the folder `into`, which appears whole or not at all.

    `texts` are real ones, to compare what is written by the files and by the network.

    Raises:
        ArtifactError: they do not write the same.
    """
    writing = description.contract.writing
    assert writing is not None
    partial = begun(into)
    model: Any = network.to("cpu").eval().encoder
    save_file(weights_to_save(network), partial / WEIGHTS)
    write_atomically(partial / SEALED_CONFIG, model.config.to_json_string(use_diff=False))
    for name, told in said_again(base, writing).items():  # for who trains on this model
        write_atomically(partial / name, json.dumps(told, indent=2) + "\n")
    texts = texts[:COMPARED]
    batch = pad(Prompts(tokenizer, writing, description.max_tokens).ids(texts), writing.pad)
    wanted = write(model, writing, batch)
    found = TorchGenerate(partial, description.contract, torch.get_num_threads()).run(batch)
    if not np.array_equal(wanted, found):
        raise ArtifactError(
            "the exported model does not write what the trained one does",
            where=str(partial),
            expected=f"the same tokens for {len(texts)} texts",
            found="others",
            remedy="report it with the name of the base model",
        )
    log.info("the files write what the network writes, for %d texts", len(texts))
    return sealed(partial, network, tokenizer, description, rows, into)
