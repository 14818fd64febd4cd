from __future__ import annotations

from pathlib import Path

import pytest

from lakeloop.lake.store import Lake
from tests.support.small_loop import small_loop


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake with the tables of the loop `small`."""
    lake = Lake(str(tmp_path / "lake"), "small")
    lake.bootstrap(small_loop())
    return lake
