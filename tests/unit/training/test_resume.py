"""Trainings that are ended in the middle and go on in another job: the same bits, nothing twice."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils import clip_grad_norm_

from lakeloop.errors import ConfigurationError, TransientError
from lakeloop.jobs.pulse import Pulse
from lakeloop.spec.train import Train
from lakeloop.tracking.tracker import RecordingTracker
from tests.support.deadly import Deadly, Killed
from tests.support.rerun import CAPTURED, FEW_WIDTHS, Rerun
from tests.support.training_jobs import NUMBERS
from training import frozen, steps
from training.checkpoint import Checkpoints
from training.course import Course
from training.gradient import Fit, Gradient
from training.job import Job, Trained
from training.memory import Passes
from training.methods.base import Nothing
from training.methods.few_shot import FewShot
from training.methods.registry import METHODS, method_of
from training.plan import Plan
from training.progress import Progress, Told
from training.train import train

MakeJob = Callable[..., Job]
STEPS = 12
"""Of an epoch: 96 rows in batches of 8."""
SMALLER = {"frozen": {"lowest": 1}}
"""Keys of methods that need more layers by default than the tiny base model has."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints"


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The rows of each batch that was trained on."""
    batches: list[list[int]] = []
    whole = Passes.run

    def run(self: Passes, rows: Any, *rest: Any) -> torch.Tensor:
        batches.append(rows.tolist())
        return whole(self, rows, *rest)

    monkeypatch.setattr(Passes, "run", run)
    return batches


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGALRM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def job_that_saves(make_job: MakeJob, folder: Path, *kills: int, **options: Any) -> Job:
    job = make_job(**options)
    job.checkpoints = Deadly(folder, "work", kills=set(kills))
    return job


def train_killed(make_job: MakeJob, folder: Path, kills: tuple[int, ...], **options: Any) -> Trained:
    """Train, killed after each of these steps, with a new job each time."""
    for kill in kills:
        with pytest.raises(Killed):
            train(job_that_saves(make_job, folder, kill, **options))
    return train(job_that_saves(make_job, folder, **options))


def assert_same(one: Trained, other: Trained) -> None:
    first, second = one.network.state_dict(), other.network.state_dict()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert {**one.details, "resumed_at": []} == {**other.details, "resumed_at": []}
    assert one.validation == other.validation


def gradient_methods() -> list[str]:
    """The methods that can be named without further keys, and train by gradients."""
    found = []
    for kind in METHODS:
        with suppress(ValueError):
            section = Train.model_validate({"method": kind}).method
            if isinstance(method_of(section), Gradient | FewShot):
                found.append(kind)
    return found


@pytest.mark.parametrize("kind", gradient_methods())
def test_a_training_that_was_killed_ends_with_the_bits_of_one_that_was_not(
    make_job: MakeJob, folder: Path, seen: list[list[int]], kind: str
) -> None:
    """Killed in the middle of an epoch, and between its last step and its validation."""
    # Short texts, so that methods which put vectors before them find room.
    options = {"method": {"kind": kind, **SMALLER.get(kind, {})}, "max_tokens": 12}
    undisturbed = train(make_job(**options))
    expected = seen.copy()
    seen.clear()

    killed = train_killed(make_job, folder, (5, 2 * STEPS), **options)

    assert_same(killed, undisturbed)
    assert killed.details["resumed_at"] == [5, 2 * STEPS]
    assert seen == expected
    for epoch in range(3):
        rows = [row for batch in seen[epoch * STEPS : (epoch + 1) * STEPS] for row in batch]
        assert sorted(rows) == list(range(96))


@pytest.mark.parametrize(
    "options", [{"task": NUMBERS, "epochs": 2}, {"method": "full", "epochs": 5, "patience": 1}]
)
def test_whatever_is_learnt_and_however_it_ends(
    make_job: MakeJob, folder: Path, options: dict[str, Any]
) -> None:
    options = {"learning_rate": 0.03, **options}
    undisturbed = train(make_job(**options))
    assert_same(train_killed(make_job, folder, (1, 17), **options), undisturbed)


def test_frozen_layers_that_are_not_kept_and_batches_in_passes_go_on_too(
    make_job: MakeJob, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frozen, "LIMIT_BYTES", 0)
    monkeypatch.setattr("training.gradient.texts_of_a_pass", lambda *_: 3)
    options: dict[str, Any] = {"method": {"kind": "top_layers", "layers": 1}, "epochs": 2}
    undisturbed = train(make_job(**options))
    with pytest.raises(Killed):
        train(job_that_saves(make_job, folder, 7, **options))
    # There is more memory by now; the batches go on as they began, or the sums would be others.
    monkeypatch.setattr("training.gradient.texts_of_a_pass", lambda *_: 8)
    assert_same(train(job_that_saves(make_job, folder, **options)), undisturbed)


def test_passes_that_are_recorded_go_on_too(
    make_job: MakeJob, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that was recorded outlives a process: what goes on records anew."""
    monkeypatch.setattr(steps, "CudaRecorder", Rerun)

    def job_of(plan: Plan) -> MakeJob:
        def make(*told: Any, **options: Any) -> Job:
            job = make_job(*told, **options)
            job.device = replace(job.device, plan=plan)
            return job

        return make

    undisturbed = train(job_of(FEW_WIDTHS)("full", epochs=2))
    late = replace(CAPTURED, late=8)
    assert_same(train_killed(job_of(late), folder, (7, 17), method="full", epochs=2), undisturbed)


def test_the_curve_has_each_point_once_and_the_same_values(make_job: MakeJob, folder: Path) -> None:
    """Step 20 was told before the kill, and is done again after it."""

    def points(tracker: object) -> list[tuple[int | None, dict[str, float]]]:
        assert isinstance(tracker, RecordingTracker)
        clock = ("train/seconds", "train/texts_per_second", "system/")
        return [
            (step, {name: value for name, value in values.items() if not name.startswith(clock)})
            for step, values in tracker.logged
        ]

    undisturbed = make_job(epochs=2)
    train(undisturbed)

    first = job_that_saves(make_job, folder, 20, epochs=2)
    with pytest.raises(Killed):
        train(first)
    told = points(first.tracker)
    assert told[-1][0] == 20

    (folder / "step-20" / "state.pt").write_bytes(b"spoilt")
    second = job_that_saves(make_job, folder, epochs=2)
    second.told = Told(step=20, epoch=1)
    train(second)
    assert told + points(second.tracker) == points(undisturbed.tracker)


def test_asked_to_end_a_training_saves_where_it_stands_and_goes_on_from_there(
    make_job: MakeJob, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(epochs=1)
    job.checkpoints = Checkpoints(folder, "work")
    job.ending.listen()
    whole = Fit._step

    def ask(self: Fit, course: Course, *rest: Any) -> None:
        if course.progress.done == 6:
            signal.raise_signal(signal.SIGTERM)
        whole(self, course, *rest)

    with monkeypatch.context() as asking:
        asking.setattr(Fit, "_step", ask)
        with pytest.raises(TransientError, match="goes on from its last checkpoint"):
            train(job)
    assert [path.name for path in folder.iterdir()] == ["step-7"]
    assert train(job_that_saves(make_job, folder, epochs=1)).details["resumed_at"] == [7]


def test_asked_to_end_in_a_validation_it_saves_what_was_trained(
    make_job: MakeJob, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job()
    job.checkpoints = Checkpoints(folder, "work")
    job.ending.listen()
    whole = Fit._validate

    def ask(self: Fit, course: Course) -> Any:
        signal.raise_signal(signal.SIGTERM)
        return whole(self, course)

    monkeypatch.setattr(Fit, "_validate", ask)
    with pytest.raises(TransientError):
        train(job)
    assert [path.name for path in folder.iterdir()] == [f"step-{STEPS}"]


def test_a_step_that_takes_too_long_to_end_is_not_waited_for(
    make_job: MakeJob, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.ending.WAIT_SECONDS", 0.2)
    job = job_that_saves(make_job, folder)
    job.ending.listen()
    whole = Passes.run

    def hang(self: Passes, *rest: Any) -> torch.Tensor:
        if list(folder.glob("step-3")):
            signal.raise_signal(signal.SIGTERM)
            time.sleep(60)
        return whole(self, *rest)

    monkeypatch.setattr(Passes, "run", hang)
    began = time.monotonic()
    with pytest.raises(TransientError):
        train(job)
    assert time.monotonic() - began < 30
    assert (folder / "step-3").exists()


@pytest.mark.parametrize("late", [0, 8])
def test_weights_that_are_no_numbers_are_never_saved(
    make_job: MakeJob, folder: Path, monkeypatch: pytest.MonkeyPatch, late: int
) -> None:
    job = job_that_saves(make_job, folder)
    job.device = replace(job.device, plan=replace(job.device.plan, late=late))

    def overflow(weights: tuple[torch.nn.Parameter, ...], most: float) -> torch.Tensor:
        if (folder / "step-9").exists():
            gradient = next(own.grad for own in weights if own.grad is not None)
            gradient.fill_(float("inf"))
        return clip_grad_norm_(weights, most)

    monkeypatch.setattr("training.gradient.clip_grad_norm_", overflow)
    with pytest.raises(ConfigurationError, match="found: gradient norm") as raised:
        train(job)
    assert raised.value.exit_code == 64
    found = Checkpoints(folder, "work").newest()
    assert found is not None
    assert found["place"] == (1, 9, found["place"][2])
    assert all(torch.isfinite(weights).all() for weights in found["parameters"])


def test_without_memory_it_ends_and_keeps_what_was_saved(
    make_job: MakeJob, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_that_saves(make_job, folder)
    whole = Passes._run

    def grab(self: Passes, *rest: Any) -> torch.Tensor:
        if (folder / "step-9").exists():
            raise torch.OutOfMemoryError("tried to allocate 1 TB")
        return whole(self, *rest)

    monkeypatch.setattr(Passes, "_run", grab)
    with pytest.raises(torch.OutOfMemoryError):
        train(job)
    assert Checkpoints(folder, "work").newest() is not None


def test_a_training_gives_signs_of_life_while_it_takes_steps(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(epochs=1)
    job.pulse = Pulse(tmp_path / "pulse")
    there = []
    whole = Fit._validate

    def look(self: Fit, course: Course) -> Any:
        there.append((tmp_path / "pulse").exists())
        return whole(self, course)

    monkeypatch.setattr(Fit, "_validate", look)
    train(job)
    assert there == [True]
    assert not (tmp_path / "pulse").exists()


def test_on_another_processor_it_goes_on_and_says_that_the_bits_are_others(
    make_job: MakeJob, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Killed):
        train(job_that_saves(make_job, folder, 5, epochs=1))
    state = Checkpoints(folder, "work").newest()
    assert state is not None
    Checkpoints(folder, "work").save(6, {**state, "device": "an H100"})
    with caplog.at_level("INFO"):
        train(job_that_saves(make_job, folder, epochs=1))
    assert "goes on after step 5 of 12" in caplog.text
    assert "it began on an H100 and is on" in caplog.text


def test_a_checkpoint_holds_the_weights_and_not_what_they_are_a_part_of() -> None:
    whole = torch.zeros(1000)
    assert course_of(whole[:2]).state()["parameters"][0].untyped_storage().nbytes() == 8


def course_of(weights: torch.Tensor) -> Course:
    job: Any = None
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = torch.optim.lr_scheduler.ConstantLR(optimiser)
    progress = Progress(RecordingTracker(), job, 1, 1)
    return Course((weights,), (), optimiser, schedule, progress, Passes(1), Nothing())


def test_every_generator_goes_on_where_it_stood() -> None:
    def draw() -> list[float]:
        return [random.random(), float(np.random.rand()), float(torch.rand(1))]

    course = course_of(torch.zeros(1))
    state = course.state()
    first = draw()
    assert draw() != first
    course.restore(state)
    assert draw() == first
