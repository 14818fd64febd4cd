"""Which `source.path` is proposed for files in folders, and that ingest reads what was found by it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakeloop.errors import ConfigurationError
from lakeloop.proposal import places
from lakeloop.proposal.paths import common_path, tries, with_data
from lakeloop.proposal.preview import preview
from lakeloop.settings import Settings
from tests.unit.proposal.test_propose import loop_of, proposed

ROWS = [{"id": f"T{n}", "text": f"where is my parcel {n}", "team": "ab"[n % 2]} for n in range(20)]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root=tmp_path, home=tmp_path / ".lakeloop", loops=tmp_path / "loops")


def lay(settings: Settings, *names: str) -> None:
    for number, name in enumerate(names):
        file = settings.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        rows = [{**row, "id": f"{row['id']}-{number}"} for row in ROWS]
        if name.endswith(".parquet"):
            pq.write_table(pa.Table.from_pylist(rows), file)
        else:
            lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
            file.write_bytes(gzip.compress(lines) if name.endswith(".gz") else lines)


SHOPS = (
    "drops/berlin/2026-11-02.jsonl.gz",
    "drops/bonn/2026-11-02.jsonl.gz",
    "drops/bonn/2026-11-03.jsonl.gz",
)
FOLDERS = ("drops/2026-11-02/a.jsonl.gz", "drops/2026-11-02/b.jsonl.gz", "drops/2026-11-03/a.jsonl.gz")
HIVE = ("lake/dt=2026-11-02/part-0.parquet", "lake/dt=2026-11-03/part-0.parquet")
DEEP = ("lake/2026-11-02.parquet", "lake/x/y/2026-11-03.parquet")


@pytest.mark.parametrize(
    ("files", "given", "path"),
    [
        (SHOPS, "drops", "drops/*/{partition}.jsonl.gz"),
        (SHOPS, "drops/*/*.jsonl.gz", "drops/*/{partition}.jsonl.gz"),
        (SHOPS, "drops/**", "drops/*/{partition}.jsonl.gz"),
        (SHOPS, "drops/b*/{partition}.jsonl.gz", "drops/b*/{partition}.jsonl.gz"),
        (SHOPS, "drops/bonn", "drops/bonn/{partition}.jsonl.gz"),
        (FOLDERS, "drops", "drops/{partition}/*.jsonl.gz"),
        (FOLDERS, "drops/2026-*/*.jsonl.gz", "drops/{partition}/*.jsonl.gz"),
        (FOLDERS, "drops/2026-11-02", "drops/{partition}/*.jsonl.gz"),
        (FOLDERS, "drops/2026-11-02/a.jsonl.gz", "drops/{partition}/a.jsonl.gz"),
        (HIVE, "lake", "lake/dt={partition}/*.parquet"),
        (HIVE, "lake/**/*.parquet", "lake/dt={partition}/*.parquet"),
        (HIVE, "lake/dt=*/part-*", "lake/dt={partition}/part-*"),
        (HIVE[:1], "lake", "lake/dt={partition}/*.parquet"),
        (DEEP, "lake/**/*", "lake/**/{partition}.parquet"),
    ],
)  # fmt: skip
def test_files_in_folders_are_one_path_that_is_read(
    settings: Settings, files: tuple[str, ...], given: str, path: str
) -> None:
    lay(settings, *files)
    proposal = proposed("tickets", given, settings, {})
    assert (proposal.given.keys["path"], proposal.given.says_day) == (path, True)
    look = preview(loop_of(proposal, settings), settings)
    assert look.rejects == ()
    assert set(look.days) >= {"2026-11-02"}


def test_a_folder_that_is_given_from_the_working_folder_is_that_one(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(settings, "in/drops/2026-11-02/a.jsonl", "drops/other.jsonl")
    monkeypatch.chdir(settings.root / "in")
    assert places.place_of("drops/*/*.jsonl", settings).path == "in/drops/{partition}/*.jsonl"


@pytest.mark.parametrize(
    ("names", "asked", "path"),
    [
        (["in/a.csv", "in/x/b.csv"], "in/**/*", ("in/**/*.csv", False)),
        (["in/a.csv", "in/b.csv"], "in", ("in/*.csv", False)),
        (["in/x/a.csv", "in/y/b.csv"], "in", ("in/*/*.csv", False)),
        (["out/part-00000", "out/part-00001"], "out", ("out/part-*", False)),
        (["out/part-00000"], "out/*", ("out/part-*", False)),
        (["out/2026-11-01/part-00000", "out/2026-11-02/part-00001"], "out", ("out/{partition}/part-*", True)),
        (["out/anna", "out/alex"], "out", ("out/*", False)),
        (["/out/a.csv", "/out/b.csv"], "/out", ("/out/*.csv", False)),
        (["in/export.csv"], "in/exp*.csv", ("in/exp*.csv", False)),
        (["in/export.csv"], "in", ("in/export.csv", False)),
        (["in/2026-11-01_2026-11-30.csv"], "in", ("in/2026-11-01_2026-11-30.csv", False)),
        (["in/2026-11-01/of-2026-10-31.csv"], "in", ("in/2026-11-01/of-{partition}.csv", True)),
        (["in/a-2026-11-01.csv", "in/b-2026-11-01.csv"], "in", ("in/*{partition}*.csv", True)),
        (["a/2026-11-01/x.csv", "a/2026-11-02/x.csv"], "a", ("a/{partition}/x.csv", True)),
        (["a/2026-11-01/x.csv", "a/2026-11-02/x.csv"], "a/*/*.csv", ("a/{partition}/*.csv", True)),
        (["2026-11-02/part-1.parquet"], ".", ("{partition}/*.parquet", True)),
    ],
)  # fmt: skip
def test_a_path_stands_for_its_files(names: list[str], asked: str, path: tuple[str, bool]) -> None:
    assert common_path(names, asked) == path


def test_names_that_begin_as_those_of_markers_do_are_no_data(settings: Settings) -> None:
    lay(settings, "lake/dt=2026-11-02/part-0.parquet")
    for name in (
        "_SUCCESS",
        "dt=2026-11-02/.part-0.parquet.crc",
        "dt=2026-11-02/_SUCCESS",
        "_tmp/part-1.parquet",
    ):
        (settings.root / "lake" / name).parent.mkdir(exist_ok=True)
        (settings.root / "lake" / name).write_bytes(b"no data")
    for given in ("lake", "lake/**/*", "lake/*/*"):
        assert places.place_of(given, settings).files == (
            settings.root / "lake/dt=2026-11-02/part-0.parquet",
        )
    assert with_data(["in/_a.csv", "in/b.csv"], "in/_*.csv") == ["in/_a.csv"], (
        "what is asked for is looked at"
    )
    assert tries("in/") == ["in/*", "in/**/*"]


def test_files_that_are_empty_or_lead_out_are_not_looked_at(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lay(settings, "in/2026-11-02.jsonl")
    (settings.root / "in/2026-11-01.jsonl").touch()
    outside = tmp_path_factory.mktemp("outside") / "2026-11-03.jsonl"
    outside.write_text("{}\n")
    (settings.root / "in/2026-11-03.jsonl").symlink_to(outside)
    assert places.place_of("in", settings).files == (settings.root / "in/2026-11-02.jsonl",)


def test_a_folder_may_be_written_in_many_ways(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(settings, *HIVE)
    monkeypatch.chdir(settings.root)
    for given in (
        "lake/",
        "./lake",
        "./lake/",
        ".",
        "**",
        str(settings.root / "lake"),
        f"{settings.root}/lake/*/*",
    ):
        assert places.place_of(given, settings).path == "lake/dt={partition}/*.parquet"
    other = tmp_path_factory.mktemp("other")
    (settings.root / "lake").rename(other / "lake")
    (settings.root / "link").symlink_to(other / "lake")
    allowed = settings.model_copy(update={"data_roots": (other,)})
    assert places.place_of(str(other), allowed).path == f"{other}/lake/dt={{partition}}/*.parquet"
    assert places.place_of("link/**", allowed).path == "link/dt={partition}/*.parquet"


def test_a_folder_with_delta_tables_in_it_is_no_folder_of_files(settings: Settings) -> None:
    lay(settings, "lake/tickets/dt=2026-11-02/part-0.parquet", "lake/tickets/_delta_log/0000.json")
    with pytest.raises(ConfigurationError, match="a Delta table is in this folder") as caught:
        places.place_of("lake", settings)
    assert caught.value.remedy == "say which table: --from lake/tickets"
    assert places.place_of("lake/**/*.parquet", settings).path == "lake/tickets/dt={partition}/*.parquet"


def test_there_may_be_too_many(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(settings, "in/a/2026-11-02.jsonl", "in/b/2026-11-03.jsonl")
    monkeypatch.setattr(places, "MOST_FILES", 1)
    with pytest.raises(ConfigurationError, match="too many files there"):
        places.place_of("in", settings)
