"""Appends as the next version or not at all: who read another version fails, and many are few files."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path

import pyarrow as pa
import pytest

from lakeloop.attempt import Attempt
from lakeloop.errors import FenceError
from lakeloop.lake import store
from lakeloop.lake.store import Lake
from lakeloop.lake.tables import REGISTRY

RUN = Attempt("run", 1)


def registry_row(sequence: int) -> pa.Table:
    return pa.Table.from_pylist([{"sequence": sequence, "event": "registered"}], REGISTRY)


def test_an_append_at_a_version_is_a_compare_and_swap(lake: Lake) -> None:
    version = lake.version("registry")
    assert lake.append_at("registry", registry_row(1), version=version, attempt=RUN).version == version + 1
    with pytest.raises(FenceError, match="moved on") as caught:
        lake.append_at("registry", registry_row(1), version=version, attempt=RUN)
    assert (caught.value.expected, caught.value.found) == ("version 0", "version 1")
    assert lake.read("registry").num_rows == 1


def test_many_appends_at_a_version_are_few_files_and_all_rows(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_MANY_FILES", 4)
    for number in range(1, 12):
        before = lake.version("registry")
        done = lake.append_at("registry", registry_row(number), version=before, attempt=RUN)
        assert (done.version, done.rows) == (before + 1, 1)
        assert len(list(lake.dataset("registry").get_fragments())) <= 4
        with pytest.raises(FenceError, match="moved on"):
            lake.append_at("registry", registry_row(number), version=before, attempt=RUN)
    rows, version = lake.read_newest("registry")
    assert sorted(rows["sequence"].to_pylist()) == list(range(1, 12))
    assert version == 11
    assert lake.read("registry", version=6).num_rows == 6, "a version of before is as it was"


def hold(root: str, seconds: float) -> None:
    with Lake(root, "small").turn("registry"):
        Path(root, "held").touch()
        time.sleep(seconds)


@pytest.mark.parametrize(("held", "least", "most"), [(0.6, 0.3, 5.0), (60.0, 0.5, 8.0)])
def test_a_turn_waits_for_another_process_and_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: float, least: float, most: float
) -> None:
    monkeypatch.setattr(store, "_TURN_SECONDS", 1.0)
    holder = multiprocessing.get_context("fork").Process(target=hold, args=(str(tmp_path), held))
    holder.start()
    while not (tmp_path / "held").exists():
        time.sleep(0.01)
    began = time.monotonic()
    with Lake(str(tmp_path), "small").turn("registry"):
        waited = time.monotonic() - began
    holder.kill()
    holder.join()
    assert least <= waited <= most
