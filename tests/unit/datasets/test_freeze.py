"""A data set on disk: named by its rows, the same for the same rows, refused when it cannot be used."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from lakeloop.datasets.assemble import Assembled, assemble
from lakeloop.datasets.freeze import CARD, describe, read_card, read_split, write_dataset
from lakeloop.durable import digest_folder
from lakeloop.errors import DataError
from lakeloop.spec.split import Split
from lakeloop.spec.tasks import Classification
from tests.support.small_loop import LABELS, MART, mart_rows

TASK = Classification(text="text", label="label", labels=LABELS)


def assembled(count: int = 60, labels: tuple[str, ...] = LABELS) -> Assembled:
    return assemble(
        pa.Table.from_pylist(mart_rows("2026-11-16", count, labels=labels), MART), Split(), TASK.roles()
    )


def test_the_card_says_what_is_in_the_folder(tmp_path: Path) -> None:
    rows = assembled()
    card = describe(rows, TASK, {"2026-11-16": "a" * 64})
    write_dataset(rows, card, tmp_path / "data")
    assert read_card(tmp_path / "data") == card
    assert {name: read_split(tmp_path / "data", name).num_rows for name in card.rows} == card.rows
    assert sum(card.rows.values()) == 60
    assert all(sum(profile.shares.values()) == pytest.approx(1) for profile in card.profiles.values())
    assert card.folder_name == f"datasets/{card.digest[:16]}"


def test_the_digest_depends_on_rows_and_labels_only() -> None:
    card = describe(assembled(), TASK, {"2026-11-16": "a"})
    assert describe(assembled(), TASK, {"2026-11-16": "b"}).digest == card.digest
    assert describe(assembled(61), TASK, {"2026-11-16": "a"}).digest != card.digest
    assert (
        describe(
            assembled(), TASK.model_copy(update={"given_labels": (*LABELS, "new")}), {"2026-11-16": "a"}
        ).digest
        != card.digest
    )


def test_the_same_rows_give_the_same_files(tmp_path: Path) -> None:
    for name in ("one", "two"):
        rows = assembled()
        write_dataset(rows, describe(rows, TASK, {}), tmp_path / name)
    assert digest_folder(tmp_path / "one") == digest_folder(tmp_path / "two")


def test_a_card_says_nothing_that_differs_between_equal_data_sets(tmp_path: Path) -> None:
    rows = assembled()
    card = describe(rows, TASK, {"2026-11-16": "a" * 64})
    write_dataset(rows, card, tmp_path / "data")
    frozen = json.loads((tmp_path / "data" / CARD).read_text())
    assert "mart_version" not in frozen
    (tmp_path / "data" / CARD).write_text(json.dumps({**frozen, "mart_version": 7}))
    assert read_card(tmp_path / "data") == card, "a card of before is read as well"


def test_a_card_of_format_1_says_the_same_in_todays_words(tmp_path: Path) -> None:
    card = describe(assembled(), TASK, {"2026-11-16": "a" * 64})
    shares = {name: profile.shares for name, profile in card.profiles.items()}
    new = card.model_dump(mode="json", exclude={"format", "task", "target", "profiles"})
    (tmp_path / CARD).write_text(json.dumps({**new, "labels": LABELS, "label_shares": shares}))
    assert read_card(tmp_path) == card.model_copy(update={"format": 1})


def test_an_empty_split_is_refused() -> None:
    with pytest.raises(DataError, match=r"has no rows(.|\n)*publish more partitions"):
        describe(assembled(2), TASK, {})


def test_one_label_only_is_refused() -> None:
    with pytest.raises(DataError, match="the training rows have one label"):
        describe(assembled(60, ("tech",)), TASK, {})


def test_a_folder_without_a_card_or_with_a_broken_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a data set"):
        read_card(tmp_path)
    (tmp_path / CARD).write_text('{"digest": 3')
    with pytest.raises(DataError, match="not a data set"):
        read_card(tmp_path)
    (tmp_path / CARD).write_text('{"format": 3}')
    with pytest.raises(DataError, match=r"written by a newer version[\s\S]*upgrade"):
        read_card(tmp_path)
