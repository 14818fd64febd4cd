"""A loop of numbers through the same scheduler: from drops to a model that answers with a value."""

from __future__ import annotations

import logging

import httpx
import pytest

from lakeloop.local.drive import Outcome, drive
from lakeloop.registry.registry import Registry
from lakeloop.stages.frame.pending import work_left
from lakeloop.stages.frame.session import StageContext
from tests.support.stack import RunningStack
from tests.support.valence import DAYS

pytestmark = [pytest.mark.slow, pytest.mark.stack, pytest.mark.timeout(900)]
log = logging.getLogger(__name__)


@pytest.fixture(scope="module")
def context(stack: RunningStack) -> StageContext:
    return stack.context_of("valence")


@pytest.fixture(scope="module")
def outcome(stack: RunningStack, context: StageContext) -> Outcome:
    with stack.api() as api:
        return drive(api, "valence", DAYS, pending=lambda: work_left(context), say=log.info, time_limit=600)


def test_every_run_succeeds_and_the_gate_lets_a_model_through(
    context: StageContext, outcome: Outcome
) -> None:
    assert outcome.failures == []
    release = context.lake.ledger.latest("release")
    assert release is not None
    assert release.status == "done", release.reason
    assert "at most 2" in release.reason, "less error is better"


def test_the_champion_makes_smaller_errors_than_the_mean_would(
    context: StageContext, outcome: Outcome
) -> None:
    champion = Registry(context.lake).champion()
    assert champion is not None
    assert set(champion.card.metrics) >= {"mae", "rmse", "r2", "spearman"}
    assert champion.card.metrics["r2"] > 0
    assert champion.card.metrics["spearman"] > 0.3


def test_the_mart_holds_numbers_and_every_row_is_accounted_for(
    context: StageContext, outcome: Outcome
) -> None:
    for day in DAYS:
        mart = context.lake.read("mart", partition=day)
        assert str(mart.schema.field("target").type) == "double"
        counted = [context.lake.ledger.latest(name, day) for name in ("ingest", "transform", "validate")]
        counts = [record.counts for record in counted if record and record.counts]
        lost = sum(c.quarantined + c.duplicates for c in counts)
        assert counts[0].read == mart.num_rows + lost


def test_the_report_shows_a_scatter_and_residuals(context: StageContext, outcome: Outcome) -> None:
    evaluation = context.lake.ledger.latest("evaluate")
    assert evaluation is not None
    page = (context.settings.reports("valence") / evaluation.partition / "index.html").read_text()
    assert "Truth and answer" in page
    assert page.count("<circle") > 50
    assert "Residuals by slice" in page


def test_the_page_in_airflow_shows_the_champion_by_its_metric(
    stack: RunningStack, context: StageContext, outcome: Outcome
) -> None:
    champion = Registry(context.lake).champion()
    assert champion is not None
    token = httpx.get(f"{stack.stack.airflow_url}/auth/token").json()["access_token"]
    page = httpx.get(
        f"{stack.stack.airflow_url}/lakeloop/", headers={"Authorization": f"Bearer {token}"}, timeout=30
    ).raise_for_status()
    _, _, card = page.text.partition(f"/models/valence/{champion.name}")
    card = card[:400]
    assert f"{champion.card.metrics['mae']:.4f}" in card
    assert "mean absolute error" in card


def test_the_server_that_serves_the_other_loop_answers_with_a_value(
    stack: RunningStack, context: StageContext, outcome: Outcome
) -> None:
    url = f"{stack.stack.server_url}/v1/loops/valence"
    texts = ["What a wonderful day, I love it!", "This is terrible, I hate it."]
    answer = httpx.post(f"{url}/predict", json={"texts": texts}, timeout=30).raise_for_status().json()
    good, bad = (prediction["value"] for prediction in answer["predictions"])
    assert -4 <= bad < good <= 4
    assert httpx.get(f"{url}/model").json()["version"] == answer["model_version"]
