"""The stage around the job. The job here is a quick one of the same shape; real ones are in tests/faults."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from lakeloop.artifact import open_artifact
from lakeloop.errors import ArtifactError, ConfigurationError, DataError, JobError, TransientError
from lakeloop.jobs import status, submit, wait
from lakeloop.stages.dataset import dataset
from lakeloop.stages.session import StageContext
from lakeloop.stages.train import Candidate, finish, prepare, train
from tests.support.small_loop import DAYS, mart_rows, publish, small_context, small_loop

DAY = DAYS[0]

JOB = """
import argparse, json, os, sys
from pathlib import Path
from tests.support.artifacts import make_artifact

parser = argparse.ArgumentParser()
parser.add_argument("--config", type=Path)
path = parser.parse_args().config
config = json.loads(path.read_text())
with open("trainings", "a") as trainings:
    trainings.write(config["candidate"] + "\\n")
if Path("exit").exists():
    print("12:00:00 ERROR no training row for tech")
    sys.exit(int(Path("exit").read_text()))
if Path("killed").exists():
    os.kill(os.getpid(), 9)
print("12:00:00 INFO epoch 1 of 1")
assert sorted(os.listdir(config["dataset"])) == ["dataset.json", "train.parquet", "validation.parquet"]
card = json.loads(Path(config["dataset"], "dataset.json").read_text())
scores = {"macro_f1": 0.9, "accuracy": 0.91, "loss": 0.3}
artifact = make_artifact(
    path.parent / "artifact", card["labels"], candidate=config["candidate"], dataset_digest=card["digest"],
    validation_metrics=scores, seed=config["train"]["seed"],
)
result = {
    "digest": artifact.digest, "method": "keywords", "metrics": scores, "seconds": 1.5, "cpu_seconds": 2.5,
    "seconds_by_part": {"train": 1.0}, "device": "CPU", "dtype": "float32", "threads": 1,
    "details": {"epochs": [{"number": 1, "loss": 0.5, "validation": scores}]},
}
(path.parent / "result.json").write_text(json.dumps(result))
"""


@pytest.fixture
def project(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose training code is `JOB`, with one published day and its data set."""
    monkeypatch.setenv("PYTHONPATH", str(root))
    code = tmp_path / "training"
    code.mkdir()
    for name in ("__init__", "baseline", "finetune"):
        (code / f"{name}.py").write_text("" if name == "__init__" else JOB)
    context = small_context(tmp_path)
    publish(context, DAY, mart_rows(DAY, 60))
    dataset(context, DAY)
    return tmp_path


def open_with(project: Path, **train_section: Any) -> StageContext:
    return small_context(project, small_loop(train=train_section))


def trainings(project: Path) -> list[str]:
    path = project / "trainings"
    return path.read_text().split() if path.exists() else []


@pytest.mark.parametrize("candidate", ["baseline", "finetune"])
def test_a_candidate_is_trained_stored_and_recorded(project: Path, candidate: Candidate) -> None:
    context = small_context(project)
    record = train(context, DAY, candidate)

    assert record.status == "done"
    assert record.stage == f"train-{candidate}"
    assert record.outputs["artifact"] == f"candidates/{record.outputs['digest'][:16]}"
    assert record.metrics["validation/macro_f1"] == 0.9
    assert record.metrics["seconds"] == 1.5
    assert "0.9000" in record.reason
    assert context.lake.ledger.latest(record.stage, DAY, "done") == record
    fetched = open_artifact(context.lake.files.fetch(record.outputs["artifact"], project / "fetched"))
    assert fetched.digest == record.outputs["digest"]
    made = context.lake.ledger.latest("dataset", DAY, "done")
    assert made is not None
    assert fetched.description.dataset_digest == record.inputs["dataset"] == made.outputs["digest"]


def test_the_same_order_again_trains_nothing(project: Path) -> None:
    first = train(small_context(project), DAY, "finetune")
    again = train(small_context(project), DAY, "finetune")
    assert again.status == "unchanged"
    assert again.outputs == first.outputs
    assert trainings(project) == ["finetune"]
    assert len(small_context(project).lake.ledger.entries("train-finetune")) == 1


@pytest.mark.parametrize(
    ("candidate", "change", "again"),
    [
        ("baseline", {"method": "lora", "epochs": 9, "learning_rate": 0.1, "batch_size": 4}, False),
        ("baseline", {"max_tokens": 64}, True),
        ("finetune", {"method": "full"}, True),
        ("finetune", {"lora_rank": 4}, False),
        ("finetune", {"top_layers": 1}, True),
        ("finetune", {"time_limit_minutes": 5, "min_rows": 10}, False),
    ],
)
def test_only_what_decides_the_weights_is_a_reason_to_train_again(
    project: Path, candidate: Candidate, change: dict[str, Any], again: bool
) -> None:
    context, changed = open_with(project), open_with(project, **change)
    first, second = (prepare(each, DAY, candidate) for each in (context, changed))
    assert (first.fingerprint != second.fingerprint) == again
    assert (first.workdir != second.workdir) == again


def test_changed_training_code_is_a_reason_to_train_again(project: Path) -> None:
    context = small_context(project)
    before = prepare(context, DAY, "baseline")
    (project / "training" / "model.py").write_text("HEADS = 2")
    assert prepare(context, DAY, "baseline").workdir != before.workdir


def test_an_orchestrator_does_the_same_in_steps(project: Path) -> None:
    context = small_context(project)
    job_id = submit(prepare(context, DAY, "baseline"))
    assert submit(prepare(small_context(project), DAY, "baseline")) == job_id
    wait(job_id)
    record = finish(context, DAY, "baseline", job_id)
    assert record.provenance.started_at == status(job_id).started_at, "it took as long as its job"
    assert record.status == "done"
    assert finish(small_context(project), DAY, "baseline", job_id).status == "unchanged"
    assert trainings(project) == ["baseline"]


def test_a_job_sees_no_test_rows(project: Path) -> None:
    spec = prepare(small_context(project), DAY, "finetune")
    assert sorted(path.name for path in Path(spec.config["dataset"]).iterdir()) == [
        "dataset.json",
        "train.parquet",
        "validation.parquet",
    ]


def test_without_a_data_set_there_is_nothing_to_train_on(project: Path) -> None:
    with pytest.raises(DataError, match="no data set") as raised:
        train(small_context(project), DAYS[1], "baseline")
    assert raised.value.remedy == f"lakeloop dataset small --partition {DAYS[1]}"


def test_bad_data_is_not_tried_again_and_the_log_says_why(project: Path) -> None:
    (project / "exit").write_text("65")
    with pytest.raises(DataError, match="no training row for tech"):
        train(small_context(project), DAY, "baseline")
    assert small_context(project).lake.ledger.latest("train-baseline") is None


def test_a_killed_job_is_tried_again_and_then_succeeds(project: Path) -> None:
    (project / "killed").touch()
    with pytest.raises(TransientError, match=signal.SIGKILL.name):
        train(small_context(project), DAY, "finetune")
    (project / "killed").unlink()
    assert train(small_context(project), DAY, "finetune").status == "done"
    assert trainings(project) == ["finetune"] * 2


def test_a_job_that_was_ordered_for_other_data_is_not_recorded_for_this(project: Path) -> None:
    context = small_context(project)
    job_id = submit(prepare(context, DAY, "baseline"))
    wait(job_id)
    publish(context, DAY, mart_rows(DAY, 90))
    dataset(context, DAY)
    with pytest.raises(JobError, match="not the one that would be ordered now"):
        finish(context, DAY, "baseline", job_id)
    assert context.lake.ledger.latest("train-baseline") is None


def test_an_artifact_that_was_changed_after_the_job_is_refused(project: Path) -> None:
    context = small_context(project)
    job_id = submit(prepare(context, DAY, "baseline"))
    wait(job_id)
    card = Path(job_id, "artifact", "card.md")
    card.write_text(card.read_text() + "better than it is")
    with pytest.raises(ArtifactError):
        finish(context, DAY, "baseline", job_id)


def test_a_lost_artifact_is_trained_again(project: Path) -> None:
    context = small_context(project)
    record = train(context, DAY, "baseline")
    name = record.outputs["artifact"]
    for path in Path(context.lake.files.uri("candidates")).glob(f"{name.split('/')[1]}*manifest*"):
        path.unlink()
    assert not context.lake.files.exists(name)
    assert train(context, DAY, "baseline").status == "done"
    assert context.lake.files.exists(name)
    assert trainings(project) == ["baseline"]  # the job's own copy was still there


def test_of_stored_jobs_only_the_newest_keeps_its_folder(project: Path) -> None:
    train(open_with(project, seed=1), DAY, "finetune")
    first = prepare(open_with(project, seed=1), DAY, "finetune")
    train(open_with(project, seed=2), DAY, "finetune")
    kept = prepare(open_with(project, seed=2), DAY, "finetune")
    assert not first.workdir.exists()
    assert status(str(kept.workdir)).state == "succeeded"


def test_a_job_whose_artifact_is_not_stored_yet_keeps_its_folder(project: Path) -> None:
    """Its task may have died, and will find it again: another day must not make it train twice."""
    waiting = submit(prepare(small_context(project), DAY, "finetune"))
    wait(waiting)
    context = small_context(project)
    publish(context, DAYS[1], mart_rows(DAYS[1], 60))
    dataset(context, DAYS[1])
    train(context, DAYS[1], "finetune")
    assert finish(small_context(project), DAY, "finetune", waiting).status == "done"
    assert trainings(project) == ["finetune"] * 2


@pytest.mark.parametrize(("day", "stays"), [(DAY, False), (DAYS[1], True)])
def test_a_failed_job_keeps_its_folder_until_its_own_day_is_trained(
    project: Path, day: str, stays: bool
) -> None:
    (project / "exit").write_text("65")
    failed = submit(prepare(open_with(project, seed=1), DAY, "finetune"))
    with pytest.raises(DataError):
        wait(failed)
    (project / "exit").unlink()
    context = open_with(project, seed=2)
    publish(context, DAYS[1], mart_rows(DAYS[1], 60))
    dataset(context, DAYS[1])
    train(context, day, "finetune")
    assert Path(failed).exists() == stays


def test_a_base_model_folder_is_confined_and_must_be_there(project: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such base model"):
        prepare(open_with(project, base_model="models/tiny"), DAY, "baseline")
    with pytest.raises(ConfigurationError, match="out of the allowed folders"):
        prepare(open_with(project, base_model="../elsewhere"), DAY, "baseline")


def test_other_weights_in_the_same_folder_are_a_reason_to_train_again(project: Path) -> None:
    folder = project / "models" / "tiny"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"one")
    context = open_with(project, base_model="models/tiny")
    before = prepare(context, DAY, "baseline")
    assert before.config["base_folder"] == str(folder)
    (folder / "model.safetensors").write_bytes(b"two")
    assert prepare(context, DAY, "baseline").workdir != before.workdir


def test_without_training_code_the_order_says_so(project: Path) -> None:
    (project / "training").rename(project / "elsewhere")
    with pytest.raises(ConfigurationError, match="training code is missing"):
        prepare(small_context(project), DAY, "baseline")


def test_the_epochs_go_to_the_stages_own_journal(project: Path) -> None:
    context = small_context(project)
    train(context, DAY, "finetune")
    (journal,) = (context.settings.journals / "small" / "train-finetune" / DAY).glob("*.jsonl")
    entries = [json.loads(line) for line in journal.read_text().splitlines()]
    logged = [entry["data"] for entry in entries if entry["kind"] == "log"]
    assert logged[0] == {
        "step": 1,
        "metrics": {
            "train/loss": 0.5,
            "validation/macro_f1": 0.9,
            "validation/accuracy": 0.91,
            "validation/loss": 0.3,
        },
    }
    (model,) = [entry["data"] for entry in entries if entry["kind"] == "artifact"]
    assert (model["name"], model["kind"]) == ("small-finetune", "model")
