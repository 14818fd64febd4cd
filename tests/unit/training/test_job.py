from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from tokenizers import Tokenizer

from lakeloop.artifact import open_artifact
from lakeloop.errors import TransientError
from lakeloop.inference.predictor import Predictor
from lakeloop.tracking.journal import JournalIdentity, JournalTracker, read_journal
from lakeloop.tracking.tracker import NoopTracker
from tests.support.tiny_bert import make_dataset, make_rows
from tests.support.training_jobs import NUMBERS
from training.data import tokenise
from training.job import Job, Trained, journal_of, main, open_job, run
from training.job_config import JobConfig, key_of
from training.progress import Told
from training.train import train as train_candidate

MakeConfig = Callable[..., JobConfig]


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def write(tmp_path: Path, make_config: MakeConfig) -> Callable[..., Path]:
    """Write a config as a job finds it; returns its path."""

    def make(folder: str = "work", method: str = "top_layers", **options: object) -> Path:
        path = tmp_path / folder / "config.json"
        path.parent.mkdir()
        path.write_text(make_config(method, **options).model_dump_json())
        return path

    return make


def ended_with(path: Path, train: Callable[[Job], Trained], monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setattr(sys, "argv", ["job", "--config", str(path)])
    with pytest.raises(SystemExit) as raised:
        main(train)
    return raised.value.code


def refuse(_job: Job) -> Trained:
    raise AssertionError("nothing should be trained")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["top_layers", "head"])
def test_a_job_leaves_an_artifact_that_answers_and_a_result(
    write: Callable[..., Path], method: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(method=method, epochs=6, patience=6)
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "origins": {**config["origins"], "seed": "run"}}))
    with caplog.at_level("INFO"):
        run(path, train_candidate)

    found = json.loads((path.parent / "result.json").read_text())
    artifact = open_artifact(path.parent / "artifact")
    description = artifact.description
    assert found["digest"] == artifact.digest
    assert (found["threads"], found["method"]) == (1, method)
    assert found["metrics"] == description.validation_metrics
    assert (description.format, description.candidate, description.method) == (2, "finetune", method)
    assert description.clean == ("normalise",)
    assert description.profile.rows == 96
    assert description.calibration is None
    assert "calibration" not in json.loads((artifact.folder / "description.json").read_text())

    answers = Predictor(artifact.folder).predict(["the team and the goal of the match", "a new phone chip"])
    assert [answer.label for answer in answers] == ["sports", "tech"]  # type: ignore[attr-defined]

    (journal,) = (tmp_path / "journals").rglob("*.jsonl")
    assert journal.parent == tmp_path / "journals" / "small" / "train-finetune-job" / "2026-11-18"
    assert journal.stem == found["run"]
    entries = read_journal(journal)
    assert entries[0].kind == "open"
    assert entries[1].data["train"]["epochs"] == 6

    # Every setting with its value and where it is from.
    assert found["settings"]["max_tokens"] == {"value": 24, "origin": "loop file"}
    assert found["settings"]["seed"] == {"value": 17, "origin": "run"}
    assert ("method.layers" in found["settings"]) == (method == "top_layers")
    assert description.settings == entries[1].data["settings"] == found["settings"]
    assert "seed 17 (run)" in caplog.text
    assert "| seed | 17 (run) |" in (artifact.folder / "card.md").read_text()
    assert entries[-2].data["digest"] == artifact.digest
    assert (entries[-1].kind, entries[-1].data) == ("close", {"exit_code": 0})


@pytest.mark.slow
@pytest.mark.parametrize("method", ["head", "top_layers"])
def test_numbers_are_trained_and_answered_from_the_artifact_as_torch_answers(
    write: Callable[..., Path], method: str
) -> None:
    """Untidy texts too: what the tokenizer sees is the same on both sides."""
    path = write(method=method, task=NUMBERS, epochs=8, patience=8)
    kept: list[Trained] = []

    def train(job: Job) -> Trained:
        kept.append(train_candidate(job))
        return kept[0]

    run(path, train)
    if method == "top_layers":
        losses = [epoch["loss"] for epoch in kept[0].details["epochs"]]
        assert losses[-1] < 0.5 * losses[0]

    config = JobConfig.model_validate_json(path.read_bytes())
    job = open_job(config, NoopTracker())
    texts = [row.text for row in job.dataset.validation.instances]
    batch = tokenise(job.tokenizer, texts).batch(np.arange(len(texts)))
    with torch.inference_mode():
        outputs = kept[0].network.cpu().eval()(batch.input_ids, batch.attention_mask).numpy()
    contract = job.dataset.contract
    wanted = np.maximum(contract.offset + contract.scale * outputs[:, 0], 0)

    predictor = Predictor(path.parent / "artifact")
    untidy = ["\u2003" + text.replace(" ", " \t ") + "\n" for text in texts]
    for asked in (texts, untidy):
        answers = [answer.value for answer in predictor.predict(asked)]  # type: ignore[attr-defined]
        assert answers == pytest.approx(wanted, abs=1e-3)
    assert np.corrcoef(wanted, job.dataset.validation.values)[0, 1] > 0.6


@pytest.mark.slow
def test_the_tokenizer_sees_the_same_in_training_and_in_inference(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = make_rows(96, seed=1)
    untidy = [text.replace("a", "a\u0301").replace(" ", "  ") for text in rows["text"].to_pylist()]
    folder = make_dataset(tmp_path / "untidy", train=rows.set_column(1, "text", pa.array(untidy)))
    path = write(dataset=folder, epochs=1)
    run(path, train_candidate)

    job = open_job(JobConfig.model_validate_json(path.read_bytes()), NoopTracker())
    learnt = tuple(row.text for row in job.dataset.train.instances)
    predictor = Predictor(path.parent / "artifact")
    seen: list[str] = []
    whole = predictor._tokenizer
    monkeypatch.setattr(predictor, "_tokenizer", Listening(whole, seen))
    predictor.predict(untidy)
    assert tuple(seen) == learnt
    assert learnt != tuple(untidy)


class Listening:
    """A tokenizer that writes down what it is given."""

    def __init__(self, whole: Tokenizer, seen: list[str]) -> None:
        self._whole, self._seen = whole, seen

    def encode_batch_fast(self, texts: list[str]) -> object:
        self._seen += texts
        return self._whole.encode_batch_fast(texts)


@pytest.mark.slow
def test_the_same_order_gives_the_same_digest_wherever_it_is_done(write: Callable[..., Path]) -> None:
    digests = []
    for folder in ("here", "there"):
        path = write(folder, epochs=2)
        run(path, train_candidate)
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
        {"candidate": {"name": "finetune", "method": "magic"}},
        {"metric": "r2"},
        {"train": {"base_model": "package:no-such-model"}, "base_folder": None},
        {"train": {"max_tokens": 4096}},
        {"surplus": 1},
    ],
    ids=["method", "candidate", "metric of another task", "base model", "tokens", "unknown key"],
)
def test_a_bad_configuration_ends_with_64(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, change: dict[str, object]
) -> None:
    path = write()
    config = json.loads(path.read_text())
    train = {**config["train"], **change.pop("train", {})}  # type: ignore[dict-item]
    path.write_text(json.dumps({**config, **change, "train": train}))
    assert ended_with(path, train_candidate, monkeypatch) == 64
    assert not (path.parent / "result.json").exists()


def test_a_config_that_is_not_there_ends_with_64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ended_with(tmp_path / "config.json", refuse, monkeypatch) == 64


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("tried to allocate 1 TB"), MemoryError()])
def test_too_little_memory_is_a_matter_of_configuration(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def grab(_job: Job) -> Trained:
        raise error

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
    assert read_journal(journal)[-1].data["exit_code"] == 1


def test_each_try_has_a_journal_of_its_own(write: Callable[..., Path], tmp_path: Path) -> None:
    path = write()
    for _ in range(2):
        with pytest.raises(AssertionError):
            run(path, refuse)
    assert len(list((tmp_path / "journals").rglob("*.jsonl"))) == 2


def test_a_try_that_goes_on_with_the_work_of_another_goes_on_with_its_journal(
    make_config: MakeConfig, caplog: pytest.LogCaptureFixture
) -> None:
    config = make_config()
    identity = JournalIdentity(config.loop, config.stage, config.partition, "earlier")
    path = identity.path(config.journals)
    with JournalTracker(path, identity) as tracker:
        for step, metrics in ((10, {"train/loss": 1.0}), (12, {"train/loss": 0.5}), (12, {"epoch": 1})):
            tracker.log(metrics, step)
    assert journal_of(config, "earlier") == (identity, Told(step=12, epoch=1))

    path.write_text("nothing that a journal says\n")
    found, told = journal_of(config, "earlier")
    assert (found.run[:6], told) == ("job-1-", Told())
    assert "a new journal is begun" in caplog.text


def test_a_checkpoint_is_of_the_same_work_by_what_decides_the_weights(make_config: MakeConfig) -> None:
    same = key_of(make_config())
    assert key_of(make_config(time_limit_minutes=7, min_rows=2)) == same
    others = ({"seed": 18}, {"epochs": 4}, {"metric": "accuracy"}, {"normalise": False}, {"task": NUMBERS})
    assert len({same, *(key_of(make_config(**other)) for other in others)}) == 1 + len(others)
