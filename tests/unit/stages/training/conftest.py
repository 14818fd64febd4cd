"""What tests of the stage `train` share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.keyword_job import begin_project


@pytest.fixture
def project(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose training takes a second, with one published day and its data set."""
    monkeypatch.setenv("PYTHONPATH", str(root))
    return begin_project(tmp_path)
