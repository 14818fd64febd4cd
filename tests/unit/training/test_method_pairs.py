"""Methods on two each of six architectures that differ: each pair learns, and is the same when loaded again.

All of them, with ONNX Runtime and the server's answers, are tried by `python -m tests.support.base_table`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lakeloop.base_model import BaseModel, find_base_model
from lakeloop.tracking.tracker import NoopTracker
from tests.support.base_table import EVERYWHERE, METHODS, TABLE, TRAINS, WITHOUT_EPOCHS, config_of
from tests.support.sealed import sealed
from tests.support.tiny_bases import FAMILIES
from tests.support.training_jobs import Folders
from training.job import open_job
from training.network import Network, load_encoder
from training.train import train

VARIED = ("bert", "mpnet", "deberta-v2", "modernbert", "t5", "gpt2")
TOLD = json.loads(TABLE.read_text())
PAIRS = [
    (family, method)
    for row, family in enumerate(VARIED)
    for column, method in enumerate(METHODS)
    if method not in (*EVERYWHERE, *WITHOUT_EPOCHS)
    and (row + column) % 3 == 0
    and TOLD[family][method] == TRAINS
]
"""Each method on two of them: all together would take a minute."""
IDS = torch.tensor([[5, 6, 7, 8, 9], [9, 6, 5, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, BaseModel]:
    folder = tmp_path_factory.mktemp("models")
    return {name: find_base_model(f"models/{name}", FAMILIES[name].make(folder / name)) for name in VARIED}


@pytest.mark.parametrize(("family", "method"), PAIRS)
def test_an_architecture_learns_by_a_method_and_is_the_same_when_it_is_loaded_again(
    family: str,
    method: str,
    bases: dict[str, BaseModel],
    dataset_folder: Path,
    cache: Path,
    tmp_path: Path,
) -> None:
    folders = Folders(dataset_folder, cache, tmp_path / "journals")
    job = open_job(config_of(bases[family], method, folders), NoopTracker())
    job.device = replace(job.device, bf16=False)
    trained = train(job)
    losses = [epoch["loss"] for epoch in trained.details["epochs"]]
    assert losses[-1] < losses[0]
    assert trained.validation.loss < torch.tensor(3.0).log().item(), "guessing one of three is as good"
    network = trained.network.eval()
    again = Network(load_encoder(sealed(network, bases[family].tokenizer, tmp_path / "artifact"), 24), 3)
    again.head = network.head
    with torch.inference_mode():
        torch.testing.assert_close(again(IDS, MASK), network(IDS, MASK), atol=0, rtol=0)


def test_what_a_method_adds_and_bfloat16_does_not_take_is_trained_in_float32(
    bases: dict[str, BaseModel],
    dataset_folder: Path,
    cache: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    # The vectors of VeRA stay in float32, and the scores of DeBERTa's attention do not.
    folders = Folders(dataset_folder, cache, tmp_path / "journals")
    job = open_job(config_of(bases["deberta-v2"], "vera", folders), NoopTracker())
    job.device = replace(job.device, bf16=True)
    trained = train(job)
    assert "does not run in bfloat16 (value cannot be converted" in caplog.text
    assert job.device.dtype == "float32"
    assert trained.details["epochs"][-1]["loss"] < trained.details["epochs"][0]["loss"]
