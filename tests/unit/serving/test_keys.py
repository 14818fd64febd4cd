"""The file of the server's keys: what it may hold, and what is said of one that is wrong."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from lakeloop.errors import ConfigurationError
from lakeloop.serving.keys import own_key, read_keys

ONE, OTHER = "a" * 20 + "1", "b" * 20 + "2"


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "keys"
    file.write_text(text)
    file.chmod(0o600)
    return file


def test_each_key_is_known_by_its_name_and_no_other_is(tmp_path: Path) -> None:
    hashed = sha256(OTHER.encode()).hexdigest()
    keys = read_keys(written(tmp_path, f"# ours\n\nci: {ONE}\npeople:  sha256:{hashed}\n"))

    assert (keys.name_of(ONE), keys.name_of(OTHER)) == ("ci", "people")
    assert [keys.name_of(given) for given in ("", ONE[:-1], ONE + "x", hashed, "ci", "\udcff")] == [None] * 6
    assert ONE not in repr(keys)


def test_here_the_first_key_is_shown_that_is_no_hash(tmp_path: Path) -> None:
    hashed = sha256(OTHER.encode()).hexdigest()

    assert own_key(written(tmp_path, f"people: sha256:{hashed}\nci: {ONE}\n")) == ONE
    assert own_key(None) is None
    with pytest.raises(ConfigurationError, match="with a hash"):
        own_key(written(tmp_path, f"people: sha256:{hashed}\n"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "there is no key"),
        (f"ci: {ONE}\nci: {OTHER}\n", "one name"),
        (f"ci: {ONE}\nthe key of the others {OTHER}\n", "line 2"),
        ("ci: sh0rt-s3cret\n", "line 1"),
        ("ci: a key with spaces in it, quite long\n", "line 1"),
    ],
)
def test_a_wrong_file_is_told_by_its_place_and_never_by_its_keys(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(ConfigurationError) as told:
        read_keys(written(tmp_path, text))

    assert said in str(told.value)
    for secret in (ONE, OTHER, "sh0rt-s3cret", "quite long"):
        assert secret not in str(told.value)


def test_a_file_that_is_not_there_is_an_error_and_not_a_server_without_keys(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        read_keys(tmp_path / "nothing")


def test_a_file_that_others_can_read_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = written(tmp_path, f"ci: {ONE}\n")
    file.chmod(0o644)
    read_keys(file)

    assert "chmod 600" in caplog.text
