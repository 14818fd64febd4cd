"""Public data sets in the shape of their example; the real ones where LAKELOOP_TEST_DATA has them."""

from __future__ import annotations

import gzip
import json
import os
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from lakeloop.errors import ConfigurationError, DataError
from lakeloop.examples.registry import EXAMPLES, answers_in, rows_of, write_drops

_DATA = Path(os.environ.get("LAKELOOP_TEST_DATA", Path(__file__).resolve().parents[4] / "shared/data"))


@pytest.mark.parametrize(
    ("example", "folder", "rows", "answers"),
    [
        ("intent", "banking77", 13_083, 77),
        ("sentiment", "sentence_polarity", 10_662, 2),
        ("spam", "spamassassin_dated", 6_046, 2),
        ("entities", "wnut17", 4_403, 6),
        ("credit", "german_credit", 1_000, 2),
        ("dialogue", "gsm8k", 8_792, 0),
    ],
)
def test_the_real_data_set_has_all_its_rows_in_the_columns_of_the_example(
    example: str, folder: str, rows: int, answers: int
) -> None:
    if not (_DATA / folder).is_dir():
        pytest.skip(f"no {folder} below LAKELOOP_TEST_DATA")
    found = rows_of(example, _DATA / folder)
    assert len(found) == rows
    assert len(answers_in(EXAMPLES[example], found)) == answers
    assert {tuple(row) for row in found} == {tuple(found[0])}


def test_a_folder_without_the_files_is_named_with_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "other.csv").touch()
    for name, example in EXAMPLES.items():
        if example.read:
            with pytest.raises(DataError, match="not there as it is published") as refused:
                rows_of(name, tmp_path)
            assert "other.csv" in str(refused.value)


def test_a_mail_has_the_day_of_its_receipt_or_of_its_header_if_that_can_be(tmp_path: Path) -> None:
    mails = [
        ("2002-08-22T12:36:23", "2002-08-22T18:26:25+07:00"),
        ("2002-08-25T09:00:00", None),
        (None, "2002-08-23T01:00:00+02:00"),
        (None, "2002-08-24T01:00:00"),
        (None, "0102-08-23T01:00:00+02:00"),
        (None, None),
    ]
    with gzip.open(tmp_path / "spamassassin.jsonl.gz", "wt", encoding="utf-8") as file:
        for received, said in mails:
            mail = {"mbox_received": received, "header_date": said, "subject": None, "label": "ham"}
            file.write(json.dumps({**mail, "text": "From: me\n\nHello\n\nYours"}) + "\n")
    found = rows_of("spam", tmp_path)
    assert [row["at"] for row in found] == [
        "2002-08-22T12:36:23Z",
        "2002-08-25T09:00:00Z",
        "2002-08-22T23:00:00Z",
        "2002-08-24T01:00:00Z",
        None,
        None,
    ]
    assert {row["text"] for row in found} == {"Hello\n\nYours"}


def test_a_file_that_is_another_one_is_a_wrong_data_set(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("question,team\nWhere is my card?,cards\n")
    (tmp_path / "german.csv").write_text("A11,6\n")
    (tmp_path / "spamassassin.jsonl.gz").write_bytes(b"no gzip")
    for name in ("intent", "credit", "spam"):
        with pytest.raises(DataError, match="not as it is published") as refused:
            rows_of(name, tmp_path)
        assert EXAMPLES[name].wanted in str(refused.value)


def test_an_example_without_a_public_data_set_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="reads no public data set"):
        rows_of("recommendation", tmp_path)


def test_sentences_with_their_judgement_behind_an_at_sign_are_read(tmp_path: Path) -> None:
    (tmp_path / "Sentences_AllAgree.txt").write_bytes(
        "Sales rose , mail ir@mill.example .@positive\nThe caf\xe9 is open .@neutral\n".encode("latin-1")
    )
    assert [(row["text"], row["sentiment"]) for row in rows_of("sentiment", tmp_path)] == [
        ("Sales rose , mail ir@mill.example .", "positive"),
        ("The caf\xe9 is open .", "neutral"),
    ]


def test_two_files_of_polarity_are_read_from_their_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "sentence_polarity.zip", "w") as packed:
        packed.writestr("sentence_polarity/rt-polarity.neg", "dull and long .\n")
        packed.writestr("sentence_polarity/rt-polarity.pos", "a joy .\nfine work .\n")
        packed.writestr("sentence_polarity/README", "about the data\n")
    found = Counter(row["sentiment"] for row in rows_of("sentiment", tmp_path))
    assert found == {"negative": 1, "positive": 2}


def test_the_days_of_a_data_set_are_files_of_the_format_of_the_example(tmp_path: Path) -> None:
    rows = [{"text": f"Text {n}", "sentiment": "positive"} for n in range(6)]
    paths = write_drops("sentiment", tmp_path / "drops", list(rows))
    assert [path.name for path in paths] == [f"2026-11-{day}.csv" for day in (16, 17, 18)]
    assert all(path.read_text().splitlines()[0] == "id,at,text,sentiment" for path in paths)
