"""A project in a temporary folder, and a loop file to be changed by each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakeloop.errors import ConfigurationError
from lakeloop.settings import Settings, get_settings
from lakeloop.spec.reading.load import load_loop
from tests.support.loops import LOOP, Change, Refuse


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of an empty project."""
    (tmp_path / "project/loops").mkdir(parents=True)
    (tmp_path / "project/dbt").mkdir()
    return get_settings(root=tmp_path / "project")


@pytest.fixture
def refuse(settings: Settings) -> Refuse:
    """Change `LOOP`, load it, and give back the text of the error."""

    def load(*changes: Change, append: str = "", text: str | bytes | None = None) -> str:
        if text is None:
            text = LOOP
            for old, new in changes:
                assert old in text, f"{old!r} is not in the loop file"
                text = text.replace(old, new, 1)
            text += append
        path = settings.loop_file("news")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        with pytest.raises(ConfigurationError) as caught:
            load_loop(path, settings)
        return str(caught.value)

    return load
