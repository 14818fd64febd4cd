"""Connections by name: what of the environment is understood, and that no password is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakeloop.errors import ConfigurationError
from lakeloop.settings import Settings
from lakeloop.sources.sql.address import Address, address_of
from lakeloop.spec.sql import SqlSource
from tests.support.sql_loop import sql_loop


def address(tmp_path: Path) -> Address:
    source = sql_loop(connection="crm").source
    assert isinstance(source, SqlSource)
    return address_of(source, Settings(root=tmp_path))


@pytest.mark.parametrize(
    ("said", "target"),
    [
        ("postgres://u:p%40q@db.example:5433/x", "postgresql://u:p%40q@db.example:5433/x?"),
        ("postgresql+psycopg://u@db/x?sslmode=require", "sslmode=require"),
        ('postgres://u@db/x?__extra__={"sslmode": "require", "keepalives": 1}', "keepalives=1"),
        (
            '{"conn_type": "postgres", "host": "db", "login": "a@b", "password": "p/q"}',
            "postgresql://a%40b:p%2Fq@db/?",
        ),
        ('{"conn_type": "sqlite", "host": "/srv/a.db"}', "/srv/a.db"),
        ("sqlite:////srv/a%20b.db", "/srv/a b.db"),
    ],
)
def test_the_addresses_that_people_have_are_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, target: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_CRM", said)
    found = address(tmp_path)
    assert target in found.target
    assert target not in repr(found)


def test_our_own_variable_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_CRM", "postgresql://db/airflow")
    monkeypatch.setenv("LAKELOOP_CONN_CRM", "postgresql://db/ours")
    assert "ours" in address(tmp_path).target


@pytest.mark.parametrize(
    "said", ["mysql://u:hunter2@db/x", "hunter2", '{"hunter2"', "postgresql://u:hunter2@db:x/"]
)
def test_another_address_is_refused_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    monkeypatch.setenv("LAKELOOP_CONN_CRM", said)
    with pytest.raises(ConfigurationError, match="not the address of a database") as raised:
        address(tmp_path)
    assert raised.value.where == "LAKELOOP_CONN_CRM"
    assert "hunter2" not in str(raised.value)


def test_what_a_driver_says_is_shown_without_the_password_in_any_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKELOOP_CONN_CRM", "postgresql://u:p%40ss@db/x")
    assert address(tmp_path).hide("bad p%40ss\n or p@ss \x1b[1m") == "bad *** or *** \\x1b[1m"
