"""Which columns play which part, and what is said where one that a person named cannot."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lakeloop.errors import DataError
from lakeloop.proposal.loop_file import Proposal
from lakeloop.proposal.roles import Part
from lakeloop.settings import Settings
from tests.unit.proposal.test_propose import proposed, write_jsonl

ROWS: list[dict[str, Any]] = [
    {
        "uid": f"u{n:04}", "stars": n / 4, "Wäre Gelöst": "ja" if n % 3 else "nein",
        "text": f"where is it {n % 7}", "created": f"2026-11-{n % 28 + 1:02} at 10h",
        "attributes": {"body": "where is it", "mood": 1}, "tags": ["a"],
    }
    for n in range(60)
]  # fmt: skip


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root=tmp_path, home=tmp_path / ".lakeloop", loops=tmp_path / "loops")


def look(
    settings: Settings, said: dict[Part, str], *without: str, name: str = "2026-11-02.jsonl"
) -> Proposal:
    rows = [{field: value for field, value in row.items() if field not in without} for row in ROWS]
    write_jsonl(settings.root / name, rows)
    return proposed("reviews", name, settings, said)


def test_a_key_that_cannot_be_one_is_named_with_what_it_holds(settings: Settings) -> None:
    with pytest.raises(DataError, match='column "stars" cannot be the key') as caught:
        look(settings, {"key": "stars"})
    assert caught.value.where == "--key"
    assert caught.value.found == 'stars: number such as "0.0"; 100% filled, 60 different'
    assert "leave --key out" in caught.value.remedy


def test_a_time_that_cannot_be_one_is_named_with_a_value(settings: Settings) -> None:
    with pytest.raises(DataError, match='column "created" cannot be the time') as caught:
        look(settings, {"time": "created"})
    assert 'such as "2026-11-01 at 10h"' in caught.value.found
    assert 'created: {type: timestamp, format: "' in caught.value.remedy


def test_a_number_is_no_text(settings: Settings) -> None:
    with pytest.raises(DataError, match='column "stars" cannot be the text'):
        look(settings, {"text": "stars"})


def test_where_nothing_says_the_day_what_looks_like_times_is_shown(settings: Settings) -> None:
    with pytest.raises(DataError, match="nothing says the day") as caught:
        look(settings, {}, name="rows.jsonl")
    assert caught.value.found.endswith('; these may be times: created "2026-11-01 at 10h"')
    assert "format: " in caught.value.remedy


def test_a_column_of_names_is_no_text(settings: Settings) -> None:
    with pytest.raises(DataError, match="no column can be the text") as caught:
        look(settings, {}, "text", "created")
    assert caught.value.found.endswith("hold objects or lists: attributes (body, mood), tags")
    assert "--text COLUMN; or have what lies in objects" in caught.value.remedy
    proposal = look(settings, {"text": "uid"}, "text", "created")
    assert proposal.roles.key.reason == (
        "uid has a different value in every record, but is the text: a row is named by its content"
    )
    assert look(settings, {}, "uid").roles.key.reason.startswith("no column has a different value")


def test_texts_without_blanks_are_texts(settings: Settings) -> None:
    rows = [{"text": f"包裹还没有到第{n}天", "team": "ab"[n % 2]} for n in range(60)]
    write_jsonl(settings.root / "2026-11-02.jsonl", rows)
    column = proposed("parcels", "2026-11-02.jsonl", settings, {}).roles.text.column
    assert column
    assert column.name == "text"


_FLAT = "have what lies in objects written as fields of their own, a list as text: a;b"


@pytest.mark.parametrize(
    ("name", "found", "remedy"),
    [
        ("wäre gelöst", '"wäre gelöst"', 'did you mean "Wäre Gelöst"?'),
        ("WARE GELOST", '"WARE GELOST"', 'did you mean "Wäre Gelöst"?'),
        ("zzz", '"zzz"', ""),
        ("attributes", "attributes (body, mood), which holds objects or lists", _FLAT),
    ],
)
def test_a_name_that_is_none_names_the_nearest(
    settings: Settings, name: str, found: str, remedy: str
) -> None:
    with pytest.raises(DataError, match="no such column") as caught:
        look(settings, {"answer": name})
    assert (caught.value.where, caught.value.found, caught.value.remedy) == ("--answer", found, remedy)


@pytest.mark.parametrize("written", [json.dumps, str], ids=["json", "python"])
def test_lists_in_a_cell_are_no_answers(settings: Settings, written: Callable[[list[str]], str]) -> None:
    """Their brackets and quotes would be part of the names."""
    cells = [["card", "deny"], ["card"], []] * 20
    rows = [{"text": f"the {n}th message", "intents": written(cell)} for n, cell in enumerate(cells)]
    write_jsonl(settings.root / "2026-11-02.jsonl", rows)
    with pytest.raises(DataError, match=r"(no column can|cannot) be the answer"):
        proposed("chats", "2026-11-02.jsonl", settings, {}, "multi_label")


@pytest.mark.parametrize("said", [{}, {"answer": "team"}], ids=["found", "named"])
def test_cells_of_answers_that_stand_alone_in_others_are_several_answers(
    settings: Settings, said: dict[Part, str]
) -> None:
    cells = ["card", "login", "card;login", "bank", "bank;card", "login"] * 12
    rows = [{"text": f"the {n}th message", "team": cell} for n, cell in enumerate(cells)]
    write_jsonl(settings.root / "2026-11-02.jsonl", rows)
    found = proposed("chats", "2026-11-02.jsonl", settings, said)
    assert found.roles.task == "multi_label"
    assert found.why.startswith('24 records have several answers in one cell, as "card;login"')
    assert f"  kind: multi_label # {found.why}" in found.text()
    assert set(found.answers) == {"card", "login", "bank"}
    one = proposed("chats", "2026-11-02.jsonl", settings, said, "classification")
    assert (one.roles.task, one.why) == ("classification", "")
    assert "bank;card" in one.answers


def test_names_with_a_separator_in_them_are_answers_as_they_are(settings: Settings) -> None:
    cells = ["arts, crafts", "bikes, cars", "other"] * 24
    rows = [{"text": f"the {n}th message", "team": cell} for n, cell in enumerate(cells)]
    write_jsonl(settings.root / "2026-11-02.jsonl", rows)
    assert proposed("chats", "2026-11-02.jsonl", settings, {}).roles.task == "classification"
