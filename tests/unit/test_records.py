"""Counts add up, fingerprints depend on content alone, records come back as they were written."""

from __future__ import annotations

import json
import subprocess
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from lakeloop.artifact import ArtifactDescription
from lakeloop.datasets.freeze import DatasetCard
from lakeloop.errors import CountsError, NewerFormatError
from lakeloop.evidence import Evidence
from lakeloop.records import (
    RECORD_FORMAT,
    Counts,
    Formatted,
    Provenance,
    StageRecord,
    fingerprint,
    git_sha,
    now,
)
from lakeloop.registry.history import ModelCard

numbers = st.integers(0, 10**9)


def record(root: Path) -> StageRecord:
    provenance = Provenance.collect(run_id="run-1", try_number=2, started_at=now(), root=root)
    return StageRecord(
        loop="news",
        stage="ingest",
        partition="2026-11-20",
        status="done",
        reason="5 rows",
        fingerprint="f" * 64,
        inputs={"drop": "sha256:1"},
        counts=Counts(read=5, accepted=4, quarantined=1),
        config={"days": 5, "columns": {"id": "string"}},
        provenance=provenance,
    )


@given(accepted=numbers, quarantined=numbers, duplicates=numbers)
def test_counts_that_add_up_are_given_back(accepted: int, quarantined: int, duplicates: int) -> None:
    counts = Counts(
        read=accepted + quarantined + duplicates,
        accepted=accepted,
        quarantined=quarantined,
        duplicates=duplicates,
    )
    assert counts.reconcile("news") is counts


@given(accepted=numbers, quarantined=numbers, duplicates=numbers, error=st.integers(1, 100))
def test_one_row_lost_is_enough_to_raise(
    accepted: int, quarantined: int, duplicates: int, error: int
) -> None:
    total = accepted + quarantined + duplicates
    counts = Counts(read=total + error, accepted=accepted, quarantined=quarantined, duplicates=duplicates)
    with pytest.raises(CountsError, match=rf"^news: {error} row\(s\) lost\n"):
        counts.reconcile("news")


def test_a_row_counted_twice_is_named_with_the_sum() -> None:
    with pytest.raises(CountsError) as caught:
        Counts(read=10, accepted=9, quarantined=1, duplicates=1).reconcile("news ingest 2026-11-20")
    assert str(caught.value).startswith(
        "news ingest 2026-11-20: 1 row(s) doubled\n"
        "  expected: 10 rows read = accepted + quarantined + duplicates\n"
        "  found: 9 + 1 + 1 = 11\n"
        "  to do: nothing was published"
    )


def test_a_count_below_zero_cannot_hide_a_lost_row() -> None:
    with pytest.raises(ValidationError):
        Counts(read=10, accepted=11, duplicates=-1)


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=6))
def test_a_fingerprint_does_not_depend_on_the_order_of_keys(parts: dict[str, object]) -> None:
    turned = dict(reversed(parts.items()))
    assert fingerprint(config=parts) == fingerprint(config=turned)
    assert len(fingerprint(config=parts)) == 64


def test_a_fingerprint_changes_with_any_part() -> None:
    base = fingerprint(config={"a": 1}, inputs={"b": "2"})
    assert base != fingerprint(config={"a": 2}, inputs={"b": "2"})
    assert base != fingerprint(config={"a": 1}, inputs={"b": "3"})
    assert base != fingerprint(config={"a": 1}, inputs={})


def test_a_fingerprint_of_a_model_is_that_of_its_content() -> None:
    class Section(BaseModel):
        start: date

    day = date(2026, 11, 20)
    assert fingerprint(config=Section(start=day)) == fingerprint(config={"start": "2026-11-20"})


def test_a_record_is_read_back_as_it_was_written(root: Path, tmp_path: Path) -> None:
    written = record(root)
    written.write(tmp_path / "deep/record.json")
    assert StageRecord.model_validate_json((tmp_path / "deep/record.json").read_bytes()) == written


def test_a_record_refuses_keys_it_does_not_know(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text(record(root).model_dump_json().replace('"reason"', '"reazon"'))
    with pytest.raises(ValidationError, match="reazon"):
        StageRecord.model_validate_json(path.read_bytes())


@pytest.mark.parametrize("kind", [StageRecord, ArtifactDescription, ModelCard, DatasetCard, Evidence])
def test_what_a_newer_lakeloop_wrote_is_refused_and_not_read_as_todays(kind: type[Formatted]) -> None:
    newest = kind.newest_format
    assert kind.model_fields["format"].annotation is int
    later = json.dumps({"format": newest + 1, "a_key_of_tomorrow": 1})
    with pytest.raises(NewerFormatError) as caught:
        kind.model_validate_json(later, context={"where": "lake/file.json"})
    assert str(caught.value) == (
        "lake/file.json: written by a newer version of Lakeloop\n"
        f"  expected: format {newest} at most\n"
        f"  found: format {newest + 1}\n"
        "  to do: upgrade Lakeloop here to the version that wrote it"
    )


def test_a_record_of_a_newer_format_is_refused_even_when_it_has_todays_keys(root: Path) -> None:
    written = record(root).model_dump(mode="json")
    assert StageRecord.model_validate({**written, "format": RECORD_FORMAT}).format == RECORD_FORMAT
    with pytest.raises(NewerFormatError, match="StageRecord: written by a newer"):
        StageRecord.model_validate({**written, "format": RECORD_FORMAT + 1})


def test_a_record_cannot_be_changed(root: Path) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        record(root).status = "refused"  # type: ignore[misc]


def test_provenance_names_run_versions_and_time(root: Path) -> None:
    provenance = record(root).provenance
    assert (provenance.run_id, provenance.try_number) == ("run-1", 2)
    assert provenance.versions["pyarrow"]
    assert provenance.finished_at.utcoffset() == timedelta(0)
    assert 0 <= provenance.seconds < 60


def test_the_commit_is_marked_when_files_were_changed(tmp_path: Path) -> None:
    def git(*argv: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *argv], check=True, capture_output=True)

    (tmp_path / "file").write_text("1")
    git("init", "-q")
    git("add", "file")
    git("commit", "-qm", "first")
    git_sha.cache_clear()
    clean = git_sha(tmp_path)
    assert len(clean) == 40
    (tmp_path / "file").write_text("2")
    git_sha.cache_clear()
    assert git_sha(tmp_path) == f"{clean}+dirty"


def test_outside_of_a_checkout_the_commit_is_unknown(tmp_path: Path) -> None:
    assert git_sha(tmp_path / "nowhere") == "unknown"
