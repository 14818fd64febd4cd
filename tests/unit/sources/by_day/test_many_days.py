"""Files with many days in them: every record is in one day, once, and knows where it stands in its file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from lakeloop.errors import DataError, TransientError
from lakeloop.settings import Settings
from lakeloop.sources.base import Delivery
from lakeloop.sources.by_day import pieces as pieces_module
from lakeloop.sources.delivery import FileDelivery
from lakeloop.sources.files import ManyDays, files_source
from lakeloop.sources.rejects import Reason
from tests.support.small_loop import small_loop

COLUMNS = {"id": "string", "text": "string", "label": "string", "at": "timestamp", "n": "integer"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "drops").mkdir()
    return Settings(root=tmp_path)


def opened(settings: Settings, path: str = "drops/all.jsonl", zone: str = "UTC", **keys: Any) -> ManyDays:
    fields = {"path": path, "columns": COLUMNS, "partition_by": "at", **keys}
    source = {**small_loop().source.model_dump(), **fields}
    found = files_source(small_loop(source=source, schedule={"timezone": zone}), settings)
    assert isinstance(found, ManyDays)
    return found


def row(key: str, at: str | None, **fields: Any) -> str:
    return json.dumps({"id": key, "text": "words", "label": "tech", "at": at, **fields})


def put(settings: Settings, lines: Sequence[str], name: str = "all.jsonl") -> Path:
    path = settings.root / "drops" / name
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def read(delivery: Delivery | None) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """The rows (file, line, key) and the bad records (file, line, offset, reason, raw) of a day."""
    assert delivery is not None
    blocks = list(delivery.blocks())
    delivery.require_unchanged()
    rows = [(block.file, row["source_line"], row["id"]) for block in blocks for row in block.rows.to_pylist()]
    rejects = [
        (block.file, bad.line, bad.byte_offset, bad.reason, bad.raw)
        for block in blocks
        for bad in block.rejects
    ]
    return rows, rejects


def test_the_days_of_a_file_are_those_of_the_column_and_each_has_its_records(settings: Settings) -> None:
    put(
        settings,
        [row("a", "2026-11-16T23:59:59Z"), row("b", "2026-11-18"), row("c", "2026-11-16T00:00:00Z")],
    )
    source = opened(settings)
    assert source.partitions() == ["2026-11-16", "2026-11-18"]
    file = "drops/all.jsonl"
    assert read(source.find("2026-11-16")) == ([(file, 1, "a"), (file, 3, "c")], [])
    assert read(source.find("2026-11-18")) == ([(file, 2, "b")], [])
    assert source.find("2026-11-17") is None
    assert source.absence("2026-11-17") == (
        "no record of 2026-11-17 in drops/all.jsonl: 2 day(s) there, 2026-11-16 to 2026-11-18"
    )


@pytest.mark.parametrize(
    ("zone", "day"), [("UTC", "2026-11-16"), ("Asia/Tokyo", "2026-11-17"), ("America/New_York", "2026-11-16")]
)
def test_a_day_begins_at_midnight_in_the_zone_of_the_loop(settings: Settings, zone: str, day: str) -> None:
    put(settings, [row("a", "2026-11-16T20:00:00Z")])
    assert opened(settings, zone=zone).partitions() == [day]


def test_moments_before_1970_belong_to_their_day(settings: Settings) -> None:
    put(settings, [row("a", "1969-12-31T23:59:59.5Z"), row("b", "0001-01-01T00:00:00Z")])
    assert opened(settings).partitions() == ["0001-01-01", "1969-12-31"]
    assert opened(settings, zone="America/New_York").partitions() == ["0001-01-01", "1969-12-31"]


def test_a_record_without_a_day_goes_with_the_record_before_it(settings: Settings) -> None:
    lines = ["bad", row("a", "2026-11-17"), row("b", None), row("c", "2026-11-16"), "{", row("d", "soon")]
    put(settings, lines)
    source = opened(settings)
    file = "drops/all.jsonl"
    offsets = [sum(len(line) + 1 for line in lines[:number]) for number in range(len(lines))]
    assert read(source.find("2026-11-17")) == (
        [(file, 2, "a")],
        [(file, 1, 0, Reason.BROKEN_JSON, "bad"), (file, 3, offsets[2], Reason.NO_DAY, lines[2])],
    )
    assert read(source.find("2026-11-16")) == (
        [(file, 4, "c")],
        [
            (file, 5, offsets[4], Reason.BROKEN_JSON, "{"),
            (file, 6, offsets[5], Reason.WRONG_TYPE, lines[5]),
        ],
    )


def test_a_file_without_a_day_goes_with_the_file_before_it_or_the_first_day(settings: Settings) -> None:
    put(settings, ["bad 1"], "a.jsonl")
    put(settings, [row("b", "2026-11-17")], "b.jsonl")
    put(settings, ["bad 2"], "c.jsonl")
    source = opened(settings, "drops/*.jsonl")
    assert source.partitions() == ["2026-11-17"]
    rows, rejects = read(source.find("2026-11-17"))
    assert rows == [("drops/b.jsonl", 1, "b")]
    assert [bad[0] for bad in rejects] == ["drops/a.jsonl", "drops/c.jsonl"]


DAYS = st.sampled_from(
    ["2026-11-15T22:30:00Z", "2026-11-16T12:00:00+01:00", "2026-11-17", "2026-11-17T23:30:00Z"]
)
RECORDS = st.lists(
    st.one_of(
        st.builds(lambda at: row("k", at), DAYS),
        st.builds(lambda at: row("k", at, n="x"), DAYS),
        st.sampled_from(
            ["", "bad", "{}", row("k", None), row("k", "never"), row("", "2026-11-17"), "é" * 40]
        ),
    ),
    max_size=12,
)


@examples(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(RECORDS, min_size=1, max_size=3),
    st.sampled_from(["UTC", "Asia/Tokyo"]),
    st.sampled_from([1, 1 << 26]),
)
def test_over_all_days_nothing_is_lost_or_doubled(
    settings: Settings, files: list[list[str]], zone: str, held: int
) -> None:
    for path in (settings.root / "drops").iterdir():
        path.unlink()
    expected: Counter[tuple[str, int, str]] = Counter()
    for number, lines in enumerate(files):
        put(settings, lines, f"{number}.jsonl")
        expected.update((f"drops/{number}.jsonl", place, line) for place, line in enumerate(lines, 1))
    held_before, pieces_module._HELD_BYTES = pieces_module._HELD_BYTES, held
    try:
        source = opened(settings, "drops/*.jsonl", zone)
        days = source.partitions()
        if not days:
            readable = [json.loads(line) for _, _, line in expected if line.startswith('{"id": "k"')]
            assert not [
                record for record in readable if record["at"] not in (None, "never") and "n" not in record
            ]
            return
        found: Counter[tuple[str, int, str]] = Counter()
        for day in days:
            rows, rejects = read(source.find(day))
            found.update((file, line, files[int(file[6])][line - 1]) for file, line, _ in rows)
            found.update((file, line, raw) for file, line, _, _, raw in rejects)
            for file, line, offset, _, raw in rejects:
                content = (settings.root / file).read_bytes()
                assert content[offset:].startswith(raw.encode() + b"\n"), line
        assert found == expected
    finally:
        pieces_module._HELD_BYTES = held_before


def test_the_files_are_read_once_for_all_days(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    put(settings, [row(f"k{day}", f"2026-11-{day:02}") for day in range(1, 31)])
    reads = []
    blocks = FileDelivery.blocks
    monkeypatch.setattr(FileDelivery, "blocks", lambda self: reads.append(self.name) or blocks(self))
    days = opened(settings).partitions()
    for day in days:
        read(opened(settings).find(day))
    assert (len(days), reads) == (30, ["drops/all.jsonl"])


def test_a_file_that_grew_is_another_delivery_for_the_days_that_changed_only(settings: Settings) -> None:
    lines = [row(f"k{number}", f"2026-11-{16 + number // 50}") for number in range(150)]
    put(settings, lines)
    before = {day: opened(settings).find(day).identity for day in opened(settings).partitions()}  # type: ignore[union-attr]
    put(settings, [*lines, row("new", "2026-11-18"), row("newer", "2026-11-19")])
    after = {day: opened(settings).find(day).identity for day in opened(settings).partitions()}  # type: ignore[union-attr]
    assert [day for day in after if before.get(day) != after[day]] == ["2026-11-18", "2026-11-19"]


@pytest.mark.parametrize(
    "changed",
    [
        {"text": "other"},
        {"text": None},
        {"n": 5},
        {"at": "2026-11-16T10:00:01Z"},
        {"text": "word", "label": "stech"},
    ],
)
def test_another_value_is_another_delivery(settings: Settings, changed: dict[str, Any]) -> None:
    identities = set()
    for fields in ({}, changed):
        put(
            settings,
            [
                row(
                    "a",
                    fields.get("at", "2026-11-16T10:00:00Z"),
                    **{k: v for k, v in fields.items() if k != "at"},
                )
            ],
        )
        delivery = opened(settings).find("2026-11-16")
        assert delivery is not None
        identities.add(delivery.identity)
    assert len(identities) == 2


def test_the_identity_does_not_depend_on_how_the_records_were_held(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(settings, [row(f"k{n}", f"2026-11-{16 + n % 3}", n=n) + ("" if n % 5 else "}") for n in range(3000)])
    found = [opened(settings).find("2026-11-17")]
    assert found[0] is not None
    monkeypatch.setattr(pieces_module, "_HELD_BYTES", 1000)
    put(settings, [row(f"k{n}", f"2026-11-{16 + n % 3}", n=n) + ("" if n % 5 else "}") for n in range(3001)])
    again = opened(settings).find("2026-11-17")
    assert again is not None
    assert read(again) == read(found[0])
    assert again.identity == found[0].identity


def test_files_in_which_no_day_can_be_read_are_a_clear_error(settings: Settings) -> None:
    put(settings, ["bad", row("a", None)])
    source = opened(settings)
    with pytest.raises(DataError, match="no record has a day that can be read") as caught:
        source.find("2026-11-16")
    assert caught.value.found.startswith("drops/all.jsonl, line 1: broken_json")
    assert source.partitions() == []
    assert list((settings.home / "pieces/small").glob("*.unfinished*")) == []


def test_a_column_that_is_no_day_is_a_clear_error(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces_module, "_MOST_DAYS", 3)
    put(settings, [row(f"k{day}", f"2026-11-{day:02}") for day in range(1, 6)])
    with pytest.raises(DataError, match="too many days"):
        opened(settings).find("2026-11-01")


def test_without_files_there_are_no_days(settings: Settings) -> None:
    source = opened(settings)
    assert (source.partitions(), source.find("2026-11-16")) == ([], None)
    assert source.absence("2026-11-16").endswith("looked for " + str(settings.root / "drops/all.jsonl"))


def test_a_file_that_changes_while_it_is_split_leaves_nothing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(settings, [row("a", "2026-11-16")])
    blocks = FileDelivery.blocks

    def growing(self: FileDelivery) -> Any:
        with path.open("a") as file:
            file.write(row("b", "2026-11-16") + "\n")
        yield from blocks(self)

    with monkeypatch.context() as patch:
        patch.setattr(FileDelivery, "blocks", growing)
        with pytest.raises(TransientError, match="changed while it was read"):
            opened(settings).find("2026-11-16")
    assert [e.name for e in (settings.home / "pieces/small").iterdir() if e.is_dir()] == []
    assert len(read(opened(settings).find("2026-11-16"))[0]) == 2


def test_of_old_states_one_is_kept_and_a_damaged_one_is_made_anew(settings: Settings) -> None:
    folder = settings.home / "pieces/small"
    for number in range(4):
        put(settings, [row("a", "2026-11-16", n=number)])
        opened(settings).find("2026-11-16")
    kept = [entry for entry in folder.iterdir() if entry.is_dir()]
    assert len(kept) == 2
    (folder / ".unfinished-x").mkdir()
    delivery = opened(settings).find("2026-11-16")
    for entry in kept:
        (entry / "2026-11-16.rows").write_bytes(b"")
    assert delivery is not None
    list(delivery.blocks())
    with pytest.raises(TransientError, match="not those that were split"):
        delivery.require_unchanged()
    for entry in kept:
        (entry / "index.json").write_bytes(b"{")
    assert read(opened(settings).find("2026-11-16"))[0]
    assert not (folder / ".unfinished-x").exists()


def test_a_csv_with_a_header_has_many_days_too(settings: Settings) -> None:
    lines = ["at,id,text,label", "2026-11-16,a,words,tech", "2026-11-17,b,words,tech", ",c,words,tech"]
    put(settings, lines, "all.csv")
    source = opened(settings, "drops/all.csv", format="csv")
    assert read(source.find("2026-11-17")) == (
        [("drops/all.csv", 3, "b")],
        [("drops/all.csv", 4, sum(len(line) + 1 for line in lines[:3]), Reason.NO_DAY, lines[3])],
    )


def test_over_all_days_undeclared_fields_are_counted_once(settings: Settings) -> None:
    put(settings, [row(f"k{n}", f"2026-11-{16 + n % 3}", more=n) for n in range(9)])
    source = opened(settings)
    counts = [
        block.undeclared.get("more", 0)
        for day in source.partitions()
        for block in source.find(day).blocks()  # type: ignore[union-attr]
    ]
    assert sum(counts) == 9
