"""The rollout stage without a server; with one it is tested in tests/integration/test_rollout.py."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from lakeloop.errors import ServiceError
from lakeloop.stages.release.rollout import rollout
from tests.support.serving import open_project, promote

DAY = "2026-11-20"


@pytest.fixture(autouse=True)
def no_wandb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")


def test_without_a_champion_it_is_skipped(tmp_path: Path) -> None:
    record = rollout(open_project(tmp_path), DAY)

    assert (record.status, record.reason) == ("skipped", "news has no champion yet")


def test_without_a_server_it_says_how_to_start_one(tmp_path: Path) -> None:
    # Port 9 (discard) is served by nobody here.
    context = open_project(tmp_path, server_url="http://127.0.0.1:9")
    promote(context, 1)

    with pytest.raises(ServiceError, match=r"v1, digest [\s\S]*ConnectError[\s\S]*lakeloop serve news"):
        rollout(context, DAY, timeout_seconds=0)


def test_a_champion_that_is_overtaken_while_it_is_awaited_is_skipped(tmp_path: Path) -> None:
    context = open_project(tmp_path, server_url="http://127.0.0.1:9")
    promote(context, 1)
    overtaking = threading.Timer(0.2, promote, (context, 2))
    overtaking.start()

    record = rollout(context, DAY, timeout_seconds=30)
    overtaking.join()

    assert record.status == "skipped"
    assert record.reason == "v1 was overtaken by v2, which has its own roll-out"
