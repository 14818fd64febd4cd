"""The command, run in this process on a project of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakeloop.cli.main import main
from tests.support.command import DAY, LOOP, Ended, Run, logging_kept


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    with logging_kept():
        yield


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one loop, `tickets`, and a day's drop of four lines, one of them broken."""
    for folder in ("loops/tickets", "dbt", "data"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "loops/tickets/loop.yaml").write_text(LOOP)
    rows = [{"id": str(n), "text": f"text {n}", "team": "billing"} for n in range(3)]
    lines = [json.dumps(row) for row in rows]
    (tmp_path / f"data/{DAY}.jsonl").write_text("\n".join([*lines, '{"id": "3", "te']) + "\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


@pytest.fixture
def run(project: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `lakeloop` with these arguments in the project."""

    def run(*argv: str) -> Ended:
        with pytest.raises(SystemExit) as ended:
            main(argv)
        captured = capsys.readouterr()
        code = ended.value.code
        assert code is None or isinstance(code, int)
        return Ended(code or 0, captured.out, captured.err)

    return run
