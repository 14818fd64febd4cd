"""The rollout stage against a real server: proven by asking, and ended for each way in which it can end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lakeloop.errors import ArtifactError, ConfigurationError, ServiceError
from lakeloop.registry.registry import Registry
from lakeloop.settings import get_settings
from lakeloop.stages.frame.pending import work_left
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.frame.status import loop_status
from lakeloop.stages.release.rollout import rollout
from tests.support.serving import SMOKE_TEXTS, ServerProcess, open_project, promote, register
from tests.support.waiting import until

pytestmark = pytest.mark.slow

DAY = "2026-11-20"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerProcess]:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    context = open_project(tmp_path / "project")
    running = ServerProcess.start(context.settings, poll_seconds=0.05, flush_seconds=0.2)
    yield running
    running.kill()


@pytest.fixture
def context(server: ServerProcess, tmp_path: Path) -> StageContext:
    return StageContext.open("news", get_settings(root=tmp_path / "project", server_url=server.url))


def test_a_champion_is_rolled_out_once_and_again_when_it_does_not_answer_any_more(
    context: StageContext, server: ServerProcess
) -> None:
    version = promote(context, 1)
    first = rollout(context, DAY)
    again = rollout(context, DAY)

    assert (first.status, again.status) == ("done", "unchanged")
    assert (first.outputs["version"], first.outputs["digest"]) == ("v1", version.digest)
    answers = json.loads(first.outputs["answers"])
    assert [(answer["text"], answer["label"]) for answer in answers] == [
        (SMOKE_TEXTS[0], "sports"),
        (SMOKE_TEXTS[1], "tech"),
    ]
    assert first.links["api_docs"] == f"{context.settings.server_url}/docs"
    assert first.links["model"] == f"{context.settings.server_url}/v1/loops/news/model"
    assert first.metrics["rollout/smoke_mean_score"] > 0.7
    assert again.links == first.links

    promote(context, 2)
    assert rollout(context, DAY).outputs["version"] == "v2"
    server.terminate()
    with pytest.raises(ServiceError, match="lakeloop serve news"):
        rollout(context, DAY, timeout_seconds=0)


def test_a_roll_out_links_to_the_report_by_which_its_model_was_released(context: StageContext) -> None:
    version = promote(context, 1)
    with context.stage("release", DAY, config={}) as stage:
        stage.claim()
        stage.done(reason="", outputs={"digest": version.digest}, links={"report": "reports/index.html"})
    assert rollout(context, "2026-11-21").links["report"] == "reports/index.html"


def test_links_lead_where_a_browser_finds_the_server(context: StageContext) -> None:
    settings = context.settings.model_copy(update={"server_link": "https://models.example.org/"})
    promote(context, 1)
    links = rollout(replace(context, settings=settings), DAY).links
    assert links["api_docs"] == "https://models.example.org/docs"


def test_a_server_that_does_not_serve_the_loop_is_not_waited_for(context: StageContext) -> None:
    promote(context, 1)
    rollout(context, DAY)
    other = replace(context, loop=context.loop.model_copy(update={"name": "tickets"}))
    promote(context, 2)
    with pytest.raises(ConfigurationError, match=r"expected: tickets[\s\S]*found: news[\s\S]*takes up"):
        rollout(other, DAY)


def test_a_server_with_keys_is_shown_ours_and_is_not_waited_for_when_it_does_not_know_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    keys = tmp_path / "keys"
    keys.write_text(f"loop: {'k3y' * 10}\n")
    context = open_project(tmp_path / "project")
    running = ServerProcess.start(context.settings, poll_seconds=0.05, keys_file=keys)
    try:
        settings = context.settings.model_copy(update={"server_url": running.url, "serve_keys_file": keys})
        promote(context, 1)
        record = rollout(replace(context, settings=settings), DAY)
        other = tmp_path / "other"
        other.write_text(f"loop: {'0ther' * 10}\n")
        promote(context, 2)
        unknown = replace(context, settings=settings.model_copy(update={"serve_keys_file": other}))
        with pytest.raises(ConfigurationError, match="does not know our key"):
            rollout(unknown, "2026-11-21")
    finally:
        running.kill()

    assert (record.status, record.outputs["version"]) == ("done", "v1")
    assert "k3y" not in running.log.read_text()


def test_a_champion_that_came_back_is_rolled_out_again(context: StageContext) -> None:
    for number in (1, 2):
        promote(context, number)
        rollout(context, DAY)
    back = Registry(context.lake).rollback("answers look wrong")
    record = rollout(context, DAY)

    assert (record.status, record.outputs["version"]) == ("done", back.name)
    assert [step.stage for step in work_left(context)] == []


def test_a_champion_that_the_server_refused_is_not_waited_for(context: StageContext) -> None:
    damaged = register(context, 1)
    (Path(context.lake.files.uri(damaged.folder_name)) / "model.onnx").write_bytes(b"damaged")
    promote(context, 1)

    with pytest.raises(ArtifactError, match=r"refused v1 and stays with no version[\s\S]*model\.onnx"):
        rollout(context, DAY)

    promote(context, 2)
    rollout(context, DAY)
    damaged = register(context, 3)
    (Path(context.lake.files.uri(damaged.folder_name)) / "model.onnx").write_bytes(b"damaged")
    promote(context, 3)
    with pytest.raises(ArtifactError, match="refused v3 and stays with v2"):
        rollout(context, DAY)


def test_a_champion_that_the_server_took_up_by_itself_is_no_work_that_is_left(context: StageContext) -> None:
    for number in (1, 2):
        promote(context, number)
        rollout(context, DAY)
    back = Registry(context.lake).rollback("answers oddly", by="ada")
    until(lambda: (seen := loop_status(context).champion) and seen.rolled_out, "the server's look")
    status = loop_status(context)
    assert status.champion
    assert status.champion.version == back.name == "v1"
    assert "rollout" not in {step.stage for step in status.pending}
    away = replace(context, settings=context.settings.model_copy(update={"server_url": "http://127.0.0.1:9"}))
    found = loop_status(away).champion
    assert found
    assert not found.rolled_out
