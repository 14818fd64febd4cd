"""A registry, and artifacts to register."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakeloop.attempt import Attempt
from lakeloop.lake.store import Lake
from lakeloop.registry.registry import Registry
from tests.support.artifacts import make_artifact
from tests.support.small_loop import small_loop

LABELS = ("sports", "tech")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(str(tmp_path / "lake"), "small")
    lake.bootstrap(small_loop())
    return lake


@pytest.fixture
def registry(lake: Lake) -> Registry:
    return Registry(lake, Attempt("run"))


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    """Three different artifacts."""
    folders = [tmp_path / f"model{seed}" for seed in range(3)]
    for seed, folder in enumerate(folders):
        make_artifact(folder, LABELS, seed=seed)
    return folders
