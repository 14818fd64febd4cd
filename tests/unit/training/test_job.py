from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from lakeloop.artifact import open_artifact
from lakeloop.errors import TransientError
from lakeloop.serving.predictor import Predictor
from lakeloop.tracking.journal import read_journal
from tests.support.tiny_bert import make_dataset
from training.baseline import train_baseline
from training.finetune import train_finetune
from training.job import Job, JobConfig, Trained, main, run

MakeConfig = Callable[..., JobConfig]


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def write(tmp_path: Path, make_config: MakeConfig) -> Callable[..., Path]:
    """Write a config as a job finds it; returns its path."""

    def make(folder: str = "work", candidate: str = "finetune", **options: object) -> Path:
        path = tmp_path / folder / "config.json"
        path.parent.mkdir()
        path.write_text(make_config(candidate, **options).model_dump_json())
        return path

    return make


def ended_with(path: Path, train: Callable[[Job], Trained], monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setattr(sys, "argv", ["job", "--config", str(path)])
    with pytest.raises(SystemExit) as raised:
        main("finetune", train)
    return raised.value.code


def refuse(_job: Job) -> Trained:
    raise AssertionError("nothing should be trained")


@pytest.mark.slow
@pytest.mark.parametrize(("candidate", "train"), [("finetune", train_finetune), ("baseline", train_baseline)])
def test_a_job_leaves_an_artifact_that_answers_and_a_result(
    write: Callable[..., Path], candidate: str, train: Callable[[Job], Trained], tmp_path: Path
) -> None:
    path = write(candidate=candidate, epochs=6, patience=6)
    run(path, train)

    found = json.loads((path.parent / "result.json").read_text())
    artifact = open_artifact(path.parent / "artifact")
    assert found["digest"] == artifact.digest
    assert (found["threads"], found["method"]) == (1, artifact.description.method)
    assert found["metrics"] == artifact.description.validation_metrics
    assert artifact.description.candidate == candidate

    answers = Predictor(artifact.folder).predict(["the team and the goal of the match", "a new phone chip"])
    assert [answer.label for answer in answers] == ["sports", "tech"]

    (journal,) = (tmp_path / "journals").rglob("*.jsonl")
    assert journal.parent == tmp_path / "journals" / "small" / f"train-{candidate}-job" / "2026-11-18"
    entries = read_journal(journal)
    assert entries[0].kind == "open"
    assert entries[1].data["train"]["epochs"] == 6
    assert entries[-2].data["digest"] == artifact.digest
    assert (entries[-1].kind, entries[-1].data) == ("close", {"exit_code": 0})


@pytest.mark.slow
def test_the_same_order_gives_the_same_digest_wherever_it_is_done(write: Callable[..., Path]) -> None:
    digests = []
    for folder in ("here", "there"):
        path = write(folder, epochs=2)
        run(path, train_finetune)
        digests.append(json.loads((path.parent / "result.json").read_text())["digest"])
    assert digests[0] == digests[1]


def test_bad_data_ends_with_65_and_one_line_that_says_why(
    write: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = make_dataset(tmp_path / "broken")
    (folder / "train.parquet").write_bytes(b"nothing")
    assert ended_with(write(dataset=folder), refuse, monkeypatch) == 65
    last = caplog.records[-1]
    assert last.levelname == "ERROR"
    assert "split cannot be read" in last.message
    assert "\n" not in last.message


@pytest.mark.parametrize(
    "change",
    [
        {"train": {"method": "magic"}},
        {"train": {"base_model": "package:no-such-model"}, "base_folder": None},
        {"train": {"max_tokens": 4096}},
        {"surplus": 1},
    ],
    ids=["method", "base model", "tokens", "unknown key"],
)
def test_a_bad_configuration_ends_with_64(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, change: dict[str, object]
) -> None:
    path = write()
    config = json.loads(path.read_text())
    train = {**config["train"], **change.pop("train", {})}  # type: ignore[dict-item]
    path.write_text(json.dumps({**config, **change, "train": train}))
    assert ended_with(path, train_finetune, monkeypatch) == 64
    assert not (path.parent / "result.json").exists()


def test_a_config_that_is_not_there_ends_with_64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ended_with(tmp_path / "config.json", refuse, monkeypatch) == 64


def test_too_little_memory_on_the_device_is_a_matter_of_configuration(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def grab(_job: Job) -> Trained:
        raise torch.OutOfMemoryError("tried to allocate 1 TB")

    assert ended_with(write(), grab, monkeypatch) == 64


def test_a_defect_ends_with_1(write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    assert ended_with(write(), refuse, monkeypatch) == 1


def test_sigterm_ends_with_75_and_closes_the_journal(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def be_ended(_job: Job) -> Trained:
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("the signal came too late")

    assert ended_with(write(), be_ended, monkeypatch) == TransientError.exit_code
    (journal,) = (tmp_path / "journals").rglob("*.jsonl")
    assert read_journal(journal)[-1].data == {"exit_code": 1}


def test_each_try_has_a_journal_of_its_own(write: Callable[..., Path], tmp_path: Path) -> None:
    path = write()
    for _ in range(2):
        with pytest.raises(AssertionError):
            run(path, refuse)
    assert len(list((tmp_path / "journals").rglob("*.jsonl"))) == 2
