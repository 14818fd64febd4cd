"""A model served from its folder alone: what is wrong with how it is started is one line, no traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakeloop.serving import alone
from tests.support.artifacts import make_artifact
from tests.support.small_loop import LABELS


@pytest.mark.parametrize(
    ("variables", "code", "said"),
    [
        ({"MODEL": "int9"}, 64, "MODEL=int9: no such folder; expected: one of artifact"),
        ({"MODEL": "empty"}, 65, "empty"),
        ({"PORT": "80a"}, 64, "PORT=80a: wrong value; expected: a whole number from 0 to 65535"),
        ({"PORT": "65536"}, 64, "PORT=65536: wrong value"),
        ({"TEXTS": "-1"}, 64, "TEXTS=-1: wrong value"),
        ({"TEXTS": "0"}, 64, "TEXTS=0: wrong value; expected: a whole number from 1"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variables: dict[str, str],
    code: int,
    said: str,
) -> None:
    make_artifact(tmp_path / "artifact", LABELS)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        alone.main()
    assert ended.value.code == code
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
