"""What all tests share: no phoning home, no inherited settings, one real Airflow for those that need it."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from lakeloop.garbage import collect_rarely
from tests.support.examples import DEEP
from tests.support.object_store import S3, s3_server
from tests.support.postgres import Server, binaries, postgres

for name in [name for name in os.environ if name.startswith(("LAKELOOP_", "AIRFLOW_"))]:
    # Where data for tests lie, how much is tried: no settings. And what the process that deals them out set.
    ours = name.startswith("LAKELOOP_TEST_")
    if ours or (name == "LAKELOOP_CACHE" and "PYTEST_XDIST_WORKER" in os.environ):
        continue
    del os.environ[name]
os.environ.update(
    DBT_SEND_ANONYMOUS_USAGE_STATS="false",
    DO_NOT_TRACK="1",
    WANDB_ERROR_REPORTING="false",
    HF_HUB_OFFLINE="1",
    OMP_WAIT_POLICY="PASSIVE",
)
os.environ.pop("WANDB_API_KEY", None)
# What makes rich and Typer write for a terminal, or for one of another width.
for name in (
    "FORCE_COLOR", "NO_COLOR", "PY_COLORS", "CLICOLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE",
    "GITHUB_ACTIONS", "COLUMNS", "LINES",
):  # fmt: skip
    os.environ.pop(name, None)
collect_rarely()
gc.disable()  # until all is imported

# Who starts the tests in the background of a shell has this signal ignored, and so have all that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What trainings find again is shared by all tests of a run: tracing a network takes seconds.
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ["LAKELOOP_CACHE"] = tempfile.mkdtemp(prefix="lakeloop-cache-")
    atexit.register(shutil.rmtree, os.environ["LAKELOOP_CACHE"], ignore_errors=True)

# How long an example takes says more of the machine than of the code.
settings.register_profile("any-machine", deadline=None)
settings.register_profile(DEEP, deadline=None, max_examples=1000)
settings.load_profile("any-machine")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """Root of the project under test."""
    return ROOT


@pytest.fixture(autouse=True)
def no_wandb_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages in a test wake no process that imports wandb; tests of the mirror set a mode of their own."""
    monkeypatch.setenv("WANDB_MODE", "disabled")


@pytest.fixture
def usual_umask() -> Iterator[None]:
    """The umask that most machines have, under which others may read new files."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def pytest_collection_finish() -> None:
    """Nothing that was imported by now is garbage: looking at it again and again takes seconds."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_sessionfinish() -> None:
    """What ends with this process says what it leaks, unless it is let go first."""
    gc.unfreeze()


class ByFile(LoadScopeScheduling):
    """Each file to one process; all that share the one Airflow to the same one."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "stack" if file.startswith(("tests/loop/", "tests/browser/")) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    """How tests are dealt out when there are several processes (pytest -n)."""
    return ByFile(config, log)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A real Airflow and a real model server with a small loop `news`; started once for all tests."""
    with running_stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


from tests.support.stack import RunningStack, running_stack  # noqa: E402  (after the environment is clean)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A real PostgreSQL; a test that asks for it is skipped where none is installed."""
    if binaries() is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    with postgres() as server:
        yield server


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """A real S3 server."""
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server
