"""torch: a language model that writes an answer to each prompt, always by the most probable next token.

The network is that of the folder, as transformers builds it from its config; code of a model is never run.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, GenerationConfig

from lakeloop.bases.files import SEALED_CONFIG, WEIGHTS, read_json
from lakeloop.errors import ArtifactError, ConfigurationError
from lakeloop.inference.batches import Padded, pad
from lakeloop.inference.devices import CPU, Wanted, chosen, providers_of_torch
from lakeloop.tasks.base import OutputContract, Writing

REMEDY = "release the model again; nothing was answered with this one"
PREFIX = "encoder."
"""Begins the names of a base model's weights in those of a network."""
_NO_TARGET = -100
"""Stands where no token is judged, as torch has it."""
_MOST_NUMBERS = 64_000_000
"""Numbers that a network may give at once when right answers are judged: 256 MB."""
_FAULTS = (OSError, ValueError, KeyError, RuntimeError, ImportError, TypeError, SafetensorError)


class TorchGenerate:
    """A language model, on the CPU or CUDA in float32."""

    def __init__(self, folder: Path, contract: OutputContract, threads: int, device: Wanted = "cpu") -> None:
        """Load it.

        Raises:
            ArtifactError: the files are no language model that `contract` is of.
            ConfigurationError: CUDA is wanted, and torch has none here.
        """
        self._folder = folder
        if contract.writing is None:
            raise ArtifactError(
                f"a model for {contract.kind} writes no texts", where=str(folder), remedy=REMEDY
            )
        self._writing = contract.writing
        torch.set_num_threads(threads)
        self._model = load_writer(folder, encodes=contract.writing.start is not None)
        if (vectors := self._model.config.vocab_size) != contract.width:
            raise ArtifactError(
                "the model does not write as it promises",
                where=str(folder),
                expected=f"{contract.width:,} tokens",
                found=f"{vectors:,}",
                remedy=REMEDY,
            )
        self.device = chosen(device, providers_of_torch(), "torch") if device != CPU else CPU
        self._model = self._model.to(self.device)
        # transformers keeps the state of a text that is written in the model.
        self._one_at_a_time = threading.Lock()

    def run(self, batch: Padded) -> NDArray[np.int64]:
        try:
            with self._one_at_a_time:
                return write(self._model, self._writing, batch)
        except (IndexError, ValueError) as error:  # faults of memory or of the machine are passed on
            raise ArtifactError(
                "the model fails on its input",
                where=str(self._folder),
                found=f"at {batch.width} tokens: {error}",
                remedy=REMEDY,
            ) from error

    def losses(self, asked: Sequence[Sequence[int]], right: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        """How unlikely the model takes right answers to be: see `losses`; a few rows at a time."""
        longest = max(len(prompt) + len(answer) for prompt, answer in zip(asked, right, strict=True))
        size = max(1, _MOST_NUMBERS // (longest * self._model.config.vocab_size))
        parts = [slice(first, first + size) for first in range(0, len(asked), size)]
        with self._one_at_a_time:
            found = [losses(self._model, self._writing, asked[part], right[part]) for part in parts]
        return np.concatenate(found)


def load_writer(folder: Path, *, encodes: bool) -> Any:
    """The language model of an artifact, whose weights were sealed there, in float32 and eval mode.

    Raises:
        ArtifactError: a weight is missing, or the files are no such model.
    """
    try:
        told = read_json(folder / SEALED_CONFIG)
        kind = AutoModelForSeq2SeqLM if encodes else AutoModelForCausalLM
        model = kind.from_config(AutoConfig.for_model(**told), dtype=torch.float32)
        saved = load_file(folder / WEIGHTS)
        loading = model.load_state_dict(
            {name.removeprefix(PREFIX): weight for name, weight in saved.items()}, strict=False
        )
    except (*_FAULTS, ConfigurationError) as error:
        found = str(error).strip().splitlines()[0]
        raise ArtifactError(
            "model cannot be loaded", where=str(folder), found=found, remedy=REMEDY
        ) from error
    model.tie_weights()
    own = {**dict(model.named_parameters(remove_duplicate=False)), **dict(model.named_buffers())}
    # Of weights that are one, one is saved.
    there = {own[name].data_ptr() for name in own if PREFIX + name in saved}
    lacking = [name for name in loading.missing_keys if own[name].data_ptr() not in there]
    if lacking or loading.unexpected_keys:
        wrong = [*lacking, *loading.unexpected_keys]
        raise ArtifactError(
            f"{len(wrong)} of the weights are missing or are no such model's, the first is {wrong[0]}",
            where=str(folder),
            remedy=REMEDY,
        )
    return model.eval()


@torch.inference_mode()
def write(model: Any, writing: Writing, batch: Padded) -> NDArray[np.int64]:
    """What `model` writes behind each prompt of `batch`: int64 [rows, tokens], -1 where a row has ended.

    The most probable token each time, so that the same prompts get the same answers.
    """
    ids, mask = batch.input_ids, batch.attention_mask
    encodes = writing.start is not None
    if not encodes:
        ids, mask = to_the_right(batch)
    device = next(model.parameters()).device
    model.generation_config = _settings(writing)
    found = model.generate(
        input_ids=torch.from_numpy(ids).to(device),
        attention_mask=torch.from_numpy(mask).to(device),
        generation_config=model.generation_config,
    )
    new: NDArray[np.int64] = found[:, 1 if encodes else ids.shape[1] :].cpu().numpy().astype(np.int64)
    ended = np.isin(new, writing.ends)
    after = (np.cumsum(ended, axis=1) - ended) > 0
    new[after] = -1
    return new


@torch.inference_mode()
def losses(
    model: Any, writing: Writing, asked: Sequence[Sequence[int]], right: Sequence[Sequence[int]]
) -> NDArray[np.float64]:
    """Of each row the summed loss of the tokens of its right answer, in nats, and their number: [rows, 2].

    `asked` are the tokens of the prompts and `right` those of the answers, their end among them. Of a model
    that only goes on, the target of a token of the prompt and the answer is the one behind it.
    """
    start, encodes = writing.start, writing.start is not None
    if start is not None:
        batch, lengths = pad(asked, writing.pad), [0] * len(asked)
        given = pad([[start, *answer[:-1]] for answer in right], writing.pad).input_ids
        more = {"decoder_input_ids": torch.from_numpy(given)}
    else:
        batch = pad(
            [[*prompt, *answer[:-1]] for prompt, answer in zip(asked, right, strict=True)], writing.pad
        )
        lengths, more = [len(prompt) - 1 for prompt in asked], {}
    width = max(map(len, right)) if encodes else batch.width
    wanted = np.full((len(right), width), _NO_TARGET, dtype=np.int64)
    for line, (first, answer) in enumerate(zip(lengths, right, strict=True)):
        wanted[line, first : first + len(answer)] = answer
    device = next(model.parameters()).device
    logits = model(
        input_ids=torch.from_numpy(batch.input_ids).to(device),
        attention_mask=torch.from_numpy(batch.attention_mask).to(device),
        use_cache=False,
        **{name: tensor.to(device) for name, tensor in more.items()},
    ).logits
    targets = torch.from_numpy(wanted).to(device)
    each = cross_entropy(
        logits.float().flatten(0, 1), targets.flatten(), ignore_index=_NO_TARGET, reduction="none"
    )
    summed = each.view(targets.shape).double().sum(dim=1)
    return torch.stack([summed, (targets != _NO_TARGET).sum(dim=1)], dim=1).cpu().numpy()


def to_the_right(batch: Padded) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ids and mask of `batch` with the padding before the texts: a text is gone on with where it ends."""
    ids, mask = np.empty_like(batch.input_ids), np.empty_like(batch.attention_mask)
    for line, length in enumerate(batch.attention_mask.sum(axis=1)):
        ids[line] = np.roll(batch.input_ids[line], batch.width - length)
        mask[line] = np.roll(batch.attention_mask[line], batch.width - length)
    return ids, mask


def _settings(writing: Writing) -> GenerationConfig:
    return GenerationConfig(
        max_new_tokens=writing.max_new_tokens,
        do_sample=False,
        num_beams=1,
        eos_token_id=list(writing.ends),
        pad_token_id=writing.pad,
        decoder_start_token_id=writing.start,
        bos_token_id=writing.start,
    )
