"""What is removed of a real home, what never is, and that neither a kill nor another process is harmed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lakeloop.disk.base import Place
from lakeloop.disk.clean import clean, look
from lakeloop.disk.limits import DiskLimits
from lakeloop.errors import TransientError
from lakeloop.jobs.state import JobRecord, Workdir
from lakeloop.lake.disk_folders import DiskFolders
from lakeloop.locks import locked
from lakeloop.removal import GOING
from lakeloop.scratch.folder import passing_folder
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.training.dataset import dataset
from tests.support.serving import promote
from tests.support.small_loop import DAYS, mart_rows, publish, small_context, small_loop, trained

DAY = 24 * 3600
Put = Callable[..., Path]


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StageContext:
    (tmp_path / "system").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "system"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.delenv("LAKELOOP_CACHE", raising=False)
    return small_context(tmp_path)


@pytest.fixture
def put(context: StageContext) -> Put:
    """`put("cache/dbt/x", days=8, size=10)` makes a file of the home that is as old as that."""

    def make(name: str, *, days: float = 0, size: int = 10) -> Path:
        path = context.settings.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
        then = time.time() - days * DAY
        os.utime(path, (then, then))
        os.utime(path.parent, (then, then))
        return path

    return make


def place(context: StageContext, **limits: Any) -> Place:
    return Place(context.settings, (context.loop,), time.time(), DiskLimits(**limits))


def going(context: StageContext, **limits: Any) -> dict[str, list[str]]:
    found = {
        each.kind: [Path(one.path).name for one in each.going] for each in look(place(context, **limits))
    }
    return {kind: names for kind, names in found.items() if names}


def freed(context: StageContext, **limits: Any) -> dict[str, int]:
    return {each.kind: each.things for each in clean(place(context, **limits))}


def job(put: Put, name: str, days: float, state: str = "failed", digest: str = "") -> Workdir:
    folder = f"work/small/train-baseline/{DAYS[0]}/job-{name}"
    put(f"{folder}/inputs/dataset/train.parquet", days=days)
    put(f"{folder}/checkpoints/step-4/state.pt", days=days)
    workdir = Workdir(put(f"{folder}/job.log", days=days).parent)
    record = JobRecord.model_validate({"state": state, "fingerprint": name})
    workdir.write_record(record)
    workdir.result.write_text(json.dumps({"digest": digest}))
    for path in (workdir.record, workdir.result):
        os.utime(path, (time.time() - days * DAY,) * 2)
    return workdir


def test_a_training_goes_a_day_after_the_lake_has_its_model_and_its_log_stays(
    context: StageContext, put: Put
) -> None:
    publish(context, DAYS[0], mart_rows(DAYS[0], 60))
    dataset(context, DAYS[0])
    digest = trained(context, "baseline", DAYS[0]).outputs["digest"]
    stored = job(put, "stored", 2, "succeeded", digest)
    young = job(put, "young", 0.5, "succeeded", digest)
    unknown = job(put, "unknown", 2, "succeeded", "0" * 64)
    given_up, resumed = job(put, "given-up", 8), job(put, "resumed", 6)
    assert going(context) == {"jobs": ["job-given-up", "job-stored"], "checkpoints": ["checkpoints"]}
    assert freed(context) == {"jobs": 2}  # its checkpoints went with it
    assert [path.name for path in stored.path.iterdir()] == ["job.log"]
    assert [path.name for path in given_up.path.iterdir()] == ["job.log"]
    for workdir in (young, unknown, resumed):
        assert (workdir.inputs / "dataset" / "train.parquet").exists()
        assert workdir.checkpoints.exists()
    assert going(context) == {}
    old = time.time() - 61 * DAY
    os.utime(stored.log, (old, old))
    assert freed(context) == {"jobs": 1}
    assert not stored.path.exists()


HOLDS = """
import sys, time
from pathlib import Path
from lakeloop.locks import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("lock", ["run_lock", "submit_lock"])
def test_a_training_at_work_keeps_all_until_its_process_is_gone(
    context: StageContext, put: Put, lock: str
) -> None:
    workdir = job(put, "running", 30)
    command = [sys.executable, "-c", HOLDS, str(getattr(workdir, lock))]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert freed(context) == {}
        process.send_signal(signal.SIGKILL)
    os.utime(workdir.path / getattr(workdir, lock).name, (0, 0))
    assert "jobs" in freed(context)


def test_one_that_begins_between_the_look_and_the_removal_stays(context: StageContext, put: Put) -> None:
    from lakeloop.disk.kinds import jobs
    from lakeloop.jobs.leftovers import reserve

    workdir = job(put, "again", 30)
    (item,) = jobs.KIND.look(place(context))
    assert not item.needed
    reserve(workdir)
    assert not item.remove()
    assert workdir.inputs.exists()


def test_the_cache_keeps_what_was_used_last(context: StageContext, put: Put) -> None:
    for number in range(5):
        put(f"cache/embeddings/{number}.npy", days=number, size=1000)
    put("cache/bases/one/model.safetensors", days=3, size=9000)
    put("cache/graphs/unused.onnx", days=61)
    assert going(context) == {"cache": ["unused.onnx"]}
    assert freed(context, cache_gb=11.5e-6) == {"cache": 4}
    left = {path.name for path in context.settings.cache.rglob("*") if path.is_file()} - {".one.lock"}
    assert left == {"0.npy", "1.npy", "model.safetensors"}
    assert freed(context, cache_gb=0) == {"cache": 1}  # not what was used within the hour, and no young base


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (f"work/small/transform/{DAYS[0]}/build/rows.duckdb", "days"),
        ("wandb/wandb/offline-run-1/run-1.wandb", "wandb"),
        ("airflow/logs/dag_id=small.train/run_id=1/attempt=1.log", "logs"),
        ("logs/mirror.log", "logs"),
        ("pieces/small/key/0.parquet", "pieces"),
        (".score-abcd1234/rows.parquet", "scratch"),
        (f"work/small/ingest/{DAYS[0]}/.record.json.12.tmp", "scratch"),
    ],
)
def test_what_is_old_goes_and_what_is_young_stays(
    context: StageContext, put: Put, name: str, kind: str
) -> None:
    path = put(name, days=0.01)
    assert freed(context) == {}
    put(name, days=100)
    assert freed(context) == {kind: 1}
    assert not path.exists()


def test_a_training_whose_run_is_not_mirrored_keeps_what_w_and_b_is_to_be_given(
    context: StageContext, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    workdir = job(put, "untold", 30)
    journal = put(f"journals/small/train-baseline/{DAYS[0]}/run.jsonl", days=30)
    assert freed(context) == {"checkpoints": 1}
    assert workdir.inputs.exists()
    journal.unlink()
    assert freed(context) == {"jobs": 1}


def test_what_people_and_other_parts_look_up_always_stays(context: StageContext, put: Put) -> None:
    names = (
        f"journals/small/train-baseline/{DAYS[0]}/run.jsonl",
        f"reports/small/{DAYS[0]}.html",
        f"docs/small/{DAYS[0]}/index.html",
        f"serving/small/spool/1/{DAYS[0]}T1.jsonl",
        "serving/small/observations/rejected/1.jsonl",
        f"work/small/ingest/{DAYS[0]}/seen.json",
        "studies/small.journal",
        "fetched/small/1.jsonl",
        "airflow/airflow.db",
        "keys",
        f"work/another/train-baseline/{DAYS[0]}/job-1/artifact/model.onnx",
    )
    paths = [put(name, days=4000) for name in names]
    assert freed(context) == {}
    assert all(path.exists() for path in paths)


def test_candidates_and_versions_go_by_the_loop_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DiskFolders, "_written_at", lambda *_: None)
    context = small_context(tmp_path, small_loop(keep={"versions": 1}))
    for number in range(1, 5):
        promote(context, number)
    later = Place(context.settings, (context.loop,), time.time() + 90 * DAY)
    found = {each.kind: each for each in look(later)}
    assert [Path(each.path).name for each in found["versions"].going] == ["v1", "v2"]  # v3 is the one before
    assert {each.kind: each.things for each in clean(later)}["versions"] == 2
    assert context.lake.files.exists("models/v4")
    assert context.lake.files.exists("models/v3")


def test_a_server_keeps_the_champion_and_the_version_before(context: StageContext, put: Put) -> None:
    for number in range(1, 4):
        promote(context, number)
        put(f"serving/small/models/v{number}/model.onnx")
    models = context.settings.home / "serving" / "small" / "models"
    with locked(models / ".lock"):  # a server loads one
        assert freed(context) == {"served": 0}
    assert freed(context) == {"served": 1}
    assert sorted(path.name for path in models.iterdir() if path.is_dir()) == ["v2", "v3"]


def test_links_out_of_the_home_are_neither_counted_nor_followed(
    context: StageContext, tmp_path: Path, put: Put
) -> None:
    outside = tmp_path / "theirs"
    outside.mkdir()
    (outside / "big").write_bytes(b"x" * 100_000)
    os.utime(outside / "big", (0, 0))
    day = put(f"work/small/transform/{DAYS[0]}/build/x", days=20).parent
    (day / "link").symlink_to(outside)
    os.utime(day / "link", (0, 0), follow_symlinks=False)
    for name in ("cache", "logs", "pieces/small", "work/small/validate"):
        (context.settings.home / name).parent.mkdir(parents=True, exist_ok=True)
        (context.settings.home / name).symlink_to(outside)
    before = sum(each.bytes for each in look(place(context)) if each.kind != "tables")
    assert before < 1000
    assert freed(context) == {"days": 1}
    assert (outside / "big").exists()


def test_what_cannot_be_removed_is_told_once_and_the_rest_goes(
    context: StageContext, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        put(f"work/small/transform/2026-11-0{number + 1}/build/x", days=20)
    put("pieces/small/key/x", days=100)

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("lakeloop.disk.base.remove", refuse)
    told = {each.kind: each.trouble for each in clean(place(context))}
    assert told["days"].endswith("(2 more)")
    assert "Permission denied" in told["days"]
    assert told["pieces"] == ""


def test_files_of_another_user_are_left_and_told(
    context: StageContext, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(f"work/small/transform/{DAYS[0]}/build/x", days=20)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    (told,) = (each for each in clean(place(context)) if each.kind == "days")
    assert (told.things, told.trouble) == (0, f"{path.parent}: it has files of another user")
    assert path.exists()


def test_two_who_clean_take_turns(context: StageContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lakeloop.disk.clean._WAIT_SECONDS", 0.1)
    with (
        locked(context.settings.home / ".disk.lock"),
        pytest.raises(TransientError, match="another process is cleaning"),
    ):
        clean(place(context))


KILLED = """
import os, shutil, signal, sys, time
from pathlib import Path
import lakeloop.removal as removal
from lakeloop.disk.base import Place
from lakeloop.disk.clean import clean
from tests.support.small_loop import small_context
def begin(path):
    os.kill(os.getpid(), signal.SIGKILL)
removal.shutil.rmtree = begin
context = small_context(Path(sys.argv[1]))
clean(Place(context.settings, (context.loop,), time.time()))
"""


def test_a_cleaning_that_is_killed_is_finished_by_the_next(
    context: StageContext, tmp_path: Path, put: Put
) -> None:
    folder = put(f"work/small/transform/{DAYS[0]}/build/x", days=20).parent
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], cwd=root, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not folder.exists()
    (half,) = folder.parent.iterdir()
    assert half.name.startswith(GOING)
    assert freed(context) == {}, "it may be going on"
    assert {each.kind for each in clean(replace(place(context), at=time.time() + 700))} == {"scratch"}
    assert not half.exists()


def test_an_attempt_at_work_keeps_its_folder_for_as_long_as_it_lives(context: StageContext) -> None:
    with passing_folder(context.settings.home, "score") as folder:
        (folder / "rows").write_text("x")
        for path in (folder / "rows", folder):
            os.utime(path, (0, 0))
        assert freed(context) == {"scratch": 0}
        assert folder.exists()


def test_without_a_home_there_is_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))  # that of the machine is everybody's
    context = small_context(tmp_path)
    empty = Place(context.settings.model_copy(update={"home": tmp_path / "none"}), (), time.time())
    assert sum(each.bytes for each in look(empty)) == 0
