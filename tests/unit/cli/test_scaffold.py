"""Loops begun from a template, and loops that only look like one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lakeloop.cli import scaffold
from lakeloop.settings import Settings
from lakeloop.spec.reading.load import load_named
from lakeloop.spec.shape import kinds_of
from lakeloop.spec.tasks import Task


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a project with a loop of each kind that nobody has edited."""
    for folder in ("loops", "dbt"):
        (tmp_path / folder).mkdir()
    settings = Settings(root=tmp_path)
    for kind in scaffold.kinds_of_task():
        assert scaffold.scaffold(f"my_{kind}", settings, kind) == settings.loop_file(f"my_{kind}")
    return settings


def test_every_kind_of_task_has_a_template(settings: Settings) -> None:
    assert set(scaffold.kinds_of_task()) == set(kinds_of(Task))
    for kind in kinds_of(Task):
        assert load_named(f"my_{kind}", settings).task.kind == kind


def test_a_loop_of_a_kind_without_a_template_is_no_template(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = load_named("my_regression", settings)
    assert scaffold.is_template(loop, settings)
    fewer = tmp_path / "templates"
    shutil.copytree(Path(str(scaffold.TEMPLATES)), fewer)
    (fewer / "loop.regression.yaml").unlink()
    monkeypatch.setattr(scaffold, "TEMPLATES", fewer)
    assert not scaffold.is_template(loop, settings)
