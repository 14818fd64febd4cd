"""The section `source` of kind sql: what it must say, and what it must not hold."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from lakeloop.spec.sql import SqlSource

USUAL = {
    "kind": "sql",
    "key": "id",
    "columns": {"id": "string", "at": "timestamp"},
    "partition_by": "at",
    "connection": "crm",
    "table": "tickets",
}


def source(**keys: Any) -> SqlSource:
    return SqlSource.model_validate(
        {key: value for key, value in {**USUAL, **keys}.items() if value is not None}
    )


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"connection": None, "sqlite": "data.db"},
        {"table": None, "query": "select 1"},
        {
            "table": None,
            "query": "-- why\n/* and ( how */ WITH x AS (SELECT ';)' AS \"a;(\") SELECT * FROM x",
        },
        {"table": None, "query": "SELECT $tag$ ; ( $tag$, E'it\\'s (', 'it''s )' -- )\nFROM (SELECT 1) y"},
        {"order_by": "at"},
    ],
)
def test_one_database_and_one_table_or_select_are_taken(keys: dict[str, Any]) -> None:
    assert source(**keys).required == ("id", "at")


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"sqlite": "data.db"}, "connection: where is the database"),
        ({"connection": None}, "connection: where is the database"),
        ({"query": "SELECT 1"}, "table: what is read"),
        ({"table": None}, "table: what is read"),
        ({"partition_by": "id"}, "partition_by: a column of the wrong type"),
        ({"partition_by": "when"}, "partition_by: no such column"),
        ({"order_by": "when"}, "order_by: no such column"),
        ({"format": "csv"}, "format: not a key of sql"),
        *(
            ({"table": None, "query": query}, "query: not one SELECT")
            for query in (
                "DELETE FROM tickets",
                "SELECT 1; DROP TABLE tickets",
                "SELECT 1) TO PROGRAM 'sh' --",
                "SELECT 1) AS q UNION (SELECT 2",
                "SELECT (1",
                "SELECT 'open",
                "SELECT /* open",
                "SELECT 1 /* a /* b */ */",
                "  ",
                "selector",
            )
        ),
    ],
)
def test_what_is_wrong_is_named_by_its_key(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        source(**keys)


@pytest.mark.parametrize("key", ["connection", "sqlite"])
def test_an_address_in_a_loop_file_is_refused_and_not_shown(key: str) -> None:
    keys = {"connection": None, "sqlite": None} | {key: "postgresql://me:hunter2@db/x"}
    with pytest.raises(ValidationError) as raised:
        source(**keys)
    broken = raised.value.errors()[0]["ctx"]["broken"]
    assert "hunter2" not in repr([*broken, raised.value.errors()[0]["msg"]])
