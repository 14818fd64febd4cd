"""From a trained network to the sealed artifact folder that is judged, registered and served.

The ONNX file is compared with the network before the folder is sealed: what is shipped is what was trained.
"""

from __future__ import annotations

import dataclasses
import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from pydantic import JsonValue
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import PreTrainedModel

from lakeloop.artifact import (
    ONNX_MODEL,
    TOKENIZER,
    Artifact,
    ArtifactDescription,
    write_manifest,
)
from lakeloop.bases.files import SEALED_CONFIG, WEIGHTS
from lakeloop.durable import fsync_directory, write_atomically
from lakeloop.errors import ArtifactError
from lakeloop.faults import reach
from lakeloop.measures.base import shown
from lakeloop.tasks.base import Profile
from training.data import Tokens
from training.graph import INPUTS, graph_of
from training.network import TokenNetwork

log = logging.getLogger(__name__)

TOLERANCE = 1e-3
"""Largest difference of an output between ONNX Runtime and torch; float32 rounding gives some 1e-6."""
COMPARED_ROWS = 16


def export_artifact(
    network: TokenNetwork,
    tokenizer: Tokenizer,
    description: ArtifactDescription,
    compared: Tokens,
    *,
    rows: Mapping[str, int],
    into: Path,
    graphs: Path,
    beside: Callable[[], None] = lambda: None,
    refine: Callable[[Path], Mapping[str, float] | None] = lambda _path: None,
) -> Artifact:
    """Write the artifact of `network` to the folder `into`, which appears whole or not at all.

    `compared` are of real rows, to compare ONNX Runtime with torch on; `rows` are for the card: split ->
    count; in the folder `graphs` lie those of architectures that were exported before, `beside` waits for
    who traces this one. `refine` may put another network in the place of the ONNX file, and then says how
    that does on the validation rows.

    Raises:
        ArtifactError: the ONNX file does not compute what the network computes.
    """
    partial = begun(into)
    network = network.to("cpu").eval()
    save_file(weights_to_save(network), partial / WEIGHTS)
    onnx.save(graph_of(network, graphs, beside), partial / ONNX_MODEL)
    difference = compare(network, partial / ONNX_MODEL, compared)
    log.info("ONNX Runtime and torch differ by at most %.1e", difference)
    if (scores := refine(partial / ONNX_MODEL)) is not None:
        description = description.model_copy(update={"validation_metrics": dict(scores)})
    return sealed(partial, network, tokenizer, description, rows, into)


def begun(into: Path) -> Path:
    """An empty folder beside `into`, to be sealed and then called so."""
    partial = into.with_name(f"{into.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    return partial


def sealed(
    partial: Path,
    network: TokenNetwork,
    tokenizer: Tokenizer,
    description: ArtifactDescription,
    rows: Mapping[str, int],
    into: Path,
) -> Artifact:
    """The artifact in `into`, of the folder `partial` and what all artifacts have beside a network."""
    tokenizer.save(str(partial / TOKENIZER))
    if isinstance(encoder := getattr(network, "encoder", None), PreTrainedModel):
        write_atomically(partial / SEALED_CONFIG, encoder.config.to_json_string(use_diff=False))
    write_atomically(partial / "card.md", card(description, rows))
    reach("train.before-manifest")
    artifact = write_manifest(partial, description)
    partial.rename(into)
    fsync_directory(into.parent)
    return dataclasses.replace(artifact, folder=into)


def weights_to_save(network: TokenNetwork) -> dict[str, torch.Tensor]:
    """Weights and buffers by name; of such as are one tensor, shared, the first."""
    tensors, seen = {}, set()
    for name, tensor in network.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            seen.add(id(tensor))
            tensors[name] = tensor.detach().contiguous()
    return tensors


def compare(network: TokenNetwork, path: Path, tokens: Tokens) -> float:
    """The largest difference of an output between the ONNX file and `network`, on `tokens` in one batch.

    Raises:
        ArtifactError: the difference is above `TOLERANCE`.
    """
    batch = tokens.batch(np.arange(len(tokens.ids)))
    with torch.inference_mode():
        wanted = network(*batch.tensors).numpy()
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    inputs = {name: tensor.numpy() for name, tensor in zip(INPUTS, batch.tensors, strict=False)}
    (found,) = session.run(["outputs"], inputs)
    difference = float(np.abs(np.asarray(found) - wanted).max())
    if not difference <= TOLERANCE:
        raise ArtifactError(
            "the exported model does not compute what the trained one does",
            where=str(path),
            expected=f"outputs within {TOLERANCE:g}",
            found=f"{difference:g} apart",
            remedy="report it with the name of the base model",
        )
    return difference


def card(description: ArtifactDescription, rows: Mapping[str, int]) -> str:
    """The model card, Markdown."""
    lines = [
        f"# {description.loop}: {description.candidate}",
        "",
        f"Answers texts, by {description.contract.kind}. Made by Lakeloop.",
        "",
        *_table(
            ("", ""),
            {
                "Method": description.method,
                "Base model": description.base_model,
                "Base model digest": f"sha256 {description.base_digest}",
                "Data set digest": f"sha256 {description.dataset_digest}",
                **{f"Rows, {split}": str(count) for split, count in rows.items()},
                "Longest text": f"{description.max_tokens} tokens; what follows is not read",
                "Texts are cleaned by": ", ".join(description.clean) or "nothing",
                **{
                    f"Validation {name}": shown(value)
                    for name, value in description.validation_metrics.items()
                },
            },
        ),
        "These scores chose the settings; those on test rows are in the evaluation report.",
        "",
        *_table(("Target", "Training rows"), _spread(description.profile)),
        *_table(
            ("Setting", "Value, and where it is from"),
            {key: _said(setting) for key, setting in description.settings.items()},
        ),
    ]
    return "\n".join(lines)


def _table(heading: tuple[str, str], rows: Mapping[str, str]) -> list[str]:
    return [f"| {' | '.join(heading)} |", "|---|---|", *(f"| {k} | {v} |" for k, v in rows.items()), ""]


def _spread(profile: Profile) -> dict[str, str]:
    shares = {name: f"{share:.1%}" for name, share in profile.shares.items()}
    return shares | {
        name: f"{profile.numbers[name]:.4g}" for name in sorted(profile.numbers) if "/" not in name
    }


def _said(setting: JsonValue) -> str:
    assert isinstance(setting, dict)
    return f"{setting['value']} ({setting['origin']})"
