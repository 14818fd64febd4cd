"""The real W&B client behind the mirror: what a journal says is found in W&B, once, and no secret with it."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lakeloop.registry.registry import Registry
from lakeloop.settings import Settings
from lakeloop.stages.release.telling import tell_move
from lakeloop.tracking.journal import JournalIdentity, JournalTracker
from lakeloop.tracking.mirror import mirror_pending
from lakeloop.tracking.progress import Mirrored, ended, mirrored
from lakeloop.tracking.wake import mirror_lock, wake_mirror
from tests.support.mirroring import SECRET, isolate, mirror, report_stage
from tests.support.wandb_server import WandbServer, silent_server, wandb_server

pytestmark = pytest.mark.slow


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return isolate(monkeypatch, tmp_path)


@functools.lru_cache
def records(file: Path) -> list[dict[str, Any]]:
    """What the W&B client wrote into `file`, read back by W&B's own tool."""
    argv: list[str | Path] = [Path(sys.executable).with_name("wandb"), "leet", "inspect", "--json", file]
    lines = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()
    return [json.loads(line) for line in lines]


def of_type(kind: str, done: Mirrored | None) -> list[dict[str, Any]]:
    assert done is not None
    (file,) = Path(done.run).glob("*.wandb")
    return [record[kind] for record in records(file) if record["type"] == kind]


def eventually(holds: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "did not come to hold in time"
        time.sleep(0.1)


@pytest.fixture
def no_mirror_left(settings: Settings) -> Iterator[None]:
    """Wait until the mirror that a test woke has left by itself."""
    yield
    eventually(lambda: not _is_alive(settings), 60)


EXPERIMENT = "train-finetune@fast-job"


@dataclass(frozen=True)
class Replayed:
    """Journals of all sorts, after one offline mirror looked at them; by the names of their stages."""

    settings: Settings
    journals: dict[str, Path]
    output: str


_KILLED = """
import os, signal, sys
from pathlib import Path
from lakeloop.tracking.journal import JournalIdentity, JournalTracker
tracker = JournalTracker(Path(sys.argv[1]), JournalIdentity("news", "killed", "2026-11-20", "run#1"))
tracker.config({"method": "full"})
for step in range(777):
    tracker.log({"loss": 1 / (step + 1)}, step)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replayed]:
    with pytest.MonkeyPatch.context() as patch:
        settings = isolate(patch, tmp_path_factory.mktemp("replayed"))
        patch.setenv("LAKE_PASSWORD", SECRET)
        with mirror_lock(settings.journals):  # the mirror that they wake is the one below
            journals = {
                stage: report_stage(settings, stage)
                for stage in ("whole", "spoiled", "changed", "resumed", "train-finetune-trial", EXPERIMENT)
            }
        journals["killed"] = JournalIdentity("news", "killed", "2026-11-20", "run#1").path(settings.journals)
        killed = subprocess.run([sys.executable, "-c", _KILLED, str(journals["killed"])], check=False)
        assert killed.returncode == -signal.SIGKILL
        with journals["killed"].open("ab") as file:
            file.write(b'{"kind":"log","time":17')
        with journals["spoiled"].open("ab") as file:
            file.write(b"garbage\n")
        (settings.home / "work" / "changed" / "rows.parquet").write_bytes(b"other rows")
        yield Replayed(settings, journals, mirror(settings).stderr)


def test_the_trials_of_a_search_are_a_group_of_their_own(replayed: Replayed) -> None:
    (run,) = of_type("run", mirrored(replayed.journals["train-finetune-trial"]))
    assert run["run_group"] == "news/2026-11-20/search train-finetune"


def test_the_runs_of_an_experiment_have_its_name_and_a_tag_of_their_own(replayed: Replayed) -> None:
    (run,) = of_type("run", mirrored(replayed.journals[EXPERIMENT]))
    assert (run["job_type"], run["display_name"]) == (EXPERIMENT, f"{EXPERIMENT} 2026-11-20")
    assert run["tags"] == ["news", "train-finetune-job", "experiment fast"]


def test_what_a_stage_reported_is_found_in_its_wandb_run(replayed: Replayed) -> None:
    path = replayed.journals["whole"]
    done = mirrored(path)
    assert done is not None
    assert (done.mode, done.exit_code, done.size) == ("offline", 0, path.stat().st_size)

    (run,) = of_type("run", done)
    assert (run["project"], run["run_group"], run["job_type"]) == ("lakeloop", "news/2026-11-20", "whole")
    assert (run["display_name"], run["tags"]) == ("whole 2026-11-20", ["news", "whole"])

    config: dict[str, Any] = run["config"]["update"]
    for update in of_type("config", done):
        config |= update["update"]
    assert (config["loop"], config["method"], config["train"]) == ("news", "lora", {"epochs": 3})

    history = [record["item"] for record in of_type("history", done)]
    assert [(row["step"], row["train/loss"]) for row in history[:5]] == [
        (step * 10, pytest.approx(1 / (step + 1))) for step in range(5)
    ]
    assert history[5]["rows"] == 7
    assert [row["_step"] for row in history] == list(range(7))

    (table,) = (Path(done.run) / "files" / "media" / "table").glob("*.table.json")
    assert json.loads(table.read_text()) == {
        "columns": ["text", "score"],
        "data": [["one", 0.25], ["two", None]],
    }

    dataset = _dataset(done)
    assert dataset["name"] == "news-dataset"
    assert json.loads(dataset["metadata"])["digest"] == "sha256:abc"
    (content,) = dataset["manifest"]["contents"]
    assert (content["path"], Path(content["local_path"]).read_bytes()) == ("rows.parquet", b"rows")
    assert Path(content["local_path"]).is_relative_to(replayed.settings.wandb_dir)

    summary: dict[str, Any] = {}
    for update in of_type("summary", done):
        summary |= update["update"]
    assert (summary["status"], summary["macro_f1"]) == ("done", 0.97)
    assert of_type("exit", done)[0].get("exit_code", 0) == 0


def test_the_journal_of_a_killed_process_is_mirrored_whole_and_as_failed(replayed: Replayed) -> None:
    done = mirrored(replayed.journals["killed"])
    assert len(of_type("history", done)) == 777
    assert of_type("exit", done)[0]["exit_code"] == 1


def test_one_spoiled_journal_does_not_hold_up_the_others(replayed: Replayed) -> None:
    assert "not a journal entry" in replayed.output
    assert ended(replayed.settings.journals) == [replayed.journals["spoiled"]]


def test_a_changed_artifact_is_named_but_not_copied(replayed: Replayed) -> None:
    dataset = _dataset(mirrored(replayed.journals["changed"]))
    assert "contents" not in dataset["manifest"]
    assert json.loads(dataset["metadata"])["contents"].startswith("left out")


def test_a_version_is_an_artifact_by_reference_and_its_aliases_move(
    settings: Settings, tmp_path: Path
) -> None:
    """What the run file says; that the server moves the alias is W&B's, and needs one."""
    from tests.support.serving import open_project, promote

    context = dataclasses.replace(open_project(tmp_path / "project"), settings=settings)
    with mirror_lock(settings.journals):
        for number in (1, 2):
            promote(context, number)
        registry = Registry(context.lake, context.attempt)
        registry.rollback("answers look wrong", by="ada")
        tell_move(context, registry.read())
    mirror(settings)
    (journal,) = settings.journals.rglob("registry/**/*.jsonl")
    told = of_type("artifact", mirrored(journal))
    assert [(found["name"], sorted(found["aliases"])) for found in told] == [
        ("news-model", ["latest", "registry-v2", "rolled-back"]),
        ("news-model", ["champion", "latest", "registry-v1"]),
    ]
    contents = told[1]["manifest"]["contents"]
    card, *references = sorted(contents, key=lambda each: "ref" in each)
    assert card["path"] == "v1.json"
    folder = Path(context.lake.files.uri("models/v1")).as_uri()
    assert references
    assert {each["ref"].startswith(folder) for each in references} == {True}
    assert json.loads(told[1]["metadata"])["digest"] == registry.champion().digest  # type: ignore[union-attr]


def test_a_version_of_a_lake_on_s3_is_named_and_the_store_is_not_asked(
    settings: Settings, tmp_path: Path
) -> None:
    (card := tmp_path / "v1.json").write_text("{}")
    path = settings.journals / "news/registry/2026-11-20/one.jsonl"
    with JournalTracker(path, JournalIdentity("news", "registry", "2026-11-20", "run#1")) as tracker:
        tracker.artifact("news-model", "model", card, {"digest": "d"}, refers_to="s3://bucket/lake/models/v1")
    mirror(settings)
    (told,) = of_type("artifact", mirrored(path))
    assert json.loads(told["metadata"])["model"] == "s3://bucket/lake/models/v1"
    assert [each["path"] for each in told["manifest"]["contents"]] == ["v1.json"]


def test_no_secret_is_in_any_file(replayed: Replayed) -> None:
    files = [file for file in replayed.settings.home.rglob("*") if file.is_file()]
    assert any(file.suffix == ".wandb" for file in files)
    assert [file for file in files if SECRET.encode() in file.read_bytes()] == []


def test_all_of_wandbs_files_are_in_its_folder(replayed: Replayed) -> None:
    home = replayed.settings.home.with_name("home")
    assert list(home.rglob("*")) == []


def test_a_second_replay_adds_nothing_and_a_resumed_journal_is_one_run(replayed: Replayed) -> None:
    def state() -> dict[Path, int]:
        return {file: file.stat().st_mtime_ns for file in replayed.settings.wandb_dir.glob("wandb/**/*")}

    before = state()
    mirror(replayed.settings)
    assert state() == before

    path = replayed.journals["resumed"]
    with JournalTracker(path, JournalIdentity("news", "resumed", "2026-11-20", "run#1")) as tracker:
        tracker.log({"train/loss": 0.1}, step=50)
    mirror(replayed.settings)
    assert len(state().keys() - before.keys()) == len(before.keys() - state().keys()) > 0
    steps = [record["item"]["_step"] for record in of_type("history", mirrored(path))]
    assert steps == list(range(8))


def _dataset(done: Mirrored | None) -> dict[str, Any]:
    return next(found for found in of_type("artifact", done) if found["type"] == "dataset")


@pytest.mark.usefixtures("no_mirror_left")
def test_a_stage_wakes_the_mirror_and_does_not_wait_for_it(settings: Settings) -> None:
    began = time.monotonic()
    paths = [report_stage(settings, stage) for stage in ("ingest", "transform", "validate")]
    assert time.monotonic() - began < 10
    assert mirror_pending(settings, timeout=60) == 0
    assert all(mirrored(path) for path in paths)
    assert "validate" in (settings.home / "logs" / "mirror.log").read_text()


@pytest.mark.usefixtures("no_mirror_left")
def test_a_wandb_server_that_never_answers_costs_a_stage_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with silent_server() as url:
        monkeypatch.delenv("WANDB_MODE")
        monkeypatch.setenv("WANDB_BASE_URL", url)
        monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
        monkeypatch.setenv("WANDB_INIT_TIMEOUT", "10")
        assert settings.wandb_mode == "online"
        began = time.monotonic()
        path = report_stage(settings)
        assert time.monotonic() - began < 2
        assert mirror_pending(settings, timeout=60) == 1
    assert time.monotonic() - began < 50
    assert mirrored(path) is None
    assert "waits for the next mirror" in (settings.home / "logs" / "mirror.log").read_text()

    # W&B is not needed any more: the same journal goes to the next mirror.
    monkeypatch.delenv("WANDB_BASE_URL")
    monkeypatch.delenv("WANDB_API_KEY")
    monkeypatch.setenv("WANDB_MODE", "offline")
    mirror(settings)
    assert mirrored(path) is not None


@pytest.fixture
def online(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbServer]:
    """A W&B server, with the settings that let the client use it."""
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    monkeypatch.setenv("WANDB_FINISH_TIMEOUT", "3")
    with wandb_server() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        yield server


def journal_of_training(settings: Settings) -> JournalTracker:
    """A journal at work, with three points in it."""
    identity = JournalIdentity("news", "train", "2026-11-20", "run#1")
    tracker = JournalTracker(identity.path(settings.journals), identity)
    tracker.config({"method": "lora"})
    for step in range(3):
        tracker.log({"loss": 1.0 - step / 10}, step)
    return tracker


def rows(server: WandbServer) -> int:
    return sum(len(run.history) for run in server.runs.values())


@pytest.mark.usefixtures("no_mirror_left")
def test_online_a_run_is_followed_while_it_is_at_work_and_a_killed_mirror_doubles_nothing(
    settings: Settings, online: WandbServer
) -> None:
    tracker = journal_of_training(settings)
    wake_mirror(settings)
    eventually(lambda: rows(online) == 3)  # the client sends every 15 s
    _kill_the_mirror(settings)
    for step in range(3, 6):
        tracker.log({"loss": 1.0 - step / 10}, step)
    wake_mirror(settings)
    tracker.summary({"macro_f1": 0.97})
    tracker.close()
    eventually(lambda: mirrored(tracker.path) is not None)

    ((name, run),) = online.runs.items()
    assert [run.history[n]["loss"] for n in range(6)] == pytest.approx([1.0 - n / 10 for n in range(6)])
    assert [run.history[n]["_step"] for n in range(6)] == list(range(6))
    assert run.config["method"] == "lora"
    assert run.summary["macro_f1"] == 0.97
    assert run.exit_code == 0
    done = mirrored(tracker.path)
    assert done is not None
    assert (done.mode, done.run_id) == ("online", name)
    assert done.run.endswith(f"/testers/lakeloop/runs/{name}")


@pytest.mark.usefixtures("no_mirror_left")
def test_a_wandb_server_that_goes_away_in_the_middle_leaves_the_journal_waiting(
    settings: Settings, online: WandbServer
) -> None:
    tracker = journal_of_training(settings)
    wake_mirror(settings)
    eventually(lambda: online.runs)
    online.stop()
    began = time.monotonic()
    tracker.log({"loss": 0.5}, step=3)
    tracker.close()
    assert time.monotonic() - began < 1
    eventually(lambda: "waits for the next mirror" in (settings.home / "logs" / "mirror.log").read_text())
    assert ended(settings.journals) == [tracker.path]


def _kill_the_mirror(settings: Settings) -> None:
    wanted = str(settings.journals).encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            argv = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"lakeloop.tracking.mirror" in argv and wanted in argv:
            os.kill(int(folder.name), signal.SIGKILL)
            eventually(lambda: not _is_alive(settings))
            return
    pytest.fail("no mirror is alive")


def _is_alive(settings: Settings) -> bool:
    with mirror_lock(settings.journals) as free:
        return not free
