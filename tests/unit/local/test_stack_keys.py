"""Whether the model server has keys: looked at before anything starts, and said of what runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakeloop.errors import ConfigurationError
from lakeloop.local import stack as local_stack
from lakeloop.local.state import Stack
from lakeloop.settings import Settings, get_settings

KEY = "k3y" * 10


def stack_of(key_names: int | None) -> Stack:
    return Stack(airflow_url="http://a", server_url="http://s", components=(), key_names=key_names)


def test_the_line_of_the_server_says_who_may_ask() -> None:
    assert stack_of(2).server_line == "Model server http://s/docs, keys: on (2 names)"
    assert stack_of(1).keys == "keys: on (1 name)"
    assert stack_of(0).keys == "keys: off, open to everybody who reaches it"
    of_before = Stack.model_validate({"airflow_url": "http://a", "server_url": "http://s", "components": ()})
    assert of_before.server_line == "Model server http://s/docs"


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (None, "cannot be read"),
        ("ci: short", "no key of the model server"),
        ("# none yet", "there is no key"),
        (f"people: sha256:{'0' * 64}", "cannot be asked with a hash"),
    ],
    ids=["missing", "a bad line", "empty", "only hashes"],
)
def test_a_wrong_file_is_told_before_anything_starts(tmp_path: Path, written: str | None, told: str) -> None:
    keys = tmp_path / "keys"
    if written is not None:
        keys.write_text(written)
    settings = Settings(root=tmp_path, serve_keys_file=keys)
    said: list[str] = []
    with pytest.raises(ConfigurationError, match=told):
        local_stack.start(settings, say=said.append)
    assert said == []
    assert not settings.home.exists()


def test_keys_in_the_home_are_found_in_every_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKELOOP_SERVE_KEYS_FILE", "")  # as docker-compose.yml leaves it
    assert get_settings(root=tmp_path).serve_keys_file is None
    home = tmp_path / ".lakeloop"
    home.mkdir()
    (home / "keys").write_text(f"ci: {KEY}")
    assert get_settings(root=tmp_path).serve_keys_file == home / "keys"
    monkeypatch.setenv("LAKELOOP_SERVE_KEYS_FILE", "other")
    assert get_settings(root=tmp_path).serve_keys_file == tmp_path / "other"
