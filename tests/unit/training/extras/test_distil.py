from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lakeloop.errors import ConfigurationError
from lakeloop.tasks.base import OutputContract
from tests.support.artifacts import make_artifact
from training.extras.distil import answers_of, distilled, with_answers
from training.tasks.classification import TrainingClassification

CONTRACT = OutputContract(kind="classification", width=2, names=("a", "b"))
TASK = TrainingClassification(CONTRACT)


def test_the_loss_is_smallest_where_the_student_says_what_the_teacher_says() -> None:
    chances = np.array([[0.9, 0.1], [0.2, 0.8]], dtype=np.float32)
    targets = torch.from_numpy(with_answers(np.array([0, 1]), chances))
    learn = distilled(TASK.loss, 1.0, 2.0)
    same = torch.from_numpy(chances).log()
    assert learn(same, targets).item() == pytest.approx(0, abs=1e-6)
    assert learn(-same, targets).item() > 0.1
    half = distilled(TASK.loss, 0.5, 2.0)
    own = TASK.loss(-same, torch.tensor([0, 1]))
    assert half(-same, targets).item() == pytest.approx((own + learn(-same, targets)).item() / 2)


def test_a_teacher_answers_in_the_order_of_the_student_and_is_asked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_artifact(tmp_path / "teacher", ["b", "a"], keywords={"up": "a", "down": "b"})
    found = answers_of(tmp_path / "teacher", CONTRACT, ["up", "down"], tmp_path / "cache")
    assert found.shape == (2, 2)
    assert found.argmax(1).tolist() == [0, 1]
    assert found.sum(1) == pytest.approx([1, 1])
    monkeypatch.setattr("lakeloop.inference.predictor.Predictor.predict", None)
    again = answers_of(tmp_path / "teacher", CONTRACT, ["up", "down"], tmp_path / "cache")
    assert (again == found).all()


def test_a_teacher_of_other_answers_is_refused(tmp_path: Path) -> None:
    make_artifact(tmp_path / "teacher", ["a", "c"])
    with pytest.raises(ConfigurationError, match="other answers") as raised:
        answers_of(tmp_path / "teacher", CONTRACT, ["up"], tmp_path / "cache")
    assert "train.distil=none" in raised.value.remedy
