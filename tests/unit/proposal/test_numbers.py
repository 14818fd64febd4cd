"""What is proposed for numbers, as JSON and Parquet have them: a type that reads each of them as it is."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakeloop.proposal.loop_file import Proposal
from lakeloop.proposal.preview import preview
from lakeloop.settings import Settings
from tests.unit.proposal.test_propose import loop_of, proposed, write_csv, write_jsonl

MANY = 60


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root=tmp_path, home=tmp_path / ".lakeloop", loops=tmp_path / "loops")


def rows_with(name: str, values: list[Any]) -> list[dict[str, Any]]:
    return [
        {"text": f"where is it {n}", "team": "ab"[n % 2], name: values[n % len(values)]} for n in range(MANY)
    ]


def kind_of(name: str, proposal: Proposal) -> str:
    return next((column.type for column in proposal.columns if column.name == name), "left out")


def test_decimals_of_parquet_are_numbers_that_are_read(settings: Settings) -> None:
    rows = rows_with("price", [Decimal("12.50"), Decimal("3.00"), None])
    rows = [{**row, "nr": Decimal(n)} for n, row in enumerate(rows)]
    schema = pa.schema(
        [
            ("text", pa.string()), ("team", pa.string()),
            ("price", pa.decimal128(12, 2)), ("nr", pa.decimal128(18, 0)),
        ]
    )  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows, schema), settings.root / "2026-11-02.parquet")
    proposal = proposed("prices", "2026-11-02.parquet", settings, {})
    assert (kind_of("price", proposal), kind_of("nr", proposal)) == ("number", "integer")
    look = preview(loop_of(proposal, settings), settings)
    assert (look.accepted, look.rejects) == (MANY, ())


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([79, 80.0, 81], "integer"),
        ([79, 80.5, 81], "number"),
        ([79.0, 80.0], "number"),
        ([2**60 + 1, 80.0, 2**62 + 1], "integer"),
        ([2**60 + n for n in range(59)] + [0.5], "integer"),
        ([2**60 + 1, 0.5], "left out"),
        ([2**63 + 1, 2**64], "left out"),
    ],
)
def test_whole_numbers_are_integers_and_never_rounded(
    settings: Settings, values: list[float], kind: str
) -> None:
    write_jsonl(settings.root / "2026-11-02.jsonl", rows_with("stars", values))
    proposal = proposed("numbers", "2026-11-02.jsonl", settings, {"answer": "team"})
    assert kind_of("stars", proposal) == kind
    assert ("beyond 64 bits: stars" in proposal.text()) == (kind == "left out")
    broken = 1 if len(values) == MANY else 0
    assert preview(loop_of(proposal, settings), settings).accepted == MANY - broken
    assert ("are no integer and will be quarantined" in proposal.text()) == bool(broken)


@pytest.mark.parametrize("write", [write_jsonl, write_csv])
@pytest.mark.parametrize(
    ("unit", "values"),
    [
        ("epoch_s", [1_760_000_000.25, 1_760_086_400.5]),
        ("epoch_s", [1_760_000_000, 1_760_086_400.5]),
        ("epoch_ms", [1_760_000_000_000.5, 1_760_086_400_000.25]),
    ],
)
def test_seconds_with_a_fraction_say_the_day(
    settings: Settings, write: Any, unit: str, values: list[float]
) -> None:
    write(settings.root / "export", rows_with("created", values))
    proposal = proposed("numbers", "export", settings, {})
    column = proposal.roles.time.column
    assert column
    assert (column.name, column.section.format) == ("created", unit)
    look = preview(loop_of(proposal, settings), settings)
    assert (look.days, look.accepted) == (("2025-10-09", "2025-10-10"), MANY)


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["79", "80.0", "81"], "integer"),
        (["79", "80.5", "81"], "number"),
        ([str(2**62 + n) for n in range(MANY)], "integer"),
        ([str(2**64 + n) for n in range(MANY)], "string"),
        ([str(2**60 + 1), "0.5"], "string"),
        ([str(n) for n in range(MANY - 1)] + ["n/a"], "integer"),
        ([f"{n}.5" for n in range(MANY - 1)] + ["n/a"], "number"),
        (["10115", "04109"], "string"),
        (["20261101", "20261102"], "integer"),
    ],
)
def test_numbers_of_texts_are_kept_as_they_are(settings: Settings, texts: list[str], kind: str) -> None:
    write_csv(settings.root / "2026-11-02.csv", rows_with("nr", texts))
    proposal = proposed("numbers", "2026-11-02.csv", settings, {"answer": "team"})
    assert kind_of("nr", proposal) == kind
    refused = 1 if "n/a" in texts else 0
    assert preview(loop_of(proposal, settings), settings).accepted == MANY - refused
