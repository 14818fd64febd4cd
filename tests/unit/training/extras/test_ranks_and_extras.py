"""Extras in two processes that share each batch: both train, one exports."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lakeloop.inference.predictor import Predictor
from tests.support.artifacts import make_artifact
from tests.support.forked_ranks import in_two
from tests.support.tiny_bert import LABELS
from training.job import main
from training.job_config import JobConfig
from training.train import train

OPTIONS = {
    "epochs": 2, "vote": 2, "adversarial": "fgm", "average": "ema", "distil": "champion",
    "sampling": "balanced", "calibration": "temperature",
    "quantise": {"kind": "int8", "min_agreement": 0.1, "max_loss": 1.0},
}  # fmt: skip


@pytest.mark.slow
def test_two_processes_train_with_extras_and_leave_one_artifact(
    make_config: Callable[..., JobConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_artifact(tmp_path / "teacher", LABELS, keywords={"goal": "sports", "phone": "tech"})
    path = tmp_path / "work/config.json"
    path.parent.mkdir()
    config = make_config("full", beside={"distil": tmp_path / "teacher"}, **OPTIONS)
    path.write_text(config.model_dump_json())

    def work(_number: int) -> None:
        monkeypatch.setattr(sys, "argv", ["training.train", "--config", str(path)])
        main(train)

    assert in_two(work) == [0, 0]
    found = json.loads((path.parent / "result.json").read_text())
    assert found["processes"] == 2
    assert found["details"]["quantise"]["served"] == "int8"
    assert len(found["details"]["members"]) == 2
    assert Predictor(path.parent / "artifact").predict(["a new phone chip"])
