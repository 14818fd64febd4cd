"""`lakeloop doctor`: what an installation rests on is tried, and a store that lets several win is refused."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakeloop.cli import doctor
from lakeloop.lake import probe
from tests.support.command import DAY, Run
from tests.support.object_store import KEY, S3, SECRET
from tests.support.racy_store import racy_store


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    probe._PASSED.clear()
    yield
    probe._PASSED.clear()


def lake_at(monkeypatch: pytest.MonkeyPatch, endpoint: str, bucket: str = "bucket") -> None:
    options = {"access_key_id": KEY, "secret_access_key": SECRET, "endpoint": endpoint}
    monkeypatch.setenv("LAKELOOP_LAKE", f"s3://{bucket}/lake")
    monkeypatch.setenv("LAKELOOP_STORAGE_OPTIONS", json.dumps(options))


def test_a_lake_on_a_disk_is_well_and_its_room_is_said(run: Run, project: Path) -> None:
    ended = run("doctor")
    assert ended.code == 0, ended.out
    assert [line.split()[:2] for line in ended.out.splitlines()] == [
        ["well", name] for name in ("home", "cache", "lake")
    ]
    assert "GB free" in ended.out


def test_a_disk_without_room_is_not_well(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "bytes_left", lambda place: 1 << 20)
    ended = run("doctor")
    assert ended.code == 64
    assert "make room" in ended.out


def test_a_racy_store_is_refused_by_the_doctor_and_by_the_stages_after(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with racy_store("racy") as endpoint:
        lake_at(monkeypatch, endpoint)
        ended = run("doctor", "--rounds", "30")
        assert ended.code == 64
        assert "not well  put-if-absent" in ended.out
        assert "64 writers x 30 rounds: one winner in" in ended.out
        assert "several in" in ended.out
        stage = run("ingest", "tickets", "--partition", DAY)
        assert stage.code == 64
        assert "64 writers x 30 rounds" in stage.err
        assert SECRET not in ended.out + ended.err + stage.err


def test_a_store_that_keeps_its_promise_is_well(run: Run, s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    s3.bucket(bucket := f"doctor-{uuid.uuid4().hex[:12]}")
    lake_at(monkeypatch, s3.endpoint, bucket)
    ended = run("doctor", "--rounds", "5")
    assert ended.code == 0, ended.out
    assert "put, read, listed, deleted" in ended.out
    assert "64 writers x 5 rounds: one winner in 5" in ended.out


def test_a_key_that_the_store_does_not_know_is_told_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with racy_store("closed") as endpoint:
        lake_at(monkeypatch, endpoint)
        ended = run("doctor")
    assert ended.code == 64
    assert ended.out.count("lets nobody in") == 1
    assert "AWS_ACCESS_KEY_ID" in ended.out
    assert SECRET not in ended.out
