from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from lakeloop.inference.predictor import Predictor
from lakeloop.tasks.base import OutputContract
from training.extras.calibration import LIMITS, calibration_error, temperature_of
from training.job import Job, run
from training.job_config import JobConfig
from training.tasks.classification import TrainingClassification
from training.train import train

TASK = TrainingClassification(OutputContract(kind="classification", width=3, names=("a", "b", "c")))


def test_the_temperature_that_the_outputs_were_multiplied_by_is_found() -> None:
    random = np.random.default_rng(1)
    logits = random.normal(size=(20_000, 3)).astype(np.float32)
    chances = torch.from_numpy(logits).softmax(1).numpy()
    targets = (random.random((20_000, 1)) > chances.cumsum(1)).sum(1).clip(max=2)
    assert temperature_of(TASK, 2 * logits, targets) == pytest.approx(2, rel=0.05)
    assert calibration_error(logits, targets) < 0.02 < calibration_error(3 * logits, targets)


def test_where_every_row_is_right_the_temperature_stays_within_limits() -> None:
    targets = np.array([0, 1, 2])
    assert temperature_of(TASK, np.eye(3, dtype=np.float32), targets) == pytest.approx(LIMITS[0], rel=0.01)


def test_networks_that_vote_are_calibrated_together(make_job: Callable[..., Job]) -> None:
    options = {"method": "full", "epochs": 1, "vote": 2}
    plain, calibrated = train(make_job(**options)), train(make_job(**options, calibration="temperature"))
    assert calibrated.validation.loss <= plain.validation.loss + 1e-3
    assert calibrated.validation.named["macro_f1"] == plain.validation.named["macro_f1"]


@pytest.mark.parametrize("method", ["head", "full", "few_shot", {"kind": "classical"}])
def test_no_answer_changes_and_the_loss_is_not_larger(make_job: Callable[..., Job], method: object) -> None:
    options = {"method": method, "epochs": 1, "learning_rate": 3e-3}
    plain, calibrated = train(make_job(**options)), train(make_job(**options, calibration="temperature"))
    assert calibrated.validation.named["macro_f1"] == plain.validation.named["macro_f1"]
    assert calibrated.validation.loss <= plain.validation.loss + 1e-3
    temperature = calibrated.details["calibration"]["temperature"]
    weight = plain.network.head.weight.detach() / temperature  # type: ignore[union-attr, operator]
    torch.testing.assert_close(calibrated.network.head.weight.detach(), weight)  # type: ignore[union-attr, operator]


def test_the_artifact_says_its_temperature_and_the_server_answers_with_it(
    make_config: Callable[..., JobConfig], tmp_path: Path
) -> None:
    options = {"method": "head", "epochs": 2, "learning_rate": 3e-3}
    texts = ["the team and the goal of the match", "a new phone chip", "shares fell"]
    found = []
    for name in ("none", "temperature"):
        path = tmp_path / name / "config.json"
        path.parent.mkdir()
        path.write_text(make_config(**options, calibration=name).model_dump_json())
        run(path, train)
        predictor = Predictor(path.parent / "artifact")
        found.append((predictor.description.calibration, predictor.predict(texts)))
    (no, plain), (said, calibrated) = found
    assert no is None
    assert said is not None
    assert said.calibration_error_before >= 0
    for before, after in zip(plain, calibrated, strict=True):
        logits = np.log(list(before.scores.values())) / said.temperature  # type: ignore[attr-defined]
        wanted = np.exp(logits) / np.exp(logits).sum()
        assert list(after.scores.values()) == pytest.approx(wanted, abs=1e-3)  # type: ignore[attr-defined]
        assert before.label == after.label  # type: ignore[attr-defined]
