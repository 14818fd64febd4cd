"""The page of a model version, and the button that moves the champion, on a real registry."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from lakeloop.attempt import Attempt
from lakeloop.evaluation.stored import store
from lakeloop.gate.decide import Decision
from lakeloop.registry.history import ModelCard
from lakeloop.registry.registry import Registry
from lakeloop.settings import Settings
from lakeloop.stages.frame.session import StageContext
from tests.support.artifacts import make_artifact
from tests.support.evidence import evidence, model

ATTEMPT = Attempt("news.ingest:manual__1")


def test_a_model_version_that_is_not_there_is_not_found(client: TestClient, ran: StageContext) -> None:
    assert client.get("/models/news/v1").status_code == 404


def test_a_model_version_is_shown_beside_those_it_was_compared_with(
    client: TestClient, ran: StageContext, tmp_path: Path
) -> None:
    champion = model("champion", {"macro_f1": 0.75}, version="v1")
    found = evidence(model("baseline", {"macro_f1": 0.8125}), champion=champion)
    stored = store(ran.lake.files, found, tmp_path / "scratch")
    make_artifact(tmp_path / "model", ("sports", "tech"))
    registry = Registry(ran.lake)
    card = ModelCard(
        candidate="baseline",
        method="keywords",
        dataset_digest="d" * 64,
        metrics={"macro_f1": 0.8125},
        decision=Decision(accepted=None, reason="for the test", checks=()),
    )
    registry.register(tmp_path / "model", card.model_copy(update={"evidence": stored}))
    page = " ".join(client.get("/models/news/v1").text.split())
    assert "Scores on 445 test rows" in page
    assert "champion v1" in page
    assert (
        '<td class="wide">macro F1</td><td class="number">0.8125</td><td class="number">0.7500</td>' in page
    )

    assert "Evaluation report" not in page, "there is none on this machine"
    report = ran.settings.reports("news") / found.partition / "index.html"
    report.parent.mkdir(parents=True)
    report.write_text("all of it")
    link = f"/lakeloop/view/reports/news/{found.partition}/index.html"
    assert f'<a href="{link}">Evaluation report</a>' in client.get("/models/news/v1").text

    make_artifact(tmp_path / "older", ("sports", "tech"), seed=3)
    registry.register(tmp_path / "older", card)
    older = client.get("/models/news/v2").text
    assert '<td class="number">0.8125</td>' in older
    assert "0.7500" not in older


def test_a_model_of_a_loop_without_tables_says_so(client: TestClient, settings: Settings) -> None:
    answer = client.get("/models/news/v1")
    assert answer.status_code == 409
    assert "registry" in answer.json()["detail"]
    assert not settings.home.exists()


def test_a_model_of_a_broken_loop_says_so(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loops/broken").mkdir(parents=True)
    (tmp_path / "loops/broken/loop.yaml").write_text("name: broken\n")
    monkeypatch.setenv("LAKELOOP_LOOPS", str(tmp_path / "loops"))
    answer = client.get("/models/broken/v1")
    assert answer.status_code == 409
    assert "loops/broken/loop.yaml" in answer.json()["detail"]
