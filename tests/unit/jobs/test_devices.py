"""Jobs on a machine with devices: a small library speaks the few calls of NVML, in place of a driver."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lakeloop.errors import ConfigurationError, JobError
from lakeloop.jobs import JobSpec, cancel, result, status, submit, wait
from lakeloop.jobs.admission import Need
from lakeloop.jobs.state import Workdir
from tests.support.waiting import until

Order = Callable[..., JobSpec]
GB = 10**9
SOURCE = Path(__file__).parents[2] / "support" / "nvml.c"

pytestmark = [
    pytest.mark.skipif(shutil.which("cc") is None, reason="no compiler for the library of the test"),
    pytest.mark.skipif(importlib.util.find_spec("pynvml") is None, reason="nvidia-ml-py is not installed"),
]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a libnvidia-ml.so.1 whose devices are in a file."""
    folder = tmp_path_factory.mktemp("nvml")
    made = folder / "libnvidia-ml.so.1"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(made), str(SOURCE)], check=True)
    return folder


@pytest.fixture
def devices(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`devices((total, free), ...)`, in GB: what processes that are started from now on find."""
    told = tmp_path / "devices"
    monkeypatch.setenv("LD_LIBRARY_PATH", str(library))
    monkeypatch.setenv("FAKE_NVML", str(told))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def give(*memory: tuple[int, int]) -> None:
        (beside := tmp_path / "beside").write_text(
            "".join(f"{total * GB} {free * GB}\n" for total, free in memory)
        )
        beside.rename(told)

    return give


def reason_of(job_id: str) -> str:
    record = Workdir(Path(job_id)).read_record()
    return record.reason if record is not None and record.state == "waiting" else ""


def test_devices_are_read_with_their_memory_and_those_that_are_hidden_are_not(
    devices: Callable[..., None],
) -> None:
    devices((80, 79), (16, 2))
    code = """
import os
from lakeloop.jobs.devices import read_devices
for visible in (None, "GPU-test-1", "1,0", ""):
    if visible is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = visible
    print(*(f"{device.uuid}: {device.memory}" for device in read_devices()), sep=", ")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    large, small = "GPU-test-0: 79.0 of 80.0 GB free", "GPU-test-1: 2.0 of 16.0 GB free"
    assert done.stdout.splitlines() == [f"{large}, {small}", small, f"{small}, {large}", ""]


def test_of_two_jobs_one_has_the_device_and_the_other_waits_its_turn(
    devices: Callable[..., None], order: Order, tmp_path: Path
) -> None:
    devices((80, 79))
    first = submit(
        order(
            "job-1",
            need=Need(title="news train-a", seconds=120),
            until=str(tmp_path / "enough"),
            tells=["CUDA_VISIBLE_DEVICES"],
        )
    )
    second = submit(order("job-2", need=Need(), tells=["CUDA_VISIBLE_DEVICES"]))
    until(lambda: "is at work for news train-a" in reason_of(second))
    assert (status(first).state, status(second).state) == ("running", "waiting")
    record = Workdir(Path(second)).read_record()
    assert record is not None
    assert record.begins_at is not None
    assert submit(order("job-2", need=Need(), tells=["CUDA_VISIBLE_DEVICES"])) == second, "it has its place"

    (tmp_path / "enough").touch()
    lines: list[str] = []
    assert wait(second, on_line=lines.append).state == "succeeded"
    assert result(first)["CUDA_VISIBLE_DEVICES"] == result(second)["CUDA_VISIBLE_DEVICES"] == "GPU-test-0"
    assert any("INFO waits: needs 1 device(s); device 0 (H0) is at work" in line for line in lines)


def test_what_can_never_be_had_fails_at_once_and_is_not_tried_again(
    devices: Callable[..., None], order: Order
) -> None:
    devices((16, 15))
    with pytest.raises(ConfigurationError, match="can never give the job its devices"):
        wait(submit(order(need=Need(memory_bytes=40 * GB))))


def test_a_job_that_waits_can_be_cancelled_and_never_begins(
    devices: Callable[..., None], order: Order, starts: Callable[[], list[int]]
) -> None:
    devices((16, 1))
    job_id = submit(order(need=Need(memory_bytes=8 * GB)))
    until(lambda: "another program's" in reason_of(job_id))
    assert (cancel(job_id).state, starts()) == ("failed", [])
    with pytest.raises(JobError, match="it was cancelled"):
        wait(job_id)


def test_a_job_begins_when_another_program_gives_its_memory_back(
    devices: Callable[..., None], order: Order
) -> None:
    devices((16, 1))
    job_id = submit(order(need=Need(memory_bytes=8 * GB)))
    until(lambda: "another program's" in reason_of(job_id))
    devices((16, 15))
    assert wait(job_id).state == "succeeded"


def test_a_job_that_wants_no_device_sees_none(devices: Callable[..., None], order: Order) -> None:
    devices((16, 15))
    job_id = submit(order(need=Need(devices=0), tells=["CUDA_VISIBLE_DEVICES"]))
    wait(job_id)
    assert result(job_id)["CUDA_VISIBLE_DEVICES"] == ""
