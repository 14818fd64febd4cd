"""A lake on a real S3 server, and settings that cannot work: tables and folders by one set of options."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import obstore
import pyarrow as pa
import pytest

from lakeloop.attempt import Attempt
from lakeloop.errors import ArtifactError, ConfigurationError, ServiceError
from lakeloop.lake import object_folders
from lakeloop.lake.files import LakeFiles
from lakeloop.lake.remote import Remote, options_of
from lakeloop.lake.store import Lake
from lakeloop.lake.upkeep import tidy_tables
from lakeloop.settings import Settings
from tests.support.object_store import S3, SECRET
from tests.support.small_loop import MART, mart_rows, small_loop

DAY = "2026-11-16"
RUN = Attempt("run")


@pytest.fixture
def bucket(s3: S3) -> str:
    s3.bucket(name := f"lake-{uuid.uuid4().hex[:12]}")
    return name


@pytest.fixture
def remote(s3: S3, bucket: str) -> Lake:
    lake = Lake(f"s3://{bucket}/lake", "small", s3.variables)
    lake.bootstrap(small_loop())
    return lake


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights.bin").write_bytes(os.urandom(20 << 20))
    (folder / "empty").touch()
    return folder


def publish(lake: Lake, count: int = 3) -> str:
    fence = lake.claim("validate", DAY, RUN)
    rows = pa.Table.from_pylist(mart_rows(DAY, count), MART)
    return lake.replace("mart", rows, where={"partition": DAY}, fence=fence).digest


def test_rows_are_published_replaced_and_read_as_on_a_disk(remote: Lake, lake: Lake) -> None:
    for count in (3, 2):
        assert publish(remote, count) == publish(lake, count)
        assert remote.read("mart", partition=DAY).num_rows == count
    assert remote.digest("mart", partition=DAY) == lake.digest("mart", partition=DAY)
    assert remote.row_files("mart", partition=DAY) is None, "only files on this machine are read as files"


def test_small_files_are_compacted_and_what_no_version_needs_is_deleted(remote: Lake) -> None:
    for count in (3, 2):
        digest = publish(remote, count)
    (tidied,) = tidy_tables(remote._store, ["mart"], timedelta(0))
    assert tidied.deleted == 1
    assert remote.digest("mart", partition=DAY) == digest


def test_a_process_that_has_read_a_table_ends_as_usual(remote: Lake, s3: S3) -> None:
    publish(remote)
    program = (
        "import sys; from lakeloop.lake.store import Lake; "
        "print(Lake(sys.argv[1], 'small').read('mart').num_rows)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, remote.uri("mart").removesuffix("/small/mart")],
        env={**os.environ, **s3.variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.stdout, ended.returncode) == ("3\n", 0), ended.stderr


def test_a_folder_of_large_and_empty_files_is_copied_and_comes_back(
    remote: Lake, folder: Path, tmp_path: Path
) -> None:
    remote.files.put(folder, "candidates/one")
    remote.files.copy("candidates/one", "models/v1")
    fetched = remote.files.fetch("models/v1", tmp_path / "fetched")
    assert [(path.name, path.read_bytes()) for path in sorted(fetched.iterdir())] == [
        (path.name, path.read_bytes()) for path in sorted(folder.iterdir())
    ]


def test_of_writers_of_one_new_name_one_wins_and_its_folder_is_whole(remote: Lake, tmp_path: Path) -> None:
    together, refused = threading.Barrier(8), []

    def put(number: int) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        for file in "abc":
            (folder / file).write_text(f"{file} of {number}")
        together.wait()
        try:
            remote.files.put(folder, "models/v1")
        except ArtifactError:
            refused.append(number)

    threads = [threading.Thread(target=put, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = set(range(8)) - set(refused)
    fetched = remote.files.fetch("models/v1", tmp_path / "fetched")
    assert [(fetched / file).read_text() for file in "abc"] == [f"{file} of {winner}" for file in "abc"]


def test_damage_is_found_and_what_is_damaged_is_not_copied(
    remote: Lake, folder: Path, tmp_path: Path
) -> None:
    remote.files.put(folder, "candidates/one")
    client, store = Remote(remote.files.uri("x").removesuffix("/x"), remote._store.remote.given).folders()
    (damaged,) = [
        one["path"] for some in obstore.list(store) for one in some if one["path"].endswith("weights.bin")
    ]
    client.put(store, damaged, b"other weights")
    with pytest.raises(ArtifactError, match="not the ones that were stored"):
        remote.files.fetch("candidates/one", tmp_path / "fetched")
    with pytest.raises(ArtifactError, match="not the ones that were stored"):
        remote.files.copy("candidates/one", "models/v1")
    client.delete(store, damaged)
    with pytest.raises(ArtifactError, match="not the ones that were stored"):
        remote.files.copy("candidates/one", "models/v1")
    assert not remote.files.exists("models/v1")


def test_what_a_killed_writer_left_is_no_folder_and_is_swept_when_it_is_old(
    remote: Lake, s3: S3, folder: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = remote.files.uri("x").removesuffix("/x")
    program = (
        "import sys, pathlib; from lakeloop.lake.files import LakeFiles; "
        "LakeFiles(sys.argv[1]).put(pathlib.Path(sys.argv[2]), 'models/v1')"
    )
    killed = subprocess.run(
        [sys.executable, "-c", program, base, str(folder)],
        env={**os.environ, **s3.variables, "LAKELOOP_FAULT": "put.before-manifest"},
        cwd=root,
        check=False,
    )
    assert killed.returncode == -9
    assert not remote.files.exists("models/v1")
    assert remote.files.remove_leftovers(timedelta(0)) == [], "a writer may still be at it"
    remote.files.put(folder, "models/v1")
    monkeypatch.setattr(object_folders, "_IN_THE_WORKS", timedelta(0))
    (left,) = remote.files.remove_leftovers(timedelta(0))
    assert left.startswith("models/v1/")
    assert remote.files.manifest("models/v1")
    assert remote.files.read("models/v1", "empty") == b""


def test_a_key_of_the_options_gets_no_token_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of another key")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    asked = Remote("s3://bucket/lake", {"ACCESS_KEY_ID": "mine", "secret_access_key": "word"}).of_tables
    assert asked == {
        "aws_access_key_id": "mine",
        "aws_secret_access_key": "word",
        "aws_region": "eu-central-1",
        "aws_conditional_put": "etag",
        "allow_http": "false",
    }


def test_http_is_for_this_machine_and_for_hosts_that_are_allowed(tmp_path: Path) -> None:
    over_http = {"AWS_ENDPOINT_URL": "http://minio:9000"}
    with pytest.raises(ConfigurationError, match="unencrypted") as caught:
        Remote("s3://bucket/lake", over_http)
    assert "LAKELOOP_PLAIN_HTTP_HOSTS" in caught.value.remedy
    allowed = Settings(root=tmp_path, storage_options=over_http, plain_http_hosts=("minio",))
    assert Remote("s3://bucket/lake", options_of(allowed)).of_tables["allow_http"] == "true"
    assert Remote("s3://bucket/lake", {**over_http, "AWS_ALLOW_HTTP": "true"}).plain
    assert Remote("s3://bucket/lake", {"AWS_ENDPOINT_URL": "http://localhost:9000"}).plain


@pytest.mark.parametrize(
    ("address", "options", "message"),
    [
        ("gs://bucket/lake", {}, "not a place for a lake"),
        ("s3:///lake", {}, "not a place for a lake"),
        ("s3://bucket/lake", {"AWS_S3_ALLOW_UNSAFE_RENAME": "true"}, "aws_s3_allow_unsafe_rename"),
        ("s3://bucket/lake", {"AWS_S3_LOCKING_PROVIDER": "dynamodb"}, "aws_s3_locking_provider"),
        ("s3://bucket/lake", {"aws_conditional_put": "disabled"}, "aws_conditional_put"),
        ("s3://bucket/lake", {"endpoint": "localhost:9000"}, "aws_endpoint"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(
    address: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Remote(address, options)


def test_an_option_that_no_client_knows_is_named(s3: S3, bucket: str) -> None:
    files = LakeFiles(f"s3://{bucket}/lake/files", {**s3.variables, "AWS_SECRIT": SECRET})
    with pytest.raises(ConfigurationError, match="does not take these options") as caught:
        files.exists("models/v1")
    assert "aws_secrit" in caught.value.found
    assert SECRET not in str(caught.value)


def test_a_bucket_that_is_not_there_is_named(s3: S3) -> None:
    lake = Lake("s3://nobodys-bucket/lake", "small", s3.variables)
    with pytest.raises(ConfigurationError, match="no such bucket") as caught:
        lake.bootstrap(small_loop())
    assert "LAKELOOP_LAKE" in caught.value.remedy
    with pytest.raises(ConfigurationError, match="no such bucket"):
        lake.files.manifest("models/v1")


def test_a_store_that_is_away_is_told_without_the_key(s3: S3) -> None:
    lake = Lake("s3://bucket/lake", "small", {**s3.variables, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"})
    with pytest.raises(ServiceError, match="does not answer") as caught:
        lake.bootstrap(small_loop())
    assert SECRET not in str(caught.value)
    assert "127.0.0.1:1" in caught.value.expected
