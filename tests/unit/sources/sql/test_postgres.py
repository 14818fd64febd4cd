"""Source `sql` on a real PostgreSQL: days, types, one snapshot, and what is wrong with a connection."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lakeloop.errors import ConfigurationError, DataError, LakeloopError, ServiceError
from lakeloop.local.airflow_env import free_port
from lakeloop.settings import Settings
from lakeloop.sources.sql import postgres as driver
from lakeloop.sources.sql.source import SqlRows
from tests.support.postgres import PASSWORD, Server
from tests.support.sql_loop import COLUMNS, read, sql_loop

DAY = "2026-11-16"
Open = Callable[..., SqlRows]


@pytest.fixture
def opened(postgres_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """A source on the server, whose tables are gone."""
    postgres_server.psql("DROP SCHEMA public CASCADE; CREATE SCHEMA public;")
    monkeypatch.setenv("LAKELOOP_CONN_CRM", postgres_server.url())
    settings = Settings(root=tmp_path)

    def open_source(zone: str = "UTC", **source: Any) -> SqlRows:
        return SqlRows(sql_loop(zone, connection="crm", **source), settings)

    return open_source


def tickets(server: Server, values: str, at: str = "timestamptz", more: str = "") -> None:
    server.psql(f"CREATE TABLE tickets (id text, text text, label text, at {at}{more});")
    server.psql(f"INSERT INTO tickets VALUES {values};")


def test_a_day_is_read_in_the_order_of_the_key_by_the_zone_of_the_loop(
    postgres_server: Server, opened: Open
) -> None:
    tickets(
        postgres_server,
        "('b', 'x', 'tech', '2026-11-16 22:59:59.123456Z'), ('a', 'y', 'tech', '2026-11-15 23:00Z'),"
        "('c', 'z', 'tech', '2026-11-16 23:00Z'), ('d', 'z', 'tech', NULL), ('e', 'z', 'tech', 'infinity')",
    )
    source = opened("Europe/Berlin")
    assert source.partitions() == [DAY, "2026-11-17"]
    assert "2 row(s) have no day in at" in source.absence("2026-11-20")
    rows, rejects = read(source.find(DAY))
    assert [(row["id"], row["at"]) for row in rows] == [
        ("a", datetime(2026, 11, 15, 23, tzinfo=UTC)),
        ("b", datetime(2026, 11, 16, 22, 59, 59, 123456, tzinfo=UTC)),
    ]
    assert rejects == []
    assert source.find("2026-11-18") is None


@pytest.mark.parametrize(
    ("kind", "column", "zone", "value", "day"),
    [
        ("timestamp", {"type": "timestamp", "zone": "America/New_York"}, "UTC", "2026-11-15 19:30", DAY),
        ("timestamp", {"type": "timestamp", "zone": "Asia/Tokyo"}, "Asia/Tokyo", "2026-11-16 00:30", DAY),
        ("timestamp", "date", "Asia/Tokyo", "2026-11-16 00:00", DAY),
        ("date", "date", "America/New_York", "2026-11-16", DAY),
        ("date", "timestamp", "America/New_York", "2026-11-16", "2026-11-15"),
        ("bigint", {"type": "timestamp", "format": "epoch_ms"}, "UTC", "1794830400000", DAY),
        ("numeric", {"type": "timestamp", "format": "epoch_s"}, "UTC", "1794830400.25", DAY),
    ],
)
def test_every_column_that_says_a_day_is_found_by_it(
    postgres_server: Server, opened: Open, kind: str, column: Any, zone: str, value: str, day: str
) -> None:
    tickets(postgres_server, f"('a', 'x', 'tech', '{value}')", kind)
    source = opened(zone, columns={**COLUMNS, "at": column})
    assert source.partitions() == [day]
    assert len(read(source.find(day))[0]) == 1
    assert source.glance(day)


TYPES = [
    ("numeric", "'1.50'", "string", "1.50"),
    ("numeric", "'5.000'", "integer", 5),
    ("numeric", "'0.1'", "number", 0.1),
    ("numeric", "'12345678901234567890.12345'", "number", None),
    ("numeric", "'NaN'", "number", None),
    ("numeric", "'1.5'", "integer", None),
    ("bigint", "9007199254740993", "number", None),
    ("bigint", "9007199254740993", "string", "9007199254740993"),
    ("smallint", "7", "integer", 7),
    ("real", "1.5", "number", 1.5),
    ("float8", "'NaN'", "number", None),
    ("float8", "'-Infinity'", "number", None),
    ("float8", "0.1", "string", "0.1"),
    ("bool", "true", "boolean", True),
    ("bool", "true", "string", "true"),
    ("bool", "true", "integer", None),
    ("uuid", "'0f8fad5b-d9cb-469f-a165-70867728950e'", "string", "0f8fad5b-d9cb-469f-a165-70867728950e"),
    ("jsonb", """'{"a": [1, null]}'""", "string", '{"a": [1, null]}'),
    ("int[]", "'{1,NULL,3}'", "string", "[1,null,3]"),
    ("text[]", """'{a,"b,c"}'""", "string", '["a","b,c"]'),
    ("bytea", "'\\x00ff'", "string", "\\x00ff"),
    ("varchar(9)", "'12'", "integer", 12),
    ("text", "'twelve'", "integer", None),
    ("inet", "'10.0.0.1/24'", "string", "10.0.0.1/24"),
    ("interval", "'1 day 2 hours'", "string", "P1DT2H"),
    ("timestamptz", "'2026-01-01 00:00+05'", "string", "2025-12-31 19:00:00+00"),
    ("timestamptz", "'infinity'", "timestamp", None),
    ("timestamptz", "'0044-03-15 BC'", "timestamp", None),
    (
        "timestamp",
        "'2026-07-01 12:00'",
        {"type": "timestamp", "zone": "Europe/Paris"},
        "2026-07-01 10:00:00+00:00",
    ),
    ("timestamp", "'2026-07-01 12:00'", "date", None),
    ("date", "'2026-07-01'", "date", "2026-07-01"),
    ("date", "'infinity'", "date", None),
    ("date", "'10000-01-01'", "date", None),
]


@pytest.mark.parametrize(("kind", "value", "column", "kept"), TYPES)
def test_a_value_is_read_as_declared_where_that_loses_nothing_and_else_rejected(
    postgres_server: Server, opened: Open, kind: str, value: str, column: Any, kept: Any
) -> None:
    tickets(
        postgres_server, f"('a','x','tech','{DAY}',NULL),('b','x','tech','{DAY}',{value})", more=f", v {kind}"
    )
    rows, rejects = read(opened(columns={**COLUMNS, "v": column}).find(DAY))
    assert rows[0]["v"] is None
    if kept is None:
        assert [reject[:2] for reject in rejects] == [("wrong_type", "v")]
    else:
        found = rows[1]["v"]
        assert (str(found) if isinstance(found, datetime) or kind == "date" else found, rejects) == (kept, [])


def test_names_of_any_kind_are_quoted(postgres_server: Server, opened: Open) -> None:
    postgres_server.psql(
        """CREATE SCHEMA "My Schema";
        CREATE TABLE "My Schema"."the ""table" (id text, "Customer's ""text" text, label text, at date);"""
        f"""INSERT INTO "My Schema"."the ""table" VALUES ('a', 'x', 'tech', '{DAY}');"""
    )
    columns = {**COLUMNS, "at": "date", "text": {"type": "string", "from": "Customer's \"text"}}
    source = opened(table='My Schema.the "table', columns=columns)
    assert read(source.find(DAY))[0][0]["text"] == "x"
    postgres_server.psql('DROP SCHEMA "My Schema" CASCADE;')


def test_equal_rows_have_one_identity_and_a_glance_tells_when_to_look(
    postgres_server: Server, opened: Open
) -> None:
    rows = f"('a','one','tech','{DAY}'), ('a','two','tech','{DAY}')"
    tickets(postgres_server, rows)
    first, glance = opened().find(DAY), opened().glance(DAY)
    source = opened()
    assert glance
    assert [source.glance(day) for day in (DAY, DAY, "2026-11-17", DAY)] == [glance, glance, None, glance]
    postgres_server.psql("UPDATE tickets SET label = label;")
    same = opened().find(DAY)
    assert opened().glance(DAY) not in (None, glance)
    postgres_server.psql("UPDATE tickets SET text = 'three' WHERE text = 'two';")
    other = opened().find(DAY)
    assert first
    assert same
    assert other
    assert first.identity == same.identity != other.identity
    assert opened(query="SELECT * FROM tickets").glance(DAY) is None


@pytest.mark.parametrize(
    ("source", "message", "found"),
    [
        ({"table": "nope"}, "PostgreSQL refuses", 'relation "nope" does not exist'),
        ({"columns": {**COLUMNS, "n": "integer"}}, "there is no column n", "id, text, label, at"),
        ({"query": "SELECT nope FROM tickets"}, "PostgreSQL refuses", 'column "nope" does not exist'),
        ({"query": "SELECT * FROM tickets WHERE"}, "PostgreSQL refuses", "syntax error"),
        (
            {"query": "WITH x AS (DELETE FROM tickets RETURNING *) SELECT * FROM x"},
            "PostgreSQL refuses",
            "WITH",
        ),
        ({"query": "SELECT *, setval('s', 9) FROM tickets"}, "PostgreSQL refuses", "read-only transaction"),
        ({"query": "SELECT id, text, label, at::text AS at FROM tickets"}, "column at says no day", "text"),
    ],
)
def test_a_wrong_table_column_or_query_is_named_with_what_to_do(
    postgres_server: Server, opened: Open, source: dict[str, Any], message: str, found: str
) -> None:
    tickets(postgres_server, f"('a','x','tech','{DAY}')")
    postgres_server.psql("CREATE SEQUENCE s;")
    with pytest.raises(ConfigurationError) as raised:
        opened(**source).find(DAY)
    assert raised.value.message.startswith(message)
    assert found in raised.value.found
    assert raised.value.where == "connection crm"
    assert raised.value.remedy
    assert opened(**source).partitions() == []


def test_a_query_that_fails_on_a_row_is_an_error_of_the_data(postgres_server: Server, opened: Open) -> None:
    tickets(postgres_server, f"('a','x','tech','{DAY}')")
    query = "SELECT id, (1 / length(replace(text, 'x', '')))::text AS text, label, at FROM tickets"
    with pytest.raises(DataError, match="division by zero"):
        opened(query=query).find(DAY)


@pytest.mark.parametrize(
    ("password", "database", "kind"),
    [("wr%2Fong", "postgres", ConfigurationError), ("s3cret%2Fword", "nowhere", ConfigurationError)],
)
def test_who_is_not_let_in_is_told_so_without_the_password(
    postgres_server: Server,
    opened: Open,
    monkeypatch: pytest.MonkeyPatch,
    password: str,
    database: str,
    kind: type[LakeloopError],
) -> None:
    monkeypatch.setenv("LAKELOOP_CONN_CRM", postgres_server.url(password, database))
    with pytest.raises(kind) as raised:
        opened().find(DAY)
    said = f"{raised.value} {raised.value.__reduce__()}"
    assert "lets nobody in" in said
    for secret in (PASSWORD, "s3cret", "wr/ong", "wr%2Fong"):
        assert secret not in said


def test_a_server_that_is_away_is_worth_another_try(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKELOOP_CONN_CRM", f"postgresql://loop:pass@127.0.0.1:{free_port()}/postgres")
    with pytest.raises(ServiceError, match="PostgreSQL does not answer"):
        opened().find(DAY)
    assert opened().partitions() == []
    assert opened().glance(DAY) is None


def test_airflows_json_of_a_connection_is_read(
    postgres_server: Server, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    tickets(postgres_server, f"('a','x','tech','{DAY}')")
    said = {"conn_type": "postgres", "login": "loop", "password": PASSWORD, "host": "127.0.0.1"}
    said |= {"port": str(postgres_server.port), "schema": "postgres", "extra": '{"sslmode": "disable"}'}
    monkeypatch.delenv("LAKELOOP_CONN_CRM")
    monkeypatch.setenv("AIRFLOW_CONN_CRM", json.dumps(said))
    assert len(read(opened().find(DAY))[0]) == 1


def test_the_rows_are_those_of_one_moment_though_others_write_and_end_with_the_session(
    postgres_server: Server, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "_BATCH_BYTES", 1 << 16)
    postgres_server.psql(
        "CREATE TABLE tickets AS SELECT n::text AS id, repeat('x', 100) AS text, 'tech' AS label,"
        f" '{DAY}'::timestamptz AS at FROM generate_series(1, 40000) n;"
    )
    database = opened()._database()
    batches = database.rows(DAY)
    rows = [next(batches).num_rows, next(batches).num_rows]
    postgres_server.psql("DELETE FROM tickets WHERE id::int > 10;")
    rows += [batch.num_rows for batch in batches]
    assert sum(rows) == 40_000
    assert len(rows) > 20

    postgres_server.psql(
        "INSERT INTO tickets SELECT n::text, repeat('x', 9999), 'tech', '"
        + DAY
        + "' FROM generate_series(1, 9000) n;"
    )
    batches = database.rows(DAY)
    next(batches)
    next(batches)
    postgres_server.psql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'lakeloop';"
    )
    with pytest.raises(ServiceError, match="PostgreSQL does not answer"):
        list(batches)
    gc.collect()
