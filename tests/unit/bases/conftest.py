"""A base model's folder that a test may spoil."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.tiny_bert import make_base_model


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that is in order; to be left so."""
    return make_base_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def model(whole: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(whole, tmp_path / "model")
