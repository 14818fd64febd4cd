"""What a base model is to a training: a champion, a folder with its templates, a file that is unpacked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lakeloop.artifact import open_artifact
from lakeloop.bases.quantised import is_whole
from lakeloop.durable import digest_folder, sha256_file
from lakeloop.errors import ConfigurationError
from lakeloop.records import fingerprint
from lakeloop.stages.training.base import base_of
from lakeloop.stages.training.train import prepare
from tests.support.keyword_job import DAY, open_with
from tests.support.serving import promote
from tests.support.tiny_bert import make_base_model
from tests.support.tiny_gguf import make_gguf
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


def test_words_of_a_dialogue_in_a_file_of_their_own_are_part_of_a_base_model(project: Path) -> None:
    folder = make_base_model(project / "models/tiny")
    context = open_with(project, base_model="models/tiny")
    before = base_of(context).identity
    assert before == fingerprint(
        weights=digest_folder(folder, "*.safetensors"), config=digest_folder(folder, "*.json")
    ), "what was trained on a folder without templates stays what it was"
    identities = {before}
    for template in ("{{ messages }}", "{{ messages[0] }}"):
        (folder / "chat_template.jinja").write_text(template)
        identities.add(base_of(context).identity)
    assert len(identities) == 3


@pytest.mark.slow
def test_a_file_is_unpacked_for_the_job_and_is_what_it_is_by_its_content(
    project: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKELOOP_CACHE", str(project / "cache"))
    for name in ("unpack.py", "ranks.py"):
        shutil.copy(root / "training" / name, project / "training" / name)
    file = project / "models/tiny.gguf"
    make_gguf(file)
    context = open_with(project, base_model="models/tiny.gguf", max_tokens=64)
    found = base_of(context)
    assert found.identity == fingerprint(gguf=sha256_file(file))
    assert not (project / "cache/bases").exists(), "who asks what it is does not unpack it"
    job = prepare(context, DAY, "finetune")
    folder = Path(str(job.config["base_folder"]))
    assert folder.parent == project / "cache/bases"
    assert is_whole(folder)
    make_gguf(file, seed=8)
    assert base_of(context).identity != found.identity, "another file is another base model"
