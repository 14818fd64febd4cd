"""Who gets a device, in which order, and what the others are told. The devices are data, the locks real."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from lakeloop.errors import ConfigurationError
from lakeloop.jobs import admission
from lakeloop.jobs.admission import Admission, Need, Waiting, admit
from lakeloop.jobs.devices import Device

GB = 10**9
SMALL = Device(0, "GPU-a", "A2", 16 * GB, 15 * GB)
LARGE = Device(1, "GPU-b", "H100", 80 * GB, 79 * GB)
Machine = Callable[..., None]


class StillWaiting(Exception):  # noqa: N818 - no error: who asks has seen enough
    """Ends a wait; the reason is its argument."""


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Give the machine other devices from now on."""

    def give(*devices: Device) -> None:
        monkeypatch.setattr(admission, "read_devices", lambda: devices)

    give(SMALL, LARGE)
    return give


@pytest.fixture
def ask(machine: Machine, tmp_path: Path) -> Iterator[Callable[[Need], Admission | Waiting]]:
    """What a job with a need is given, or why it would wait; what it is given it has until the test ends."""
    given: list[Admission] = []

    def stop(waiting: Waiting) -> None:
        raise StillWaiting(waiting)

    def ask(need: Need) -> Admission | Waiting:
        try:
            given.append(admit(need, stop, tmp_path / "claims"))
        except StillWaiting as waits:
            waiting = waits.args[0]
            assert isinstance(waiting, Waiting)
            return waiting
        return given[-1]

    yield ask
    for one in given:
        one.close()


Ask = Callable[[Need], Admission | Waiting]


def names(answer: Admission | Waiting) -> str:
    assert isinstance(answer, Admission), answer
    return answer.environment["CUDA_VISIBLE_DEVICES"]


def reason(answer: Admission | Waiting) -> str:
    assert isinstance(answer, Waiting), answer
    return answer.reason


def test_each_device_goes_to_one_job_and_the_next_waits(ask: Ask) -> None:
    assert names(ask(Need(title="news train-a"))) == "GPU-a"
    assert names(ask(Need(title="news train-b"))) == "GPU-b"
    told = reason(ask(Need()))
    assert "device 0 (A2) is at work for news train-a" in told
    assert "device 1 (H100) is at work for news train-b" in told


def test_a_job_gets_devices_that_have_the_memory_it_needs_free(ask: Ask, machine: Machine) -> None:
    assert names(ask(Need(memory_bytes=40 * GB))) == "GPU-b"
    machine(replace(SMALL, free=5 * GB))
    assert "device 0 (A2) has 5.0 of 16.0 GB free, the rest is another program's" in reason(
        ask(Need(memory_bytes=6 * GB))
    )
    assert names(ask(Need(memory_bytes=5 * GB))) == "GPU-a"


def test_without_a_size_most_of_the_device_has_to_be_free(ask: Ask, machine: Machine) -> None:
    machine(replace(SMALL, free=12 * GB))
    assert isinstance(ask(Need()), Waiting)
    machine(replace(SMALL, free=13 * GB))
    assert names(ask(Need())) == "GPU-a"


def test_who_needs_two_devices_takes_both_or_none(ask: Ask, tmp_path: Path) -> None:
    held = admission._Host(tmp_path / "claims").claim(Need(), [LARGE])
    assert held is not None
    assert isinstance(ask(Need(devices=2)), Waiting)
    held.close()
    assert names(ask(Need(devices=2))) == "GPU-a,GPU-b"


def test_who_needs_all_that_there_are_has_them_all(ask: Ask) -> None:
    assert names(ask(Need(devices=None))) == "GPU-a,GPU-b"


@pytest.mark.parametrize(
    "need", [Need(devices=3), Need(memory_bytes=81 * GB), Need(devices=2, memory_bytes=20 * GB)]
)
def test_what_the_machine_can_never_have_is_refused_at_once(ask: Ask, need: Need) -> None:
    with pytest.raises(ConfigurationError, match="can never give") as refused:
        ask(need)
    assert "device 1 (H100) of 80.0 GB" in refused.value.found
    assert refused.value.where == "train.devices, train.memory"


def test_a_machine_without_devices_gives_none_and_nobody_waits(
    ask: Ask, machine: Machine, tmp_path: Path
) -> None:
    machine()
    assert ask(Need(devices=4, memory_bytes=80 * GB)) == Admission({})
    assert not (tmp_path / "claims").exists()


def test_a_job_that_wants_none_sees_none(ask: Ask) -> None:
    assert names(ask(Need(devices=0))) == ""


def test_the_first_in_the_queue_is_the_first_to_be_given(machine: Machine, tmp_path: Path) -> None:
    """The second needs only what is free all the time, and would starve the first."""
    machine(SMALL)
    host = admission._Host(tmp_path)
    with host.ticket(Need(title="first", seconds=600)) as first, host.ticket(Need(title="second")) as second:
        assert host.tickets_before(first) == []
        (before,) = host.tickets_before(second)
        waiting = host.why(Need(), [SMALL], [before])
    assert "1 job(s) came before: first" in waiting.reason
    assert waiting.seconds == 600
    assert host.tickets_before(tmp_path / "queue" / "9") == []


def killed(begin: Callable[[], object]) -> None:
    child = os.fork()
    if child == 0:
        kept = begin()
        assert kept
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)


def test_who_was_killed_has_neither_its_device_nor_its_place(
    ask: Ask, machine: Machine, tmp_path: Path
) -> None:
    machine(SMALL)
    host = admission._Host(tmp_path / "claims")
    killed(lambda: (ticket := host.ticket(Need()), ticket.__enter__()))
    killed(lambda: host.claim(Need(), [SMALL]))
    assert len(list((tmp_path / "claims" / "queue").iterdir())) == 1
    assert names(ask(Need())) == "GPU-a"
    assert list((tmp_path / "claims" / "queue").iterdir()) == []


def test_the_estimate_is_what_those_before_will_take(ask: Ask, machine: Machine) -> None:
    machine(SMALL)
    ask(Need(seconds=300))
    waiting = ask(Need())
    assert isinstance(waiting, Waiting)
    assert waiting.seconds == pytest.approx(300, abs=5)


@pytest.mark.parametrize(
    ("need", "ends", "before", "seconds"),
    [
        (1, [60.0, 20.0], [], 20.0),
        (2, [60.0, 20.0], [], 60.0),
        (1, [60.0, 20.0], [(1, 100.0)], 60.0),
        (1, [60.0, 20.0], [(1, 100.0), (1, 100.0)], 120.0),
        (1, [60.0, 20.0], [(2, 100.0)], 160.0),
        (1, [60.0, 20.0], [(1, None)], None),
        (1, [None], [], None),
        (2, [5.0, None], [], None),
    ],
)
def test_each_in_the_queue_takes_the_devices_that_are_free_first(
    need: int, ends: list[float | None], before: list[tuple[int, float | None]], seconds: float | None
) -> None:
    queue = [Need(devices=devices, seconds=takes) for devices, takes in before]
    assert admission._begins_in(Need(devices=need), ends, queue) == seconds


def test_many_at_once_never_have_the_same_device(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six processes, two devices: each notes when it had which."""
    monkeypatch.setattr(admission, "LOOK_EVERY_SECONDS", 0.01)
    notes, children = tmp_path / "notes", []
    begin, begun = os.pipe()
    for _ in range(6):
        if (child := os.fork()) == 0:
            os.close(begun)
            os.read(begin, 1)  # until all are there
            given = admit(Need(), lambda _: None, tmp_path / "claims")
            began = time.monotonic()
            time.sleep(3 * admission._CLAIM_SECONDS)
            with notes.open("a") as file:
                file.write(f"{given.environment['CUDA_VISIBLE_DEVICES']} {began} {time.monotonic()}\n")
            os._exit(0)
        children.append(child)
    os.close(begun)
    os.close(begin)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 6
    spans = [(name, float(began), float(ended)) for name, began, ended in map(str.split, notes.open())]
    assert {name for name, *_ in spans} == {"GPU-a", "GPU-b"}
    for device in ("GPU-a", "GPU-b"):
        own = sorted((began, ended) for name, began, ended in spans if name == device)
        assert all(one[1] <= other[0] for one, other in pairwise(own))
