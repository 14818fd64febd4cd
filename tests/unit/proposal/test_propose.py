"""What is proposed for files as people have them, and that the proposal is a loop file that reads them."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from lakeloop.errors import ConfigurationError, DataError
from lakeloop.proposal.given import Pointer
from lakeloop.proposal.loop_file import Proposal
from lakeloop.proposal.preview import preview
from lakeloop.proposal.propose import look_at, propose
from lakeloop.proposal.roles import Part
from lakeloop.settings import Settings
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.reading.load import read_loop

TEXTS = [
    "the parcel\nis late again",
    "where is my money, please",
    "thank you all for the quick help",
    "no answer yet",
]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root=tmp_path, home=tmp_path / ".lakeloop", loops=tmp_path / "loops")


def proposed(
    name: str, given: str, settings: Settings, said: dict[Part, str], task: str | None = None
) -> Proposal:
    return propose(name, look_at(Pointer(name, given, settings)), said, task)


def tickets(rows: int = 40) -> list[dict[str, Any]]:
    return [
        {
            "Ticket ID": f"T-{n}",
            "Customer text": f"{TEXTS[n % 4]} {n}",
            "Opened": f"{n % 12 + 1}/{n % 28 + 1}/2026 1:0{n % 10} PM",
            "Team": ["billing", "delivery"][n % 2],
            "Region": "",
        }
        for n in range(rows)
    ]


def write_csv(path: Path, rows: list[dict[str, Any]], **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding=options.pop("encoding", "utf-8")) as file:
        writer = csv.DictWriter(file, list(rows[0]), **options)
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def loop_of(proposal: Proposal, settings: Settings) -> LoopSpec:
    return read_loop(proposal.text(), settings.loop_file(proposal.name), settings)


def test_an_export_becomes_a_loop_that_reads_it(settings: Settings) -> None:
    write_csv(settings.root / "data/export.csv", tickets())
    proposal = proposed("tickets", "data/export.csv", settings, {})
    loop = loop_of(proposal, settings)
    assert (loop.source.key, loop.task.text, loop.source.event_time) == (
        "Ticket ID",
        "Customer text",
        "Opened",
    )
    assert {column.name: column.moments.format is not None for column in loop.source.fields}["Opened"]
    assert proposal.answers == {"billing": 20, "delivery": 20}
    assert proposal.left_out == ("Region",)
    look = preview(loop, settings)
    assert (look.read, look.accepted, look.rejects) == (40, 40, ())
    assert look.days[0] == "2026-01-01"
    assert look.fit is not None
    assert look.fit.unknown == 0


def test_a_record_that_is_there_twice_is_no_reason_against_a_key(settings: Settings) -> None:
    rows = tickets()
    write_csv(settings.root / "export.csv", [*rows, rows[3]])
    assert loop_of(proposed("t", "export.csv", settings, {}), settings).source.key == "Ticket ID"


def test_files_that_are_named_after_their_day_are_one_path(settings: Settings) -> None:
    for day in ("2026-11-01", "2026-11-02"):
        write_jsonl(
            settings.root / f"drops/{day}.jsonl",
            [{"text": text, "label": n % 2} for n, text in enumerate(TEXTS)],
        )
    proposal = proposed("drops", "drops", settings, {})
    loop = loop_of(proposal, settings)
    assert (proposal.given.shown, proposal.partition_by) == ("drops/{partition}.jsonl", None)
    assert loop.source.key_from == "content"
    assert proposal.answers == {"0": 4, "1": 4}
    assert preview(loop, settings).days == ("2026-11-01", "2026-11-02")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"delimiter": ";"}, {"delimiter": ";"}),
        ({"delimiter": "\t"}, {"delimiter": "\t"}),
        ({"encoding": "utf-16"}, {"encoding": "utf-16"}),
    ],
)
def test_how_a_file_is_written_is_found(
    settings: Settings, options: dict[str, str], said: dict[str, str]
) -> None:
    write_csv(settings.root / "export.csv", tickets(), **options)
    proposal = proposed("tickets", "export.csv", settings, {})
    assert {key: getattr(proposal.sample, key) for key in said} == said
    assert proposal.sample.fields[0] == "Ticket ID"


def test_packed_json_with_seconds_and_nested_fields(settings: Settings) -> None:
    rows = [
        {
            "uuid": f"{n:032x}",
            "ts": 1_780_000_000 + n * 9_000,
            "body": f"{TEXTS[n % 4]} {n}",
            "stars": n % 5 + 0.5,
            "meta": {"a": 1},
        }
        for n in range(30)
    ]
    path = settings.root / "data/rows.jsonl.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    proposal = proposed("stars", "data/rows.jsonl.gz", settings, {})
    loop = loop_of(proposal, settings)
    assert loop.task.kind == "regression"
    assert (loop.source.key, loop.source.event_time, loop.task.text) == ("uuid", "ts", "body")
    assert proposal.left_out == ("meta",)
    assert preview(loop, settings).accepted == 30


def test_where_answers_are_left_out_a_small_day_may_lose_more_of_its_records(settings: Settings) -> None:
    rows = [
        {
            "id": f"T{n}",
            "text": f"{TEXTS[n % 4]} {n}",
            "team": "rare" if n in (7, 30, 41, 50) else "ab"[n % 2],
        }
        for n in range(60)
    ]
    path = write_jsonl(settings.root / "data/2026-11-20.jsonl", rows)
    checks = loop_of(proposed("rare", str(path), settings, {}), settings).checks
    assert checks.max_quarantined_share == 0.5
    whole = [{**row, "team": "a"} if row["team"] == "rare" else row for row in rows]
    path = write_jsonl(settings.root / "whole/2026-11-20.jsonl", whole)
    checks = loop_of(proposed("whole", str(path), settings, {}), settings).checks
    assert checks.max_quarantined_share == 0.2


def test_digits_that_json_writes_as_a_string_are_no_number(settings: Settings) -> None:
    rows = [
        {
            "id": str(13859509 + n), "text": f"{TEXTS[n % 4]} {n}", "team": ["a", "b"][n % 2], "open": "true",
            "price": f"{n}.5", "at": str(1_760_000_000 + n), "on": f"2026-11-{n % 28 + 1:02}",
        }
        for n in range(60)
    ]  # fmt: skip
    path = write_jsonl(settings.root / "data/2026-11-20.jsonl", rows)
    proposal = proposed("digits", str(path), settings, {})
    loop = loop_of(proposal, settings)
    types = {column.name: column.type for column in loop.source.fields}
    assert {types[name] for name in ("id", "text", "team", "open", "price")} == {"string"}
    assert types["on"] == "date"
    look = preview(loop, settings)
    assert (look.read, look.accepted, look.rejects) == (60, 60, ())


def test_what_a_person_says_is_taken(settings: Settings) -> None:
    write_csv(settings.root / "export.csv", tickets())
    loop = loop_of(proposed("t", "export.csv", settings, {"answer": "Ticket ID", "text": "Team"}), settings)
    assert loop.task.text == "Team"
    with pytest.raises(DataError, match="no such column"):
        proposed("t", "export.csv", settings, {"text": "Teams"})


def test_the_task_is_the_one_whose_answers_there_are_or_the_one_that_a_person_chose(
    settings: Settings,
) -> None:
    rows = [{**row, "Stars": str(n % 5)} for n, row in enumerate(tickets())]
    write_csv(settings.root / "export.csv", rows)
    assert proposed("t", "export.csv", settings, {}).roles.task == "classification"
    assert proposed("t", "export.csv", settings, {"answer": "Stars"}).roles.task == "classification"
    loop = loop_of(proposed("t", "export.csv", settings, {}, "regression"), settings)
    assert (loop.task.kind, loop.task.roles()["target"].column) == ("regression", "Stars")
    assert (loop.metric.name, loop.least_score) == ("r2", 0.1), "a first model has a bar, too"
    rows = [{**row, "Priority": str(n % 5)} for n, row in enumerate(tickets())]
    write_csv(settings.root / "other.csv", rows)
    assert proposed("t", "other.csv", settings, {}).roles.answer.column.name == "Team"
    loop = loop_of(proposed("t", "other.csv", settings, {}, "regression"), settings)
    assert loop.task.roles()["target"].column == "Priority"
    with pytest.raises(DataError, match='"Team" cannot be the answer') as caught:
        proposed("t", "export.csv", settings, {"answer": "Team"}, "regression")
    assert caught.value.expected == "answers of regression"
    with pytest.raises(ConfigurationError, match="no such task"):
        proposed("t", "export.csv", settings, {}, "translation")


def test_a_day_is_asked_for_where_nothing_says_it(settings: Settings) -> None:
    write_jsonl(
        settings.root / "rows.jsonl", [{"text": f"{t} {n}", "label": n % 2} for n, t in enumerate(TEXTS * 3)]
    )
    with pytest.raises(DataError, match="nothing says the day") as caught:
        proposed("rows", "rows.jsonl", settings, {})
    assert "2026-11-20.csv" in caught.value.remedy


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file"),
        (b'[{"text": "a"}]', "a JSON array"),
        (b"PAR1 not really", "cannot be read as Parquet"),
        (b"\x00\x01\x02\xff" * 100, "not a text"),
        (b"just one line", "no records"),
    ],
)
def test_what_is_no_data_is_named(settings: Settings, content: bytes, message: str) -> None:
    (settings.root / "file").write_bytes(content)
    with pytest.raises(DataError, match=message):
        proposed("x", "file", settings, {})


def test_files_out_of_reach_are_refused_with_the_remedy(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = write_csv(tmp_path_factory.mktemp("outside") / "export.csv", tickets())
    with pytest.raises(ConfigurationError, match="out of the allowed folders") as caught:
        proposed("t", str(outside), settings, {})
    assert "LAKELOOP_DATA_ROOTS" in caught.value.remedy
    with pytest.raises(ConfigurationError, match="no file there"):
        proposed("t", "nowhere.csv", settings, {})


def test_hundreds_of_intents_are_answers_and_hundreds_of_cities_are_not(settings: Settings) -> None:
    rows = [
        {
            "query": f"{TEXTS[n % 4]} {n}",
            "intent": f"intent_{n % 250}",
            "city": f"city {n * 7 % 501}",
            "at": "2026-11-20",
        }
        for n in range(2600)
    ]
    write_csv(settings.root / "export.csv", rows)
    proposal = proposed("intents", "export.csv", settings, {})
    assert proposal.roles.answer.column
    assert (proposal.roles.answer.column.name, proposal.roles.answer.others) == ("intent", ())
    assert proposal.text().count(" records\n") >= 250


def test_a_path_may_be_given_as_the_loop_file_has_it(settings: Settings) -> None:
    for day in ("2026-11-16", "2026-11-17"):
        write_csv(settings.root / f"drops/{day}.csv", tickets())
    proposal = proposed("tickets", "drops/{partition}.csv", settings, {})
    assert proposal.given.keys["path"] == "drops/{partition}.csv"


def test_a_loop_file_says_what_it_was_made_from(settings: Settings) -> None:
    rows = [*tickets(60), {**tickets(1)[0], "Ticket ID": "T-rare", "Team": 'legal: "x"'}]
    write_csv(settings.root / "export.csv", rows)
    text = proposed("tickets", "export.csv", settings, {}).text()
    assert 'text: "Customer text"' in text
    assert "    - billing # 30 records" in text
    assert '    # - "legal: \\"x\\"" # 1 record(s) are too few to learn from' in text
    assert "# 100% filled, 61 different" in text
