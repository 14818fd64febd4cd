"""How many texts a step learns from, where the loop file leaves that to the device."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

from training.batch import rate_factor, settled, texts_of_a_batch
from training.job import Job
from training.job_config import JobConfig, key_of
from training.train import train

MakeConfig = Callable[..., JobConfig]


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("training.batch._rows_of", lambda _: 10_003)


@pytest.mark.parametrize(
    ("rows", "max_tokens", "texts"),
    [
        (10_003, 64, 256), (10_003, 256, 256), (10_003, 512, 128), (10_003, 8192, 32),
        (5_000, 128, 152), (500, 128, 32), (0, 128, 32),
    ],
)  # fmt: skip
def test_a_batch_is_bound_by_its_tokens_and_by_the_steps_of_an_epoch(
    rows: int, max_tokens: int, texts: int
) -> None:
    assert texts_of_a_batch(rows, max_tokens) == texts


def test_the_rate_follows_the_batch_by_its_square_root() -> None:
    assert [rate_factor(texts) for texts in (8, 32, 128, 512)] == [1.0, 1.0, 2.0, 4.0]


def test_on_a_cpu_auto_is_what_it_was(make_config: MakeConfig, make_job: Callable[..., Job]) -> None:
    config = make_config("full", batch_size="auto", learning_rate=None, max_tokens=24)
    usual = make_config("full", batch_size=32, learning_rate=None, max_tokens=24)
    candidate = usual.candidate
    assert settled(config).train.settings_of(candidate) == usual.train.settings_of(candidate)
    weights = [
        train(make_job("full", epochs=1, batch_size=size, learning_rate=None)).network.state_dict()
        for size in ("auto", 32)
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize(
    ("method", "told", "found"),
    [
        ("full", {}, (256, 1e-4 * 8**0.5)),
        ("top_layers", {}, (256, 3e-4 * 8**0.5)),
        ("full", {"learning_rate": 2e-4}, (256, 2e-4)),
        ("full", {"batch_size": 64}, (64, 1e-4)),
        ("few_shot", {}, (32, 5e-5)),
    ],
)
def test_on_cuda_auto_is_a_large_batch_with_its_rate(
    make_config: MakeConfig, method: str, told: dict[str, Any], found: tuple[int, float]
) -> None:
    config = make_config(method, **{"batch_size": "auto", "learning_rate": None, **told})
    settings = settled(config).train.settings_of(config.candidate)
    assert (settings["batch_size"], settings["learning_rate"]) == (found[0], pytest.approx(found[1]))
    assert settled(settled(config)) == settled(config)


@pytest.mark.usefixtures("cuda")
def test_work_of_another_batch_is_other_work(make_config: MakeConfig) -> None:
    config = make_config("full", batch_size="auto", learning_rate=None)
    assert key_of(settled(config)) != key_of(config)


def test_rows_are_counted_without_reading_them(
    make_config: MakeConfig, dataset_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("training.batch.LEAST_STEPS", 1)
    rows = len(pq.read_table(dataset_folder / "train.parquet"))
    assert settled(make_config("full", batch_size="auto")).train.batch_size == rows // 8 * 8
    missing = settled(make_config("full", batch_size="auto", dataset=tmp_path / "none"))
    assert missing.train.batch_size == 32
