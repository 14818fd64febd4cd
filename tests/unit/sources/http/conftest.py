"""The API that these tests ask, and waits that are short."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lakeloop.settings import Settings
from lakeloop.sources.http import client
from tests.support.complaints_api import Api, made_rows, running_api


@pytest.fixture
def api() -> Iterator[Api]:
    """Seven complaints on each of three days."""
    with running_api(made_rows()) as running:
        yield running


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "FIRST_WAIT_SECONDS", 0.01)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root=tmp_path)
