"""Which device is taken of those that there are, and what is said where the one that is wanted is not."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from lakeloop.errors import ConfigurationError
from lakeloop.inference.devices import (
    ON_CPU,
    ON_CUDA,
    Device,
    Wanted,
    chosen,
    providers_for,
    providers_of_onnx,
    providers_of_torch,
    require_works,
    wanted,
)
from lakeloop.inference.predictor import Predictor
from tests.support.artifacts import make_artifact
from tests.support.small_loop import LABELS
from tests.support.written import make_writing_artifact

AZURE = "AzureExecutionProvider"
without_cuda = pytest.mark.skipif(
    ON_CUDA in providers_of_onnx() or torch.cuda.is_available(), reason="this machine has a CUDA device"
)


@pytest.mark.parametrize(
    ("asked", "there", "taken"),
    [
        ("cpu", [ON_CUDA, ON_CPU], "cpu"),
        ("cpu", [ON_CPU], "cpu"),
        ("cuda", [ON_CUDA, ON_CPU], "cuda"),
        ("auto", [AZURE, ON_CUDA, ON_CPU], "cuda"),
        ("auto", [AZURE, ON_CPU], "cpu"),
    ],
)
def test_the_device_is_taken_that_is_wanted_and_there(
    asked: Wanted, there: Sequence[str], taken: Device
) -> None:
    assert chosen(asked, there) == taken


def test_cuda_that_is_not_there_is_an_error_that_says_what_is_and_what_to_install() -> None:
    with pytest.raises(ConfigurationError) as raised:
        chosen("cuda", [AZURE, ON_CPU])
    assert f"{AZURE}, {ON_CPU}" in str(raised.value)
    assert "onnxruntime-gpu" in str(raised.value)
    assert "LAKELOOP_SERVE_DEVICE" in str(raised.value)
    with pytest.raises(ConfigurationError, match="make setup TORCH=gpu"):
        chosen("cuda", [ON_CPU], "torch")
    with pytest.raises(ConfigurationError, match="cpu, cuda, auto"):
        wanted("gpu", "--device")


def test_auto_says_in_the_log_that_the_cpu_answers(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="lakeloop"):
        assert chosen("auto", [ON_CPU]) == "cpu"
    assert "the CPU answers" in caplog.text


def test_a_session_that_went_on_without_cuda_is_not_taken_for_one_with_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert require_works("cuda", "cuda", [ON_CUDA, ON_CPU], "m") == "cuda"
    assert require_works("cpu", "cpu", [ON_CPU], "m") == "cpu"
    assert require_works("auto", "cuda", [ON_CPU], "m") == "cpu"
    assert "CUDA cannot be used" in caplog.text
    with pytest.raises(ConfigurationError, match="do not load"):
        require_works("cuda", "cuda", [ON_CPU], "m")


def test_the_cpu_stands_behind_cuda_which_counts_as_exactly() -> None:
    assert providers_for("cpu") == [ON_CPU]
    assert providers_for("cuda") == [(ON_CUDA, {"use_tf32": 0}), ON_CPU]


@without_cuda
def test_real_networks_run_on_the_cpu_and_refuse_cuda_here(tmp_path: Path) -> None:
    encoder = make_artifact(tmp_path / "encoder", LABELS).folder
    writer = make_writing_artifact(tmp_path / "writer", 1).folder
    assert providers_of_torch() == [ON_CPU]
    for folder in (encoder, writer):
        devices: tuple[Wanted, ...] = ("cpu", "auto")
        for each in devices:
            assert Predictor(folder, device=each).device == "cpu"
        with pytest.raises(ConfigurationError, match="has no CUDA device here"):
            Predictor(folder, device="cuda")


def test_the_numbers_of_a_model_are_its_outputs_in_a_row(tmp_path: Path) -> None:
    one = Predictor(make_artifact(tmp_path / "one", LABELS).folder)
    other = Predictor(make_artifact(tmp_path / "other", LABELS, strength=9.0).folder)
    texts = ["sports", "tech and more tech"]
    assert one.numbers(texts).shape == (2 * len(LABELS),)
    assert (one.numbers(texts) == Predictor(one.folder).numbers(texts)).all()
    assert (one.numbers(texts) != other.numbers(texts)).any()
    writer = Predictor(make_writing_artifact(tmp_path / "writer", 1).folder)
    assert writer.numbers(["red blue", "grey"]).shape == (2,)
