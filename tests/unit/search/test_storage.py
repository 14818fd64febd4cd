"""A study is kept where its workers find it: a file of the home, or PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from lakeloop.errors import ConfigurationError, TransientError
from lakeloop.measures.registry import metric_of
from lakeloop.search.found import Cost
from lakeloop.search.study import Study
from lakeloop.settings import Settings
from lakeloop.spec.train import Train
from tests.support.postgres import Server

SPACE = {"learning_rate": {"low": 1e-5, "high": 1e-1, "log": True}, "epochs": [1, 2, 4]}

WORKER = """
import sys
from pathlib import Path
from tests.unit.search.test_storage import open_study
study = open_study(Path(sys.argv[1]), sys.argv[2])
for slot in map(int, sys.argv[3:]):
    begun = study.begin(slot)
    study.complete(begun, begun.values["learning_rate"], __import__("lakeloop").search.found.Cost())
"""
HOLDER = """
import sys, time
from pathlib import Path
from lakeloop.locks import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def open_study(home: Path, studies: str = "", sampler: str = "tpe") -> Study:
    settings = Settings(root=home, home=home, **({"studies": studies} if studies else {}))
    train = Train.model_validate({"search": {"space": SPACE, "sampler": sampler, "trials": 12}})
    return Study(settings, "small", "a search", train, metric_of("classification", "macro_f1"))


def several_workers(home: Path, studies: str = "") -> None:
    argv = [sys.executable, "-c", WORKER, str(home), studies]
    root = Path(__file__).parents[3]
    slots = [[str(slot) for slot in range(first, 12, 3)] for first in range(3)]
    workers = [subprocess.Popen([*argv, *own], cwd=root) for own in slots]
    assert [worker.wait(timeout=60) for worker in workers] == [0, 0, 0]
    trials = open_study(home, studies).trials()
    assert [trial.number for trial in trials] == list(range(12))
    assert {trial.slot for trial in trials} == set(range(12))
    assert len({trial.values["learning_rate"] for trial in trials}) == 12


def test_processes_share_a_study_in_a_file(tmp_path: Path) -> None:
    several_workers(tmp_path)


def test_processes_share_a_study_in_postgresql(tmp_path: Path, postgres_server: Server) -> None:
    several_workers(tmp_path, postgres_server.url())
    assert not (tmp_path / "studies" / "small.journal").exists()


def test_a_trial_that_was_left_in_postgresql_is_gone_on_with(tmp_path: Path, postgres_server: Server) -> None:
    postgres_server.psql("CREATE DATABASE another")
    url = postgres_server.url(database="another")
    left = open_study(tmp_path, url).begin(3)
    again = open_study(tmp_path, url).begin(3)
    assert left is not None
    assert again is not None
    assert (again.number, again.values) == (left.number, left.values)
    study = open_study(tmp_path, url)
    study.complete(again, 0.5, Cost(seconds=2.0))
    study.complete(left, 0.1, Cost())  # by an attempt that was taken for dead
    (trial,) = open_study(tmp_path, url).trials()
    assert (trial.score, trial.cost.seconds) == (0.5, 2.0)


def test_a_worker_that_dies_with_the_lock_keeps_nobody_waiting(tmp_path: Path) -> None:
    (tmp_path / "studies").mkdir()
    lock = tmp_path / "studies" / "small.lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(lock)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    holder.kill()
    holder.wait()
    holder.stdout.close()
    began = time.monotonic()
    assert open_study(tmp_path).begin(0) is not None
    assert time.monotonic() - began < 5


def test_an_address_that_is_none_of_postgresql_is_refused_without_telling_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not an address of PostgreSQL") as error:
        open_study(tmp_path, "mysql://someone:secret@host/db")
    assert "secret" not in str(error.value)


def test_a_database_that_does_not_answer_is_tried_again_later(tmp_path: Path) -> None:
    with pytest.raises(TransientError, match="does not answer") as error:
        open_study(tmp_path, "postgresql://someone:secret@127.0.0.1:1/db")
    assert "secret" not in str(error.value)
