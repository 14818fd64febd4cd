from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from training.course import Course
from training.extras.average import Average, NoAverage, OverEpochs, OverSteps
from training.gradient import Fit
from training.job import Job
from training.train import train
from training.validation import Scores


def weights(value: float) -> list[torch.Tensor]:
    return [torch.full((2,), value), torch.full((1,), -value)]


def test_the_mean_over_epochs_is_of_the_last_ones_and_of_this_one() -> None:
    average = OverEpochs(2)
    found = []
    for value in (1.0, 3.0, 9.0):
        found.append([mean[0].item() for mean in average.of(weights(value)) or ()])
        average.end_epoch(weights(value))
    assert found == [[1, -1], [2, -2], [6, -6]]


def test_the_mean_over_steps_follows_slowly_and_quicker_in_the_beginning() -> None:
    average, values = OverSteps(0.9), [1.0] + [2.0] * 200
    seen = []
    for value in values:
        average.step(weights(value))
        seen.append((average.of([]) or [])[0][0].item())
    assert seen[0] == 1
    assert seen[1] == pytest.approx(1.75)
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(2, abs=1e-4)


@pytest.mark.parametrize("average", [NoAverage(), OverSteps(0.9), OverEpochs(3)])
def test_what_is_remembered_can_be_remembered_again(average: Average) -> None:
    for value in (1.0, 2.0):
        average.step(weights(value))
        average.end_epoch(weights(value))
    again = {NoAverage: NoAverage, OverSteps: lambda: OverSteps(0.9), OverEpochs: lambda: OverEpochs(3)}[
        type(average)
    ]()
    again.load_state_dict(average.state_dict(), weights(0))
    one, other = average.of(weights(5.0)), again.of(weights(5.0))
    assert (one is None) == (other is None)
    for mean, same in zip(one or (), other or (), strict=True):
        assert torch.equal(mean, same)


def test_the_mean_is_validated_and_kept_and_the_steps_go_on_from_the_weights(
    make_job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    validated, began = [], []
    whole, step = Fit._validate, Course.end_epoch

    def validate(self: Fit, course: Course) -> Scores:
        validated.append((course.parameters[0].clone(), course.aside[0].clone()))
        return whole(self, course)

    def end(self: Course, *told: object) -> bool:
        began.append(self.parameters[0].clone())
        return step(self, *told)  # type: ignore[arg-type]

    monkeypatch.setattr(Fit, "_validate", validate)
    monkeypatch.setattr(Course, "end_epoch", end)
    job = make_job("full", epochs=2, average={"kind": "epochs", "last": 2})
    trained = train(job)
    (first, first_end), (second, second_end) = validated
    torch.testing.assert_close(first, first_end)
    torch.testing.assert_close(second, (first_end + second_end) / 2)
    best = trained.details["best_epoch"]
    assert any(torch.equal(weight, began[best - 1]) for weight in trained.network.state_dict().values())
