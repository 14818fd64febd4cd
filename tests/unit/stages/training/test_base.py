"""A champion as base model: the one of the moment is fetched for the job; another is another training."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakeloop.artifact import open_artifact
from lakeloop.errors import ConfigurationError
from lakeloop.stages.training.base import base_of
from lakeloop.stages.training.train import prepare
from tests.support.keyword_job import DAY, open_with
from tests.support.serving import promote


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
