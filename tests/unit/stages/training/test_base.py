"""A champion as base model: the one of the moment is fetched for the job; another is another training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lakeloop.artifact import open_artifact
from lakeloop.errors import ConfigurationError
from lakeloop.stages.training.base import base_of
from lakeloop.stages.training.train import prepare
from tests.support.keyword_job import DAY, open_with
from tests.support.serving import promote
from training.job_config import JobConfig


def test_before_the_first_release_there_is_no_champion_to_train_on(project: Path) -> None:
    with pytest.raises(ConfigurationError, match="no champion yet to train on") as raised:
        prepare(open_with(project, base_model="champion"), DAY, "finetune")
    assert "--set train.base_model=package:" in raised.value.remedy


def test_the_champion_of_the_moment_is_what_a_job_finds(project: Path) -> None:
    context = open_with(project, base_model="champion")
    folders = []
    for number in (1, 2):
        version = promote(context, number)
        assert base_of(context).identity == version.digest
        job = prepare(context, DAY, "finetune")
        folder = Path(str(job.config["base_folder"]))
        assert folder == job.workdir / "inputs" / "champion"
        assert open_artifact(folder, expect=version.digest).digest == version.digest
        assert prepare(context, DAY, "finetune").workdir == job.workdir
        folders.append(folder)
    assert folders[0] != folders[1]


def test_a_champion_that_teaches_is_fetched_for_the_job_and_another_makes_another_training(
    project: Path,
) -> None:
    context = open_with(project, distil="champion")
    with pytest.raises(ConfigurationError, match="no champion yet") as raised:
        prepare(context, DAY, "finetune")
    assert raised.value.where == "train.distil"
    plain = prepare(open_with(project), DAY, "baseline")
    assert prepare(context, DAY, "baseline").workdir == plain.workdir, "a head has no teacher"
    jobs = []
    for number in (1, 2):
        version = promote(context, number)
        job = prepare(context, DAY, "finetune")
        (folder,) = map(Path, job.config["beside"].values())
        assert open_artifact(folder, expect=version.digest).digest == version.digest
        jobs.append(job.workdir)
    assert jobs[0] != jobs[1]


def test_a_folder_that_teaches_is_an_input_by_its_content(project: Path) -> None:
    folder = project / "models/teacher"
    context = open_with(project, distil={"kind": "folder", "folder": "models/teacher"})
    with pytest.raises(ConfigurationError, match="no such folder"):
        prepare(context, DAY, "finetune")
    folder.mkdir(parents=True)
    works = []
    for text in ("one", "two"):
        (folder / "manifest.json").write_text(text)
        job = prepare(context, DAY, "finetune")
        told = JobConfig.model_validate_json(json.dumps(job.config))
        assert told.beside == {"distil.folder": folder}
        assert told.train.distil.kind == "folder"
        works.append(job.work)
    assert works[0] != works[1]
