"""Source `sql` on SQLite: days of a table, values of any type, and what is wrong with a place."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lakeloop.errors import ConfigurationError, ServiceError
from lakeloop.settings import Settings
from lakeloop.sources.registry import open_source
from lakeloop.sources.sql import sqlite
from lakeloop.sources.sql.source import SqlRows
from tests.support.sql_loop import COLUMNS, read, sql_loop

DAY = "2026-11-16"
DDL = "CREATE TABLE tickets (id TEXT, text TEXT, label TEXT, at TEXT)"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root=tmp_path)


def write(settings: Settings, rows: list[tuple[Any, ...]], ddl: str = DDL) -> None:
    with sqlite3.connect(settings.root / "data.db") as connection:
        connection.execute("DROP TABLE IF EXISTS tickets")
        connection.execute(ddl)
        marks = ", ".join("?" * len(rows[0]))
        connection.executemany(f"INSERT INTO tickets VALUES ({marks})", rows)
    connection.close()


def opened(settings: Settings, zone: str = "UTC", **source: Any) -> SqlRows:
    found = open_source(sql_loop(zone, **source), settings)
    assert isinstance(found, SqlRows)
    return found


def ticket(key: str, at: Any, text: Any = "words") -> tuple[Any, ...]:
    return key, text, "tech", at


def test_a_day_is_read_in_the_order_of_the_key_and_the_days_are_named(settings: Settings) -> None:
    write(
        settings, [ticket("b", f"{DAY} 10:00:00"), ticket("a", f"{DAY}T23:59:59Z"), ticket("c", "2026-11-17")]
    )
    source = opened(settings)
    assert source.partitions() == [DAY, "2026-11-17"]
    rows, rejects = read(source.find(DAY))
    assert [(row["id"], row["at"], row["source_line"]) for row in rows] == [
        ("a", datetime(2026, 11, 16, 23, 59, 59, tzinfo=UTC), 1),
        ("b", datetime(2026, 11, 16, 10, tzinfo=UTC), 2),
    ]
    assert rejects == []
    assert source.find("2026-11-18") is None
    assert source.absence("2026-11-18").endswith("2 day(s) there, 2026-11-16 to 2026-11-17")


@pytest.mark.parametrize(
    ("at", "zone", "day"),
    [
        ("2026-11-16T23:30:00Z", "Europe/Berlin", "2026-11-17"),
        ("2026-11-16T23:30:00+00:00", "Europe/Berlin", "2026-11-17"),
        ("2026-11-17 03:00:00", "America/New_York", "2026-11-16"),
        ("20261116T233000Z", "UTC", "2026-11-16"),
        ("2026-W47-1", "UTC", "2026-11-16"),
        ("2026-320", "UTC", "2026-11-16"),
        ("2026-11-16T01:00+02", "UTC", "2026-11-15"),
    ],
)
def test_every_form_of_a_moment_is_in_the_day_that_it_has_in_the_zone_of_the_loop(
    settings: Settings, at: str, zone: str, day: str
) -> None:
    write(settings, [ticket("a", at)])
    source = opened(settings, zone)
    assert source.partitions() == [day]
    assert len(read(source.find(day))[0]) == 1


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ({"type": "timestamp", "format": "epoch_ms"}, 1794830400000),
        ({"type": "timestamp", "format": "epoch_s"}, 1794830400),
        ({"type": "timestamp", "format": "%d.%m.%Y %H:%M"}, "16.11.2026 12:00"),
        ("date", DAY),
    ],
)
def test_the_day_is_read_by_the_format_of_its_column(settings: Settings, column: Any, value: Any) -> None:
    write(settings, [ticket("a", value)], "CREATE TABLE tickets (id, text, label, at)")
    source = opened(settings, columns={**COLUMNS, "at": column})
    assert source.partitions() == [DAY]
    assert len(read(source.find(DAY))[0]) == 1


def test_a_value_of_another_type_is_one_rejected_row_wherever_it_stands(settings: Settings) -> None:
    ddl = "CREATE TABLE tickets (id TEXT, text TEXT, label TEXT, at TEXT, n)"
    values: list[Any] = [*range(3000), "three", 2.5, b"\x00\xff", None, 7.0, "8", 2**62]
    write(settings, [(f"{place:05}", "t", "tech", DAY, value) for place, value in enumerate(values)], ddl)
    rows, rejects = read(opened(settings, columns={**COLUMNS, "n": "integer"}).find(DAY))
    assert [row["n"] for row in rows] == [*range(3000), None, 7, 8, 2**62]
    assert [(reason, column) for reason, column, _ in rejects] == [("wrong_type", "n")] * 3
    assert '"n": "three"' in rejects[0][2]


@pytest.mark.parametrize(
    ("kind", "given", "kept", "reasons"),
    [
        ("boolean", [0, 1, 2, "true", None], [False, True, True, None], ["wrong_type"]),
        ("number", [1, 2.5, "x", 2**53 + 1, "1e3"], [1.0, 2.5, 1000.0], ["wrong_type"] * 2),
        ("string", ["a", 1, 1.5, b"blob", b"\xff"], ["a", "1", "blob"], ["wrong_type", "bad_utf8"]),
        ("date", [DAY, 20, "2026-02-30"], ["2026-11-16"], ["wrong_type"] * 2),
        ("string", ["\u2028", "a\x00b", ""], ["\u2028", ""], ["nul_byte"]),
    ],
)
def test_what_loses_nothing_is_read_as_declared_and_the_rest_is_rejected(
    settings: Settings, kind: str, given: list[Any], kept: list[Any], reasons: list[str]
) -> None:
    rows = [(str(place), "t", "tech", DAY, value) for place, value in enumerate(given)]
    write(settings, rows, "CREATE TABLE tickets (id TEXT, text TEXT, label TEXT, at TEXT, v)")
    found, rejects = read(opened(settings, columns={**COLUMNS, "v": kind}).find(DAY))
    shown = [str(row["v"]) if kind == "date" else row["v"] for row in found]
    assert (shown, [reason for reason, _, _ in rejects]) == (kept, reasons)


def test_text_that_is_no_utf_8_is_a_rejected_row(settings: Settings) -> None:
    write(settings, [ticket("a", DAY), ticket("b", DAY)])
    with sqlite3.connect(settings.root / "data.db") as connection:
        connection.execute("UPDATE tickets SET text = CAST(x'ff41' AS TEXT) WHERE id = 'a'")
    connection.close()
    rows, rejects = read(opened(settings).find(DAY))
    assert [row["id"] for row in rows] == ["b"]
    assert [reject[:2] for reject in rejects] == [("bad_utf8", "text")]


def test_a_row_without_a_day_is_counted_and_one_with_half_a_day_is_rejected_there(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    write(settings, [ticket("a", DAY), ticket("b", None), ticket("c", "soon"), ticket("d", f"{DAY} 99:00")])
    source = opened(settings)
    with caplog.at_level("WARNING"):
        assert source.partitions() == [DAY]
    assert "2 row(s) are in no delivery: at says no day" in caplog.text
    assert "2 row(s) have no day" in source.absence("2026-11-17")
    rows, rejects = read(source.find(DAY))
    assert ([row["id"] for row in rows], [reject[:2] for reject in rejects]) == (
        ["a"],
        [("wrong_type", "at")],
    )


def test_equal_rows_have_one_identity_however_they_lie_in_the_table(settings: Settings) -> None:
    rows = [ticket("a", DAY, "one"), ticket("a", DAY, "two"), ticket("b", DAY, 7)]
    write(settings, rows)
    first = opened(settings).find(DAY)
    write(settings, rows[::-1])
    second = opened(settings).find(DAY)
    write(settings, [*rows[:2], ticket("b", DAY, 8)])
    third = opened(settings).find(DAY)
    assert first
    assert second
    assert third
    assert first.identity == second.identity != third.identity


def test_a_glance_changes_with_the_file_only(settings: Settings) -> None:
    write(settings, [ticket("a", DAY)])
    source = opened(settings)
    first = source.glance(DAY)
    assert first
    assert source.glance(DAY) == source.glance("2026-11-17") == first
    write(settings, [ticket("b", DAY)])
    assert source.glance(DAY) != first


def test_a_query_is_read_like_a_table_and_its_columns_by_their_names(settings: Settings) -> None:
    write(settings, [ticket("a", DAY), ticket("b", DAY)])
    query = (
        "-- of one label\nSELECT id, upper(text) AS \"Text (big)\", label, at FROM tickets WHERE id <> 'b;)'"
    )
    columns = {**COLUMNS, "text": {"type": "string", "from": "Text (big)"}}
    rows, _ = read(opened(settings, query=query, columns=columns).find(DAY))
    assert [(row["id"], row["text"]) for row in rows] == [("a", "WORDS"), ("b", "WORDS")]


@pytest.mark.parametrize(("undeclared", "kept"), [("ignore", None), ("keep", '{"label": "tech"}')])
def test_columns_that_are_not_declared_are_left_out_or_kept(
    settings: Settings, undeclared: str, kept: str | None
) -> None:
    write(settings, [ticket("a", DAY)])
    columns = {name: kind for name, kind in COLUMNS.items() if name != "label"}
    loop = sql_loop(undeclared=undeclared)
    source = loop.source.model_copy(update={"columns": {k: loop.source.columns[k] for k in columns}})
    rows, _ = read(SqlRows(loop.model_copy(update={"source": source}), settings).find(DAY))
    assert rows[0].get("undeclared_fields") == kept


@pytest.mark.parametrize(
    ("source", "message", "found"),
    [
        ({"table": "nope"}, "SQLite refuses what the loop file asks for", "no such table: nope"),
        ({"columns": {**COLUMNS, "n": "integer"}}, "there is no column n", "id, text, label, at"),
        ({"query": "SELECT nope FROM tickets"}, "SQLite refuses", "no such column: nope"),
        ({"sqlite": "none.db"}, "not a SQLite file that can be read", "no such file"),
        ({"sqlite": "text.db"}, "not a SQLite file that can be read", "file is not a database"),
        ({"sqlite": "../data.db"}, "the path leads out of the allowed folders", "../data.db"),
        ({"connection": "crm"}, "there is no connection crm", "neither is set"),
    ],
)
def test_a_wrong_place_is_named_with_what_to_do(
    settings: Settings, source: dict[str, Any], message: str, found: str
) -> None:
    write(settings, [ticket("a", DAY)])
    (settings.root / "text.db").write_text("words " * 1000)
    with pytest.raises(ConfigurationError) as raised:
        opened(settings, **source).find(DAY)
    assert raised.value.message.startswith(message)
    assert found in raised.value.found
    assert raised.value.where
    assert raised.value.remedy
    assert opened(settings, **source).partitions() == []


def test_a_table_that_a_query_would_change_is_left_as_it_is(settings: Settings) -> None:
    write(settings, [ticket("a", DAY)])
    query = "WITH x AS (SELECT 1) DELETE FROM tickets"
    with pytest.raises(ConfigurationError, match="SQLite refuses"):
        opened(settings, query=query).find(DAY)
    assert len(read(opened(settings).find(DAY))[0]) == 1


def test_a_locked_file_is_worth_another_try(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    write(settings, [ticket("a", DAY)])
    monkeypatch.setattr(sqlite, "_WAIT_SECONDS", 0.05)
    writer = sqlite3.connect(settings.root / "data.db", isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    with pytest.raises(ServiceError, match="the database is in use"):
        opened(settings).find(DAY)
    writer.close()


def test_a_connection_of_the_environment_names_the_file(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(settings, [ticket("a", DAY)])
    monkeypatch.setenv("AIRFLOW_CONN_FILES", f"sqlite:///{settings.root}/data.db")
    delivery = opened(settings, connection="files").find(DAY)
    assert len(read(delivery)[0]) == 1
    assert delivery
    assert delivery.name == "tickets of files"
    assert list(settings.work("small", "ingest", DAY).iterdir()) == []
