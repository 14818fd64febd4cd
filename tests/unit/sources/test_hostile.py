"""No file, however damaged or made to do harm, crashes the reading: it is read whole, or refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support import hostile_files
from tests.support.hostile_files import outcome, outcomes, page, source_of

DATA = Path(os.environ.get("LAKELOOP_TEST_DATA", Path(__file__).resolve().parents[4] / "shared/data"))


def test_every_malformed_file_is_read_or_refused_as_the_page_says(tmp_path: Path) -> None:
    found = outcomes(tmp_path)
    assert sum(sum(of_kind.values()) for of_kind in found.values()) >= 300
    assert hostile_files.PAGE.read_text() == page(found), "run python -m tests.support.hostile_files"


def test_the_malformed_files_are_the_same_each_time() -> None:
    first, second = ([f.content for f in hostile_files.hostile_files() if f.change] for _ in range(2))
    assert first == second
    assert len(set(first)) > 250


def messy(folder: str, pattern: str) -> list[Path]:
    if not (DATA / folder).is_dir():
        pytest.skip(f"no {folder} below LAKELOOP_TEST_DATA")
    return sorted((DATA / folder).glob(pattern))


def test_the_json_of_a_known_suite_of_messy_files_is_read_or_refused(tmp_path: Path) -> None:
    paths = messy("messy_json_testsuite", "test_*/*.json")
    assert len(paths) > 300
    source = source_of("jsonl")
    for path in paths:
        (tmp_path / "drop").write_bytes(path.read_bytes())
        said, counts = outcome(tmp_path / "drop", source)
        assert said.startswith(("read", "refused")), path
        # The suite has no record with our key in it.
        assert counts is None or counts.accepted == 0, path


def test_the_csv_of_a_known_suite_of_messy_files_is_read_or_refused(tmp_path: Path) -> None:
    paths = messy("messy_csv_spectrum", "csvs/*.csv")
    assert len(paths) > 10
    for path in paths:
        (tmp_path / "drop").write_bytes(path.read_bytes())
        first = path.read_text().split("\n", 1)[0].strip().split(",")[0].strip('"')
        source = source_of("csv", {"id": "string", "text": "string", "label": "string"})
        column = source.columns["id"].model_copy(update={"from_": first})
        source = source.model_copy(update={"columns": {**source.columns, "id": column}})
        said, counts = outcome(tmp_path / "drop", source)
        assert counts is not None, (path, said)
        assert counts.read > 0, path
