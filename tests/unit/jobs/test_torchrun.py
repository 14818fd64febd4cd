"""Several processes of one job: what their ends mean together, and when they begin again."""

from __future__ import annotations

import json
import os
import signal
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lakeloop.errors import ConfigurationError
from lakeloop.jobs import torchrun
from lakeloop.jobs.runner import _command
from lakeloop.jobs.state import JobSpec
from lakeloop.jobs.torchrun import code_of, count_of, launch

RANK = """
    import json, os, pathlib, signal, sys, time

    here, rank = pathlib.Path(sys.argv[1]), os.environ["RANK"]
    with (here / f"tries-{rank}").open("a") as tries:
        tries.write("x")
    tried = len((here / f"tries-{rank}").read_text())
    WHAT
"""


@pytest.fixture(autouse=True)
def own_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a launcher changes in its process, which is that of the tests here."""
    names = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1")
    before = {name: signal.getsignal(getattr(signal, name)) for name in names}
    for name in (*torchrun._THREADS, "GLOO_SOCKET_IFNAME", "TORCHELASTIC_SIGNALS_TO_HANDLE"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    yield
    for name, handler in before.items():
        signal.signal(getattr(signal, name), handler)


@pytest.fixture
def two(tmp_path: Path) -> Callable[[str], int]:
    """Run two ranks that do `what`, lines of Python; the code that they end with."""

    def run(what: str) -> int:
        script = tmp_path / "rank.py"
        script.write_text(textwrap.dedent(RANK).replace("WHAT", what))
        return launch(2, [str(script), str(tmp_path)])

    return run


def test_they_find_each_other_and_share_the_threads(
    two: Callable[[str], int], tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a training does first, and what it does in each step."""
    monkeypatch.setenv("PYTHONPATH", str(root))
    what = (
        "import torch\n"
        "from training.ranks import join\n"
        "ranks = join()\n"
        "weights = torch.zeros(2)\n"
        "weights.grad = torch.full((2,), 10.0 ** ranks.number)\n"
        "loss = ranks.add_up(torch.tensor(ranks.number + 1.0), [weights])\n"
        "threads = ranks.gather(os.environ['OMP_NUM_THREADS'])\n"
        "told = [ranks.number, ranks.count, loss.item(), weights.grad.tolist(), threads]\n"
        "(here / rank).write_text(json.dumps(told))"
    )
    assert two(what) == 0
    for number in (0, 1):
        told = json.loads((tmp_path / str(number)).read_text())
        assert told == [number, 2, 3.0, [11.0, 11.0], ["2", "2"]]


def test_a_wrong_order_ends_all_and_is_not_tried_again(two: Callable[[str], int], tmp_path: Path) -> None:
    began = time.monotonic()
    assert two("if rank == '1': sys.exit(64)\nelse: time.sleep(60)") == 64
    assert time.monotonic() - began < 30
    assert (tmp_path / "tries-1").read_text() == "x"


def test_after_a_kill_all_begin_again(
    two: Callable[[str], int], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert two("if tried == 1 and rank == '1': os.kill(os.getpid(), signal.SIGKILL)\ntime.sleep(1)") == 0
    assert (tmp_path / "tries-1").read_text() == "xx"
    assert len((tmp_path / "tries-0").read_text()) >= 1
    assert "a process of the job was ended by SIGKILL: all begin again" in caplog.text


def test_killed_each_time_they_end_and_another_try_makes_sense(
    two: Callable[[str], int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(torchrun, "RESTARTS", 1)
    assert two("os.kill(os.getpid(), signal.SIGKILL) if rank == '1' else time.sleep(60)") == 75
    assert len((tmp_path / "tries-1").read_text()) == 2
    assert "were ended by SIGKILL 2 times" in caplog.text


def test_asked_to_end_it_asks_all_and_waits_for_them(two: Callable[[str], int], tmp_path: Path) -> None:
    def ask() -> None:
        while not all((tmp_path / f"listens-{rank}").exists() for rank in (0, 1)):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=ask, daemon=True).start()
    what = (
        "def save(*_):\n"
        "    time.sleep(0.3)\n"
        "    (here / f'saved-{rank}').touch()\n"
        "    sys.exit(75)\n"
        "signal.signal(signal.SIGTERM, save)\n"
        "(here / f'listens-{rank}').touch()\n"
        "time.sleep(60)"
    )
    assert two(what) == 75
    assert all((tmp_path / f"saved-{rank}").exists() for rank in (0, 1))
    assert all((tmp_path / f"tries-{rank}").read_text() == "x" for rank in (0, 1))


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ([75, 64], 64),
        ([-15, 65], 65),
        ([75, -9], -9),
        ([1, -9], 1),
        ([-9, 1], -9),
        ([75, -15], 75),
        ([75, 75], 75),
        ([-6, -9], -6),
    ],
)
def test_of_several_ends_the_one_that_says_most_counts(codes: list[int], code: int) -> None:
    assert code_of(codes) == code


def test_there_is_one_for_each_device_or_two_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    assert [count_of(wished) for wished in (0, 1, 3)] == [4, 1, 3]
    with pytest.raises(ConfigurationError, match="more processes than GPUs"):
        count_of(5)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setattr(torchrun, "usable_cores", lambda: 8)
    assert [count_of(wished) for wished in (0, 5)] == [2, 5]


def test_a_runner_starts_the_job_itself_unless_it_has_a_launcher(tmp_path: Path) -> None:
    spec = JobSpec(job="training.train", config={}, workdir=tmp_path, root=tmp_path)
    assert _command(spec, Path("c"))[1:] == ["-m", "training.train", "--config", "c"]
    several = spec.model_copy(update={"launcher": "torchrun", "processes": 3})
    command = _command(several, Path("c"))[1:]
    assert command[:4] == ["-m", "lakeloop.jobs.torchrun", "--processes", "3"]
    assert command[4:] == ["training.train", "--config", "c"]
    assert several.fingerprint == spec.fingerprint
