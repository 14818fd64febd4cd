"""Unpacks a GGUF file into a folder as base models are published: config, tokenizer, weights in float32.

Run by `lakeloop.bases.quantised` as `python -m training.unpack FILE FOLDER --parent PID`; it ends with its
parent. transformers reads the weights and makes the tokenizer of what the file says of one.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from tokenizers import pre_tokenizers
from tokenizers.pre_tokenizers import PreTokenizer
from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

from lakeloop.bases.files import WHERE
from lakeloop.bases.gguf_file import SUFFIX, read_head
from lakeloop.bases.quantised import RECEIPT, line_of
from lakeloop.durable import sha256_file, write_atomically
from lakeloop.errors import ConfigurationError, LakeloopError, exit_code
from lakeloop.full_disk import told_when_full
from training.ranks import end_with_parent

_FAULTS = (OSError, ValueError, KeyError, RuntimeError, ImportError, TypeError, AttributeError, IndexError)
"""What transformers raises for a file that it makes nothing of."""
_DIGIT_BY_DIGIT = frozenset({"smollm"})
"""Kinds of parting (`tokenizer.ggml.pre`) that part numbers into digits, before all else."""
_USUAL = frozenset({"", "default", "gpt-2"})
"""Those that part texts as GPT-2 does, which is what transformers takes for one that it does not know."""
_WORDS = "gpt2"
"""The kind of tokenizer (`tokenizer.ggml.model`) that parts texts at all: byte by byte."""


def main() -> None:
    """Leave the folder, or say in one line of the output why not."""
    parser = argparse.ArgumentParser(description="Unpack a GGUF file into a folder.")
    parser.add_argument("file", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--parent", type=int, required=True, help="the process that waits for it")
    options = parser.parse_args()
    end_with_parent()
    if os.getppid() != options.parent:  # it ended while this began
        sys.exit(1)
    hf.utils.logging.disable_progress_bar()
    hf.utils.logging.set_verbosity_error()
    try:
        with told_when_full(
            [options.folder],
            expected="room for the weights in float32, four bytes each",
            remedy="nothing half is left; make room, or set LAKELOOP_CACHE to a folder of another disk",
        ):
            unpack(options.file, options.folder)
    except LakeloopError as error:
        sys.stdout.write(f"\n{line_of(error)}\n")
        sys.exit(exit_code(error))


def unpack(file: Path, folder: Path) -> None:
    """Write config, generation settings, tokenizer, chat template and weights of `file` to the new `folder`.

    The receipt is the last: it names the others, each with its size and digest.

    Raises:
        ConfigurationError: transformers knows no such model, or weights or words of it are missing.
        OSError, SafetensorError: what is written has no room.
    """
    head = read_head(file)
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as place:  # a name that ends as transformers wants it
        named = Path(place, f"model{SUFFIX}")
        named.symlink_to(file.resolve())
        try:
            model, tokenizer = _model(named), _tokenizer(named)
        except _FAULTS as error:
            raise ConfigurationError(
                "base model cannot be unpacked",
                where=WHERE,
                expected="a language model that transformers reads from GGUF, such as Llama, Qwen or Gemma",
                found=f"{file}, {head.architecture}: {_first_line(error)}",
            ) from error
    notes = _parted(tokenizer, str(head.values.get("tokenizer.ggml.model")), head.pre)
    model.save_pretrained(folder, max_shard_size="1TB")
    tokenizer.save_pretrained(folder)
    files = sorted(folder.iterdir())
    receipt = {
        "source": sha256_file(file),
        "files": {each.name: {"size": each.stat().st_size, "sha256": sha256_file(each)} for each in files},
        "notes": notes,
    }
    write_atomically(folder / RECEIPT, json.dumps(receipt, indent=2) + "\n")


def _model(file: Path) -> Any:
    model, loading = hf.AutoModelForCausalLM.from_pretrained(
        file.parent,
        gguf_file=file.name,
        quantization_config=hf.GgufConfig(dequantize=True),
        dtype=torch.float32,
        trust_remote_code=False,
        local_files_only=True,
        output_loading_info=True,
    )
    if missing := sorted(loading["missing_keys"]):
        raise ValueError(f"{len(missing)} of its weights are missing, the first is {missing[0]}")
    # What it says of the way in which it was packed: it is an unpacked model from now on.
    model.hf_quantizer = None
    model.is_quantized = False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    return model


def _tokenizer(file: Path) -> Any:
    return hf.AutoTokenizer.from_pretrained(
        file.parent, gguf_file=file.name, trust_remote_code=False, local_files_only=True
    )


def _parted(tokenizer: Any, kind: str, pre: str) -> list[str]:
    """Have `tokenizer` part texts as `pre` says, where transformers leaves that out; returns what is open.

    As llama.cpp parts them (llama-vocab.cpp): for `smollm` each digit is alone, what is left goes by the
    expression of GPT-2.
    """
    backend = tokenizer.backend_tokenizer
    if kind != _WORDS or pre in _USUAL or pre in GGUF_PRE_TOKENIZER_SPLITS:
        return []
    if pre not in _DIGIT_BY_DIGIT:
        return [f"texts may be parted otherwise than it was taught with: tokenizer.ggml.pre is {pre!r}"]
    steps: list[PreTokenizer] = [pre_tokenizers.Digits(individual_digits=True), backend.pre_tokenizer]
    backend.pre_tokenizer = pre_tokenizers.Sequence(steps)
    return []


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


if __name__ == "__main__":
    main()
