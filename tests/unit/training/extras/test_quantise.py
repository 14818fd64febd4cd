from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lakeloop.inference.predictor import Predictor
from tests.support.training_jobs import NUMBERS
from training.job import run
from training.job_config import JobConfig
from training.train import train

MakeConfig = Callable[..., JobConfig]
TEXTS = ["the team and the goal of the match", "a new phone chip"]


def run_with(make_config: MakeConfig, folder: Path, **options: object) -> dict[str, object]:
    folder.mkdir()
    (folder / "config.json").write_text(make_config("head", **options).model_dump_json())
    run(folder / "config.json", train)
    return dict(json.loads((folder / "result.json").read_text()))


@pytest.mark.slow
def test_a_network_in_eight_bits_is_served_where_it_answers_the_same(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    plain = run_with(make_config, tmp_path / "plain")
    found = run_with(
        make_config, tmp_path / "int8", quantise={"kind": "int8", "max_loss": 0.2, "min_agreement": 0.8}
    )
    told = found["details"]["quantise"]  # type: ignore[index]
    assert told["served"] == "int8"
    files = [(tmp_path / name / "artifact/model.onnx").stat().st_size for name in ("plain", "int8")]
    assert [told["bytes"]["float32"], told["bytes"]["int8"]] == files
    assert told["macro_f1"]["float32"] == pytest.approx(plain["metrics"]["macro_f1"])  # type: ignore[index]
    assert found["metrics"]["macro_f1"] == told["macro_f1"]["int8"]  # type: ignore[index]
    predictor = Predictor(tmp_path / "int8/artifact")
    assert predictor.description.validation_metrics == found["metrics"]
    answers = [answer.label for answer in predictor.predict(TEXTS)]  # type: ignore[attr-defined]
    assert answers == ["sports", "tech"]


def test_where_too_many_answers_change_the_network_stays_and_that_is_said(
    make_config: MakeConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = run_with(make_config, tmp_path / "plain")
    monkeypatch.setattr("training.extras.quantise._agreement", lambda *_: 0.9)
    found = run_with(make_config, tmp_path / "work", quantise="int8")
    assert found["details"]["quantise"]["served"] == "float32"  # type: ignore[index]
    assert "int8: 90.0% of the answers of float32" in caplog.text
    assert "float32 is served" in caplog.text
    assert found["metrics"] == plain["metrics"]
    networks = [(tmp_path / name / "artifact/model.onnx").read_bytes() for name in ("plain", "work")]
    assert networks[0] == networks[1]
    assert not list((tmp_path / "work/artifact").glob("smaller*"))


def test_of_numbers_the_score_alone_decides(make_config: MakeConfig, tmp_path: Path) -> None:
    found = run_with(make_config, tmp_path / "work", task=NUMBERS, quantise={"kind": "int8", "max_loss": 5.0})
    told = found["details"]["quantise"]  # type: ignore[index]
    assert (told["served"], told["agreement"]) == ("int8", 1.0)
    assert abs(told["mae"]["int8"] - told["mae"]["float32"]) < 5
