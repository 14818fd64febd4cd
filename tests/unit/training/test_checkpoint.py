from __future__ import annotations

import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from training.checkpoint import Checkpoints, State


def state(number: int) -> State:
    return {
        "weights": [torch.arange(10_000.0) + number],
        "place": (number, 0.1, None),
        "words": {"a": ["b", True]},
    }


def number_of(found: State | None) -> int | None:
    return found and found["place"][0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints"


@pytest.fixture
def two(folder: Path) -> Path:
    """A folder with checkpoints after steps 10 and 20."""
    checkpoints = Checkpoints(folder, "work", "run")
    for step in (10, 20):
        checkpoints.save(step, state(step))
    return folder


def test_what_is_saved_comes_back_in_another_process_as_it_was(two: Path) -> None:
    found = Checkpoints(two, "work").newest()
    assert found is not None
    assert torch.equal(found["weights"][0], state(20)["weights"][0])
    assert {**found, "weights": 0} == {**state(20), "weights": 0}
    assert Checkpoints(two, "work").run_to_continue() == "run"


def test_the_newest_and_the_one_before_are_kept(two: Path) -> None:
    checkpoints = Checkpoints(two, "work")
    checkpoints.newest()
    checkpoints.save(30, state(30))
    assert sorted(path.name for path in two.iterdir()) == ["step-20", "step-30"]


def test_of_work_that_is_done_nothing_stays(two: Path) -> None:
    Checkpoints(two, "work").clear()
    assert not two.exists()
    assert Checkpoints(two, "work").newest() is None
    assert Checkpoints(two, "work").run_to_continue() == ""


def flip(path: Path) -> None:
    content = bytearray((path / "state.pt").read_bytes())
    content[len(content) // 2] ^= 1
    (path / "state.pt").write_bytes(content)


def cut(path: Path) -> None:
    (path / "state.pt").write_bytes((path / "state.pt").read_bytes()[:-1])


def lose_the_state(path: Path) -> None:
    (path / "state.pt").unlink()


def lose_the_manifest(path: Path) -> None:
    (path / "manifest.json").unlink()


def tear_the_manifest(path: Path) -> None:
    (path / "manifest.json").write_bytes((path / "manifest.json").read_bytes()[:30])


def put_a_list_in_place_of_the_manifest(path: Path) -> None:
    (path / "manifest.json").write_text("[1]")


@pytest.mark.parametrize(
    "damage",
    [
        flip,
        cut,
        lose_the_state,
        lose_the_manifest,
        tear_the_manifest,
        put_a_list_in_place_of_the_manifest,
    ],
)
def test_a_damaged_one_is_named_and_the_one_before_is_taken(
    two: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    damage(two / "step-20")
    checkpoints = Checkpoints(two, "work")
    assert number_of(checkpoints.newest()) == 10
    assert f"{two / 'step-20'} is damaged" in caplog.text
    assert checkpoints.run_to_continue() == "run"

    checkpoints.save(20, state(21))
    assert number_of(Checkpoints(two, "work").newest()) == 21


def test_where_all_are_damaged_the_work_starts_anew(two: Path) -> None:
    for path in two.iterdir():
        flip(path)
    assert Checkpoints(two, "work").newest() is None


def test_a_save_that_was_killed_counts_for_nothing_and_goes_with_the_next(two: Path) -> None:
    shutil.copytree(two / "step-20", two / ".step-30.tmp")
    (two / ".step-30.tmp" / "manifest.json").unlink()
    checkpoints = Checkpoints(two, "work")
    assert number_of(checkpoints.newest()) == 20
    checkpoints.save(31, state(31))
    assert sorted(path.name for path in two.iterdir()) == ["step-20", "step-31"]


def test_other_work_takes_none_of_them_and_clears_them_away_when_it_has_its_own(two: Path) -> None:
    other = Checkpoints(two, "other work")
    assert other.newest() is None
    assert other.run_to_continue() == ""
    assert len(list(two.iterdir())) == 2
    other.save(5, state(5))
    assert [path.name for path in two.iterdir()] == ["step-5"]


def test_what_is_saved_is_not_saved_again(two: Path) -> None:
    checkpoints = Checkpoints(two, "work")
    checkpoints.newest()
    before = (two / "step-20" / "state.pt").stat()
    checkpoints.save(20, state(20))
    assert (two / "step-20" / "state.pt").stat() == before


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_told_once_and_the_last_good_one_stays(
    two: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoints = Checkpoints(two, "work")
    checkpoints.newest()
    with files_of_at_most(20_000):
        checkpoints.save(30, state(30))
        checkpoints.save(31, state(31))
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "the training goes on without" in caplog.text
    assert sorted(path.name for path in two.iterdir()) == ["step-10", "step-20"]

    checkpoints.save(32, state(32))
    assert number_of(Checkpoints(two, "work").newest()) == 32


class Clock:
    """A time that passes when a test says so."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


def test_it_is_time_for_one_each_minute_and_seldomer_where_they_take_long(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr("training.checkpoint.time", clock)
    checkpoints = Checkpoints(folder, "work")
    clock.now = 59
    assert not checkpoints.due
    clock.now = 60
    assert checkpoints.due

    def write_slowly(_step: int, _state: State) -> None:
        clock.now += 3

    monkeypatch.setattr(checkpoints, "_write", write_slowly)
    checkpoints.save(1, {})
    clock.now += 149
    assert not checkpoints.due
    clock.now += 1
    assert checkpoints.due
