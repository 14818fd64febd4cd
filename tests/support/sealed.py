"""A champion's encoder, as it lies in an artifact: without the graph, which takes seconds to trace."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save_file

from lakeloop.base_model import BaseModel, find_base_model
from lakeloop.spec.train import CHAMPION
from training.export import weights_to_save
from training.network import Network


def sealed(network: Network, tokenizer: Path, folder: Path) -> BaseModel:
    """Write what of an artifact of `network` an encoder is loaded from into `folder`, which is made."""
    folder.mkdir()
    save_file(weights_to_save(network), folder / "model.safetensors")
    (folder / "base_config.json").write_text(network.encoder.config.to_json_string(use_diff=False))
    (folder / "tokenizer.json").write_bytes(tokenizer.read_bytes())
    return find_base_model(CHAMPION, folder)
