"""Stores that let several writers win are found out, and refused before a row is written."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from lakeloop.errors import ConfigurationError
from lakeloop.lake import probe
from lakeloop.lake.probe import Probe, recall, remember, require_kept, try_store
from lakeloop.lake.remote import Remote
from lakeloop.lake.store import Lake
from tests.support.object_store import KEY, S3, SECRET
from tests.support.racy_store import racy_store
from tests.support.small_loop import small_loop


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    probe._PASSED.clear()
    yield
    probe._PASSED.clear()


def options(endpoint: str) -> dict[str, str]:
    return {"access_key_id": KEY, "secret_access_key": SECRET, "endpoint": endpoint}


@pytest.mark.parametrize("manner", ["racy", "deaf"])
def test_a_store_that_lets_several_win_is_refused_at_the_first_use_and_ever_after(manner: str) -> None:
    with racy_store(manner) as endpoint:
        lake = Lake("s3://bucket/lake", "small", options(endpoint))
        remote = Remote("s3://bucket/lake", options(endpoint))
        for _ in range(2):
            with pytest.raises(ConfigurationError, match="does not keep put-if-absent") as caught:
                lake.bootstrap(small_loop())
            assert "several in" in caught.value.found
            assert "lakeloop doctor" in caught.value.remedy
        assert recall(remote) is not None
        client, store = remote.folders()
        left = [one["path"] for some in client.list(store) for one in some]
        assert len(left) == 1, "no table was made, and nothing of the probe is left"


def test_a_store_that_keeps_it_passes_and_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with racy_store("honest") as endpoint:
        remote = Remote("s3://bucket/lake", options(endpoint))
        found = try_store(remote, writers=16, rounds=10)
        assert found.passed
        assert found.counts == "16 writers x 10 rounds: one winner in 10"
        require_kept(remote)
        monkeypatch.setattr(probe, "try_store", None)
        probe._PASSED.clear()
        require_kept(Remote("s3://bucket/lake", options(endpoint)))


def test_a_real_server_passes(s3: S3) -> None:
    s3.bucket(bucket := f"probe-{uuid.uuid4().hex[:12]}")
    found = try_store(Remote(f"s3://{bucket}/lake", s3.variables), rounds=5)
    assert found.passed, found


def test_a_verdict_of_before_stands_until_the_store_is_tried_anew() -> None:
    with racy_store("honest") as endpoint:
        remote = Remote("s3://bucket/lake", options(endpoint))
        remember(remote, Probe(64, 200, several=3))
        with pytest.raises(ConfigurationError, match="one winner in 197, several in 3"):
            require_kept(remote)
        remember(remote, try_store(remote, writers=8, rounds=3))
        require_kept(remote)


def test_a_wrong_key_is_told_as_such_and_not_printed() -> None:
    with racy_store("closed") as endpoint:
        lake = Lake("s3://bucket/lake", "small", options(endpoint))
        with pytest.raises(ConfigurationError, match="lets nobody in") as caught:
            lake.bootstrap(small_loop())
        assert "AWS_ACCESS_KEY_ID" in caught.value.remedy
        assert SECRET not in str(caught.value)
