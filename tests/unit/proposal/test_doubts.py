"""What a proposal says of moments that can be read in two ways."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lakeloop.proposal import columns
from lakeloop.proposal.columns import propose_columns
from lakeloop.proposal.sample import Sample
from lakeloop.settings import Settings
from tests.unit.proposal.test_propose import proposed, tickets, write_csv

NO_ZONE = "no zone in it: taken as UTC; zone: says another"


def column_of(values: list[Any], name: str = "opened", **options: Any) -> Any:
    rows = tuple({name: value} for value in values)
    found = propose_columns(Sample("csv", rows, (name,), whole=True, **options))
    return found[0] if found else None


@pytest.mark.parametrize(
    ("texts", "form", "other"),
    [
        (["09/11/2026 10:00", "01/02/2026 11:30"], "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M"),
        (["09/11/2026"], "%m/%d/%Y", "%d/%m/%Y"),
        (["9/11/26 1:05 PM"], "%m/%d/%y %I:%M %p", "%d/%m/%y %I:%M %p"),
        (["09-11-2026 10:00:01"], "%d-%m-%Y %H:%M:%S", "%m-%d-%Y %H:%M:%S"),
        (["09/11/2026 10:00", "01/13/2026 11:30"], "%m/%d/%Y %H:%M", ""),
        (["09.11.2026 10:00"], "%d.%m.%Y %H:%M", ""),
        (["2026-09-11 10:00"], None, ""),
    ],
)
def test_the_other_format_is_named_where_no_day_is_above_twelve(
    texts: list[str], form: str | None, other: str
) -> None:
    column = column_of(texts)
    assert column.section.format == form
    said = f"no day above 12: month and day may be the other way round; or format: {other}?"
    assert (said in column.evidence) == bool(other)
    assert ("other way round" in column.evidence) == bool(other)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["2026-11-01 10:00:00"], True),
        (["2026-11-01T10:00:00Z", "2026-11-01T10:00:00"], True),
        (["2026-11-01T10:00:00+01:00"], False),
        (["09/13/2026 10:00"], True),
        (["2026-11-01"], False),
        (["1760000000"], False),
        ([datetime(2026, 11, 1, 10)], True),  # noqa: DTZ001 - as Parquet has it
        ([datetime(2026, 11, 1, 10, tzinfo=UTC)], False),
    ],
)
def test_moments_without_a_zone_are_said_to_be_taken_as_utc(values: list[Any], said: bool) -> None:
    assert (NO_ZONE in column_of(values).evidence) == said


def test_doubts_of_the_time_are_in_the_file_and_in_what_is_shown(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path, home=tmp_path / ".lakeloop", loops=tmp_path / "loops")
    rows = [{**row, "Opened": f"0{n % 9 + 1}/0{n % 7 + 1}/2026 10:00"} for n, row in enumerate(tickets())]
    write_csv(tmp_path / "export.csv", rows)
    for said in ({}, {"time": "Opened"}):
        proposal = proposed("tickets", "export.csv", settings, said)
        for text in (proposal.text(), proposal.roles.time.reason):
            assert "or format: %d/%m/%Y %H:%M?" in text
            assert NO_ZONE in text


def test_what_the_reader_of_moments_takes_is_proposed(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["2026-11-01 10:00:00 UTC", "2026-11-02 10:00:00 UTC"]
    read = columns.parse
    monkeypatch.setattr(columns, "parse", lambda text, *how: read(text.replace(" UTC", "Z"), *how))
    assert column_of(texts).type == "timestamp"


def test_days_that_follow_each_other_tell_which_number_is_the_month() -> None:
    column = column_of([f"{day:02}/09/2026" for day in range(1, 8) for _ in range(3)])
    assert column.section.format == "%d/%m/%Y"
    assert "2026-09-01 to 2026-09-07" in column.evidence
    assert "taken as day first, for day follows day then, and else month follows month" in column.evidence
    assert "or format: %m/%d/%Y?" in column.evidence


def test_records_in_the_order_of_time_tell_it() -> None:
    column = column_of(["01/10/2026", "11/10/2026", "02/11/2026", "10/11/2026", "01/12/2026"])
    assert column.section.format == "%d/%m/%Y"
    assert "the records follow each other in time then" in column.evidence


def test_names_of_files_tell_it(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path, home=tmp_path / ".lakeloop", loops=tmp_path / "loops")
    for day in (3, 4):
        rows = [{**row, "Opened": f"0{day}/09/2026 10:00"} for row in tickets()]
        write_csv(tmp_path / f"drops/2026-09-0{day}.csv", rows)
    proposal = proposed("tickets", "drops", settings, {"time": "Opened"})
    assert "%d/%m/%Y %H:%M" in proposal.text()
    assert "taken as day first, for the names of the files say these days" in proposal.roles.time.reason


def test_another_column_tells_it() -> None:
    rows = tuple({"opened": "09/11/2026", "closed": f"{day}/11/2026"} for day in (12, 20))
    opened, closed = propose_columns(Sample("csv", rows, ("opened", "closed"), whole=True))
    assert (opened.section.format, closed.section.format) == ("%d/%m/%Y", "%d/%m/%Y")
    assert "for another column has days above 12 there" in opened.evidence


def test_where_nothing_tells_it_is_said_how_it_is_taken() -> None:
    assert "or format: %d/%m/%Y? Nothing tells: taken as month first" in column_of(["09/11/2026"]).evidence
