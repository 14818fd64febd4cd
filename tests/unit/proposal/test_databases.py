"""`lakeloop new --from` a table: of SQLite, and of a real PostgreSQL."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from lakeloop.errors import ConfigurationError, DataError
from lakeloop.proposal.given import Given, Pointer
from lakeloop.proposal.preview import preview
from lakeloop.proposal.propose import look_at, propose
from lakeloop.settings import Settings
from lakeloop.spec.reading.load import read_loop
from lakeloop.spec.sql import SqlSource
from tests.support.postgres import ENCODED, PASSWORD, Server

ROWS = ", ".join(
    f"({n}, 'the parcel number {n} is late again', '{['billing', 'delivery'][n % 2]}',"
    f" '2026-11-{16 + n % 2} 0{n % 8}:00:00', {n}.5, '0{n}')"
    for n in range(40)
)
TABLE = "CREATE TABLE tickets (id {i}, words {t}, team {t}, at {at}, cost {n}, zip {t})"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    return Settings(root=tmp_path, home=tmp_path / ".lakeloop", loops=tmp_path / "loops")


@pytest.fixture
def sqlite_file(tmp_path: Path) -> Path:
    file = tmp_path / "data.db"
    with sqlite3.connect(file) as connection:
        connection.execute(TABLE.format(i="integer", t="text", at="text", n="real"))
        connection.execute(f"INSERT INTO tickets VALUES {ROWS}")
    connection.close()
    return file


def runs(given: Given, settings: Settings) -> tuple[SqlSource, tuple[str, ...]]:
    """The source that is proposed, which reads all of the first rows, and its days."""
    proposal = propose("crm_tickets", given, {})
    loop = read_loop(proposal.text(), settings.loop_file("crm_tickets"), settings)
    look = preview(loop, settings)
    assert (look.read, look.accepted, look.rejects) == (40, 40, ())
    assert isinstance(loop.source, SqlSource)
    assert (loop.source.key, loop.task.text) == ("id", "words")
    return loop.source, look.days


@pytest.mark.parametrize("text", ["sqlite:///data.db", "data.db"])
def test_a_table_of_sqlite_becomes_a_loop_that_reads_it(
    settings: Settings, sqlite_file: Path, text: str
) -> None:
    given = look_at(Pointer("crm_tickets", text, settings))
    source, days = runs(given, settings)
    assert (source.sqlite, source.table, source.partition_by) == ("data.db", "tickets", "at")
    assert days == ("2026-11-16", "2026-11-17")
    assert source.types["cost"] == "number"
    assert given.variables == {}


def test_a_database_of_many_tables_is_asked_for_one(settings: Settings, sqlite_file: Path) -> None:
    with sqlite3.connect(sqlite_file) as connection:
        connection.execute("CREATE VIEW odd AS SELECT * FROM tickets WHERE id % 2")
    connection.close()
    with pytest.raises(ConfigurationError, match="which table") as caught:
        look_at(Pointer("crm_tickets", "data.db", settings))
    assert caught.value.found == "odd, tickets"
    assert look_at(Pointer("crm_tickets", "data.db", settings, table="odd")).keys["table"] == "odd"
    with pytest.raises(ConfigurationError, match="SQLite refuses"):
        look_at(Pointer("crm_tickets", "data.db", settings, table="none"))


def test_an_empty_table_and_a_file_outside_are_refused(settings: Settings, sqlite_file: Path) -> None:
    with sqlite3.connect(sqlite_file) as connection:
        connection.execute("DELETE FROM tickets")
    connection.close()
    with pytest.raises(DataError, match="an empty table"):
        look_at(Pointer("crm_tickets", "data.db", settings))
    elsewhere = settings.model_copy(update={"root": settings.root / "project"})
    with pytest.raises(ConfigurationError, match="out of the allowed folders"):
        look_at(Pointer("crm_tickets", str(sqlite_file), elsewhere))


def test_a_table_of_postgresql_becomes_a_loop_without_its_address(
    settings: Settings, postgres_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LAKELOOP_CONN_CRM_TICKETS", raising=False)
    postgres_server.psql("DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE SCHEMA IF NOT EXISTS crm;")
    table = TABLE.format(i="bigint", t="varchar", at="timestamptz", n="numeric(9,2)")
    postgres_server.psql(f"DROP TABLE IF EXISTS crm.tickets; {table.replace('tickets', 'crm.tickets')};")
    postgres_server.psql(f"INSERT INTO crm.tickets VALUES {ROWS};")
    monkeypatch.setenv("LAKELOOP_CONN_CRM_TICKETS", "")
    try:
        given = look_at(Pointer("crm_tickets", postgres_server.url(), settings))
        source, days = runs(given, settings)
    finally:
        postgres_server.psql("DROP SCHEMA crm CASCADE;")
    assert (source.connection, source.table, source.partition_by) == ("crm_tickets", "crm.tickets", "at")
    assert days == ("2026-11-16", "2026-11-17")
    assert source.types | {"zip": "string", "cost": "number", "at": "timestamp"} == source.types
    text = propose("crm_tickets", given, {}).text()
    shown = f"postgresql://loop:***@127.0.0.1:{postgres_server.port}/postgres"
    assert given.variables == {"LAKELOOP_CONN_CRM_TICKETS": shown}
    assert PASSWORD not in text
    assert ENCODED not in text
    assert "127.0.0.1" not in text


def test_a_connection_of_the_environment_is_used_by_its_name(
    settings: Settings, sqlite_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_CRM", f"sqlite:///{sqlite_file}")
    given = look_at(Pointer("crm_tickets", "", settings, connection="crm"))
    assert runs(given, settings)[0].connection == "crm"
    assert given.variables == {"AIRFLOW_CONN_CRM": ""}
    with pytest.raises(ConfigurationError, match="there is no connection other"):
        look_at(Pointer("crm_tickets", "", settings, connection="other"))
