"""The model server on a device: shown with the model, compared with the CPU, an error where it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakeloop.errors import ArtifactError, ConfigurationError
from lakeloop.inference.predictor import Predictor
from lakeloop.serving.cache import require_same
from lakeloop.serving.guard.limits import Limits
from lakeloop.settings import read_settings
from tests.support.app import Server
from tests.support.artifacts import make_artifact
from tests.support.small_loop import LABELS

TEXTS = ["a story about sports", "tech"]


def test_it_is_shown_with_the_model_on_the_page_and_in_metrics(server: Server) -> None:
    assert server.client.get("/v1/model").json()["device"] == "cpu"
    assert "<dt>Runs on</dt><dd>cpu</dd>" in server.client.get("/").text
    told = server.client.get("/metrics").text
    assert 'lakeloop_model_device_info{device="cpu",loop="news"} 1.0' in told
    assert 'lakeloop_model_device_info{device="cuda",loop="news"} 0.0' in told


def test_a_model_that_answers_otherwise_than_on_the_cpu_is_refused(tmp_path: Path) -> None:
    on_cpu = Predictor(make_artifact(tmp_path / "model", LABELS).folder)
    require_same(Predictor(on_cpu.folder), on_cpu, TEXTS)
    for strength in (8.1, float("inf")):  # what a device may make of 8
        other = Predictor(make_artifact(tmp_path / f"{strength}", LABELS, strength=strength).folder)
        with pytest.raises(ArtifactError):
            require_same(other, on_cpu, TEXTS)


def test_the_setting_is_one_of_three(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_settings(Limits).device == "cpu"
    monkeypatch.setenv("LAKELOOP_SERVE_DEVICE", "auto")
    assert read_settings(Limits).device == "auto"
    monkeypatch.setenv("LAKELOOP_SERVE_DEVICE", "gpu")
    with pytest.raises(ConfigurationError, match=r"LAKELOOP_SERVE_DEVICE(.|\n)*'gpu'"):
        read_settings(Limits)
