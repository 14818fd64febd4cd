"""A training that goes on from the encoder of a champion."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lakeloop.artifact import open_artifact
from lakeloop.base_model import BaseModel, find_base_model
from lakeloop.errors import ConfigurationError
from lakeloop.spec.train import CHAMPION
from training.job import run
from training.job_config import JobConfig
from training.network import load_encoder
from training.train import train


@pytest.fixture
def trained(make_config: Callable[..., JobConfig], tmp_path: Path) -> Path:
    """The artifact of a training."""
    path = tmp_path / "first" / "config.json"
    path.parent.mkdir()
    path.write_text(make_config("full").model_dump_json())
    run(path, train)
    return path.parent / "artifact"


@pytest.mark.slow
def test_a_champion_is_trained_on_and_not_its_pretrained_model_again(
    trained: Path, base: BaseModel, make_config: Callable[..., JobConfig], tmp_path: Path
) -> None:
    champion = find_base_model(CHAMPION, trained)
    encoder, saved = load_encoder(champion, 24), load_file(trained / "model.safetensors")
    for name, weight in encoder.named_parameters():
        torch.testing.assert_close(weight.detach(), saved[f"encoder.{name}"], atol=0, rtol=0)
    untrained = load_encoder(base, 24).get_parameter("encoder.layer.1.output.dense.weight")
    assert not torch.equal(untrained, encoder.get_parameter("encoder.layer.1.output.dense.weight"))

    config = make_config("top_layers", base_model=CHAMPION).model_copy(update={"base_folder": trained})
    path = tmp_path / "second" / "config.json"
    path.parent.mkdir()
    path.write_text(config.model_dump_json())
    run(path, train)
    first, second = (json.loads((p / "result.json").read_text()) for p in (trained.parent, path.parent))
    assert second["details"]["epochs"][0]["loss"] < first["details"]["epochs"][0]["loss"]
    description = open_artifact(path.parent / "artifact").description
    assert (description.base_model, description.base_digest) == (CHAMPION, champion.digest)

    head = {name: weight for name, weight in saved.items() if name.startswith("head.")}
    save_file(head, trained / "model.safetensors")
    with pytest.raises(ConfigurationError, match="lacks 37 of its weights"):
        load_encoder(find_base_model(CHAMPION, trained), 24)
    (trained / "model.safetensors").unlink()
    with pytest.raises(ConfigurationError, match="no weights in safetensors format"):
        find_base_model(CHAMPION, trained)
