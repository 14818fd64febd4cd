"""Columns are written short or long, have any name, and no two of them meet in the lake."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from lakeloop.spec.columns import OURS, stored_name
from lakeloop.spec.contract import SourceBase


def source(**columns: Any) -> SourceBase:
    return SourceBase(key="id", columns={"id": "string", **columns})


def test_a_column_written_short_is_written_short_again() -> None:
    given = {"id": "string", "at": {"type": "timestamp", "from": "When", "zone": "Europe/Paris"}}
    assert source(at=given["at"]).model_dump(mode="json")["columns"] == given
    assert source(at={"type": "date"}).model_dump(mode="json")["columns"]["at"] == "date"


def test_a_column_has_a_name_here_in_the_delivery_and_in_the_lake() -> None:
    fields = source(text={"type": "string", "from": "Customer text"}, **{"Label!": "string"}).fields
    assert [(each.name, each.found, each.stored) for each in fields] == [
        ("id", "id", "id"),
        ("text", "Customer text", "text"),
        ("Label!", "Label!", "label"),
    ]


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("text", "text"),
        ("Customer text", "customer_text"),
        ("Größe (cm)", "größe_cm"),
        ("客户", "客户"),
        ("#", "column"),
        ("1st", "column_1st"),
        ("partition", "partition_"),
        ("Row ID", "row_id_"),
        ("lakeloop_key", "lakeloop_key_"),
        ('a"; drop table x', "a_drop_table_x"),
    ],
)
def test_the_lake_calls_a_column_by_what_every_reader_takes(name: str, stored: str) -> None:
    assert stored_name(name) == stored


@pytest.mark.parametrize("name", sorted(OURS))
def test_no_name_of_a_user_is_one_of_ours(name: str) -> None:
    assert source(**{name: "string"}).fields[1].stored not in OURS


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a b": "string", "A-B": "string"}, "stored as a_b"),
        ({"partition": "string", "partition_": "string"}, "stored as partition_"),
        ({"x": {"type": "string", "from": "id"}}, "reads id, and so does another"),
        ({"\n": "string"}, "a name that is not blank"),
        ({"x": {"type": "integer", "format": "%Y"}}, "a format for timestamps"),
        ({"x": {"type": "date", "format": "epoch_s"}}, "a format for timestamps"),
        ({"x": {"type": "date", "zone": "UTC"}}, "a zone for timestamps"),
        ({"x": {"type": "timestamp", "zone": "Europe/Pariss"}}, "a time zone by its IANA name"),
        ({"x": {"type": "timestamp", "format": "%Y-%m"}}, "%d is missing"),
    ],
)
def test_columns_that_cannot_be_read_or_kept_are_refused(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        source(**columns)
