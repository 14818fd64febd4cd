"""Three days of a table through the stage `ingest`: from SQLite, and from a real PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lakeloop.records import Counts
from lakeloop.settings import Settings
from lakeloop.sources.seen import changed_days
from lakeloop.spec.loop import LoopSpec
from lakeloop.stages.data.ingest import ingest
from lakeloop.stages.frame.session import StageContext
from tests.support.postgres import Server
from tests.support.small_loop import DAYS, small_context
from tests.support.sql_loop import COLUMNS, sql_loop

DDL = "CREATE TABLE tickets (id text, text text, label text, at timestamp, n numeric)"
ROWS = [(f"{day}-{n}", f"text {n}", "tech", f"{day} 0{n}:00:00", str(n)) for day in DAYS for n in range(3)]
ODD = (f"{DAYS[1]}-9", "text", "tech", f"{DAYS[1]} 12:00:00", "1.5")
Execute = Callable[[str], object]


def insert(*rows: tuple[str, ...]) -> str:
    return "INSERT INTO tickets VALUES " + ", ".join(f"{row}" for row in rows) + ";"


@pytest.fixture(params=["sqlite", "postgresql"])
def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[StageContext, Execute]:
    """A loop on a table of three days, one bad row among them; and what executes SQL there."""
    where: dict[str, Any] = {"sqlite": "data.db"}
    if request.param == "postgresql":
        server: Server = request.getfixturevalue("postgres_server")
        monkeypatch.setenv("LAKELOOP_CONN_CRM", server.url())
        where, execute = {"connection": "crm"}, server.psql
        execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public;")
    else:

        def execute(statements: str) -> str:
            connection = sqlite3.connect(tmp_path / "data.db")
            connection.executescript(statements)
            connection.close()
            return ""

    execute(f"{DDL}; {insert(*ROWS, ODD, ROWS[0])}")
    loop: LoopSpec = sql_loop(columns={**COLUMNS, "n": "integer"}, **where)
    return small_context(tmp_path, loop), execute


def test_three_days_are_ingested_and_a_corrected_row_makes_one_of_them_another(
    place: tuple[StageContext, Execute],
) -> None:
    context, execute = place
    records = [ingest(context, day) for day in DAYS]
    assert [record.counts for record in records] == [
        Counts(read=4, accepted=3, quarantined=0, duplicates=1),
        Counts(read=4, accepted=3, quarantined=1, duplicates=0),
        Counts(read=3, accepted=3, quarantined=0, duplicates=0),
    ]
    assert "wrong_type 1" in records[1].reason
    assert [ingest(context, day).status for day in DAYS] == ["unchanged"] * 3
    ingested = {day: record.inputs["drop"] for day, record in zip(DAYS, records, strict=True)}
    assert changed_days(context.loop, context.settings, ingested) == []

    execute(f"UPDATE tickets SET n = 1 WHERE id = '{ODD[0]}';")
    assert changed_days(context.loop, context.settings, ingested) == [DAYS[1]]
    assert [ingest(context, day).status for day in DAYS] == ["unchanged", "done", "unchanged"]
    raw = context.lake.read("raw", partition=DAYS[1])
    assert sorted(raw["n"].to_pylist()) == [0, 1, 1, 2]

    skipped = ingest(context, "2026-11-20")
    assert skipped.status == "skipped"
    assert "3 day(s) there, 2026-11-16 to 2026-11-18" in skipped.reason


_READS = """
import sys
from pathlib import Path
from lakeloop.settings import Settings
from lakeloop.sources.sql.source import SqlRows
from tests.support.sql_loop import COLUMNS, sql_loop

query = '''WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 2000000)
SELECT n AS id, 'words' AS text, 'tech' AS label, '2026-11-16' AS at FROM c'''
loop = sql_loop(query=query, columns={**COLUMNS, "id": "integer"})
SqlRows(loop, Settings(root=Path(sys.argv[1]))).find("2026-11-16")
"""


@pytest.mark.slow
def test_a_killed_reading_leaves_nothing(tmp_path: Path, root: Path) -> None:
    sqlite3.connect(tmp_path / "data.db").close()
    folder = Settings(root=tmp_path).work("small", "ingest", "2026-11-16")
    command = [sys.executable, "-c", _READS, str(tmp_path)]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(root)}, cwd=root)
    try:
        _await_rows(process, folder)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
    assert [path for path in folder.rglob("*") if path.is_file()] == []


def _await_rows(process: subprocess.Popen[bytes], folder: Path) -> None:
    """Wait until rows are in a file that has no name in `folder`."""
    for _ in range(600):
        assert process.poll() is None
        for number in Path(f"/proc/{process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                if str(number.readlink()).startswith(str(folder)) and number.stat().st_size > 1 << 16:
                    return
        time.sleep(0.05)
    raise AssertionError("no row was kept")
