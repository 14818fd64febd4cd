"""The stage around the job. The job here is a quick one of the same shape; real ones are in tests/faults."""

from __future__ import annotations

import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import lakeloop
from lakeloop.artifact import open_artifact
from lakeloop.errors import (
    ArtifactError,
    ConfigurationError,
    DataError,
    JobError,
    TransientError,
)
from lakeloop.jobs import status, submit, wait
from lakeloop.stages.training.dataset import dataset
from lakeloop.stages.training.order import code_digest
from lakeloop.stages.training.train import finish, prepare, train
from tests.support.keyword_job import DAY, open_with, trainings
from tests.support.small_loop import DAYS, mart_rows, publish, small_context, small_loop
from tests.support.tiny_bert import MAX_POSITIONS, make_base_model
from training.job_config import JobConfig


@pytest.mark.parametrize("candidate", ["baseline", "finetune"])
def test_a_candidate_is_trained_stored_and_recorded(project: Path, candidate: str) -> None:
    context = small_context(project)
    record = train(context, DAY, candidate)

    assert record.status == "done"
    assert record.stage == f"train-{candidate}"
    assert record.outputs["artifact"] == f"candidates/{record.outputs['digest'][:16]}"
    assert record.metrics["validation/macro_f1"] == 0.9
    assert record.metrics["seconds"] == 1.5
    assert record.reason == "keywords: macro F1 0.9000 on validation rows, 2 s on CPU"
    assert context.lake.ledger.latest(record.stage, DAY, "done") == record
    fetched = open_artifact(context.lake.files.fetch(record.outputs["artifact"], project / "fetched"))
    assert fetched.digest == record.outputs["digest"]
    made = context.lake.ledger.latest("dataset", DAY, "done")
    assert made is not None
    assert fetched.description.dataset_digest == record.inputs["dataset"] == made.outputs["digest"]


def test_an_experiment_has_jobs_records_and_models_of_its_own(project: Path) -> None:
    production = train(small_context(project), DAY, "finetune")
    fast = replace(open_with(project, min_rows=30, epochs=2), experiment="fast")
    record = train(fast, DAY, "finetune")
    assert (record.stage, record.status) == ("train-finetune@fast", "done")
    assert train(fast, DAY, "finetune").status == "unchanged"
    assert trainings(project) == ["finetune", "finetune"]
    assert "/train-finetune@fast/" in record.links["log"]
    assert small_context(project).lake.ledger.latest("train-finetune", DAY) == production
    journals = fast.settings.journals / "small"
    assert any((journals / "train-finetune@fast" / DAY).iterdir())
    assert Path(production.links["log"]).is_file(), "production's job is left alone"


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
        ("finetune", {"method": {"kind": "top_layers", "layers": 2}}, False),
        ("finetune", {"method": {"kind": "top_layers", "layers": 1}}, True),
        ("finetune", {"epochs": 4, "seed": 17}, False),
        ("finetune", {"time_limit_minutes": 5, "min_rows": 10}, False),
        ("finetune", {"launcher": "torchrun", "processes": 2}, False),
    ],
)
def test_only_what_decides_the_weights_is_a_reason_to_train_again(
    project: Path, candidate: str, change: dict[str, Any], again: bool
) -> None:
    context, changed = open_with(project), open_with(project, **change)
    first, second = (prepare(each, DAY, candidate) for each in (context, changed))
    assert (first.fingerprint != second.fingerprint) == again
    assert (first.workdir != second.workdir) == again


def test_a_candidate_whose_batches_cannot_be_shared_is_trained_in_one_process(project: Path) -> None:
    context = open_with(project, launcher="torchrun", processes=3)
    jobs = [prepare(context, DAY, candidate) for candidate in ("baseline", "finetune")]
    assert [(job.launcher, job.processes) for job in jobs] == [("process", 3), ("torchrun", 3)]


@pytest.mark.parametrize(
    ("keys", "devices"), [({"processes": 3}, 3), ({}, None), ({"processes": 3, "devices": 2}, 2)]
)
def test_several_processes_wait_for_a_device_each_by_default_for_all(
    project: Path, monkeypatch: pytest.MonkeyPatch, keys: dict[str, int], devices: int | None
) -> None:
    monkeypatch.setattr("lakeloop.stages.training.need.torch_uses_devices", lambda: True)
    context = open_with(project, launcher="torchrun", **keys)
    needs = [prepare(context, DAY, candidate).need for candidate in ("baseline", "finetune")]
    assert [need.devices for need in needs if need] == [keys.get("devices", 1), devices]


def test_changed_training_code_is_a_reason_to_train_again(project: Path) -> None:
    context = small_context(project)
    before = prepare(context, DAY, "baseline")
    (project / "training" / "methods").mkdir()
    (project / "training" / "methods" / "new.py").write_text("HEADS = 2")
    assert prepare(context, DAY, "baseline").workdir != before.workdir


@pytest.mark.parametrize(
    ("name", "decides"),
    [
        ("tasks/classification.py", True),
        ("measures/base.py", True),
        ("cleaning/steps.py", True),
        ("inference/engines/onnx_encoder.py", True),
        ("artifact.py", True),
        ("gate/gate.py", False),
        ("tasks/notes.txt", False),
    ],
)
def test_library_code_that_decides_a_result_is_a_reason_to_train_again(
    project: Path, monkeypatch: pytest.MonkeyPatch, name: str, decides: bool
) -> None:
    """The same for the same files, wherever they are."""
    training, here = project / "training", code_digest(project / "training")
    library = project / "elsewhere" / "lakeloop"
    shutil.copytree(Path(lakeloop.__file__).parent, library, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr("lakeloop.stages.training.order._LIBRARY", library)
    monkeypatch.chdir(project)
    assert code_digest(training) == here
    (library / name).write_text("other code")
    assert (code_digest(training) != here) == decides


def test_the_text_that_a_model_sees_and_the_metric_of_its_epochs_decide_its_weights(project: Path) -> None:
    before = prepare(small_context(project), DAY, "finetune").workdir
    others: tuple[dict[str, Any], ...] = (
        {"clean": {"normalise": False}},
        {"evaluate": {"metric": "accuracy"}},
    )
    for sections in others:
        assert prepare(small_context(project, small_loop(**sections)), DAY, "finetune").workdir != before
    same = small_loop(evaluate={"metric": "macro_f1"}, clean={"drop_near_duplicates": False})
    assert prepare(small_context(project, same), DAY, "finetune").workdir == before


def test_a_candidate_is_what_the_loop_file_calls_it(project: Path) -> None:
    candidates = [{"name": "small_head", "method": "head"}, {"name": "low_rank", "method": "lora"}]
    context = open_with(project, candidates=candidates)
    record = train(context, DAY, "low_rank")
    assert record.stage == "train-low_rank"
    assert trainings(project) == ["low_rank"]
    assert record.config["train"] == {"method": "lora"}
    folder = context.lake.files.fetch(record.outputs["artifact"], project / "fetched")
    assert open_artifact(folder).description.candidate == "low_rank"
    with pytest.raises(ConfigurationError, match="no such candidate") as raised:
        train(context, DAY, "finetune")
    assert (raised.value.expected, raised.value.found) == ("small_head, low_rank", "finetune")


def test_a_job_is_told_all_that_the_loop_file_says_of_its_training(project: Path) -> None:
    context = open_with(project, candidates=[{"name": "low_rank", "method": "lora"}], epochs=7)
    context = replace(context, changes={"train.epochs": 7})
    config = JobConfig.model_validate(prepare(context, DAY, "low_rank").config)
    loop = context.loop
    assert config.candidate == loop.train.all_candidates[0]
    assert (config.train, config.task, config.clean) == (loop.train, loop.task, loop.clean)
    assert config.metric == "macro_f1"
    assert config.origins["epochs"] == "run"
    assert config.origins["method"] == "loop file"
    assert set(config.origins) == set(loop.train.settings_of(config.candidate))


def test_settings_are_recorded_with_where_they_are_from(project: Path) -> None:
    context = replace(open_with(project, epochs=7), changes={"train.seed": 17})
    record = train(context, DAY, "finetune")
    settings: dict[str, Any] = record.settings
    assert {key: found["origin"] for key, found in settings.items()} == {
        "method": "default", "method.layers": "default", "base_model": "default", "max_tokens": "default",
        "seed": "run", "epochs": "loop file", "patience": "default", "batch_size": "default",
        "learning_rate": "method", "weight_decay": "default", "max_grad_norm": "default", "warmup": "default",
        "schedule": "default",
    }  # fmt: skip


def test_what_decides_nothing_keeps_a_try_with_its_job(project: Path) -> None:
    """The job runs; meanwhile somebody gives it more time: the next try comes back to it."""
    first = submit(prepare(open_with(project), DAY, "finetune"))
    assert submit(prepare(open_with(project, time_limit_minutes=5, min_rows=31), DAY, "finetune")) == first
    wait(first)
    assert trainings(project) == ["finetune"]


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
    folder = make_base_model(project / "models" / "tiny")
    context = open_with(project, base_model="models/tiny", max_tokens=MAX_POSITIONS)
    before = prepare(context, DAY, "baseline")
    assert before.config["base_folder"] == str(folder)
    make_base_model(folder, seed=4)
    assert prepare(context, DAY, "baseline").workdir != before.workdir


def test_without_training_code_the_order_says_so(project: Path) -> None:
    (project / "training").rename(project / "elsewhere")
    with pytest.raises(ConfigurationError, match="training code is missing"):
        prepare(small_context(project), DAY, "baseline")


def test_one_training_is_one_run_with_epochs_and_the_stages_own_says_which(project: Path) -> None:
    context = small_context(project)
    record = train(context, DAY, "finetune")
    journals = context.settings.journals / "small"
    (journal,) = (journals / "train-finetune" / DAY).glob("*.jsonl")
    entries = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [entry for entry in entries if entry["kind"] == "log"] == []
    told = [entry["data"] for entry in entries if entry["kind"] == "config"]
    assert told[-1]["training_run"] == "train-finetune-job/job-run"
    assert told[-1]["settings"] == record.settings
    assert record.links["training_run"] == str(journals / "train-finetune-job" / DAY / "job-run.jsonl")
    used, model = [entry["data"] for entry in entries if entry["kind"] == "artifact"]
    assert (model["name"], model["kind"]) == ("small-finetune", "model")
    assert (used["name"], used["used"], used["metadata"]) == (
        "small-dataset", True, {"digest": record.inputs["dataset"]}
    )  # fmt: skip
    (made,) = (journals / "dataset" / DAY).glob("*.jsonl")
    (card,) = [json.loads(line)["data"] for line in made.read_text().splitlines() if '"artifact"' in line]
    assert Path(used["path"]).read_bytes() == Path(card["path"]).read_bytes(), "W&B knows it by its bytes"
    (end,) = [entry["data"] for entry in entries if entry["kind"] == "summary"]
    assert (end["inputs"]["dataset"], end["outputs"]["digest"]) == (
        record.inputs["dataset"], record.outputs["digest"]
    )  # fmt: skip


def test_a_run_whose_texts_are_too_long_for_the_base_model_is_refused_before_a_job(project: Path) -> None:
    context = open_with(project, max_tokens=600)
    with pytest.raises(
        ConfigurationError, match=r"train\.max_tokens: base model cannot read texts that long"
    ):
        train(context, DAY, "finetune")
    assert trainings(project) == []
