from pathlib import Path

import pytest
from lakeloop_airflow.links import curves_page, links_of, page, report_of, urls
from lakeloop_airflow.stage_task import StageOperator

from lakeloop.records import StageRecord
from lakeloop.settings import Settings
from lakeloop.stages.catalogue import STAGES
from tests.support.records import provenance


def record(links: dict[str, str], outputs: dict[str, str] | None = None) -> StageRecord:
    return StageRecord(
        loop="news",
        stage="release",
        partition="2026-11-18",
        status="done",
        reason="",
        links=links,
        outputs=outputs or {},
        provenance=provenance(),
    )


def test_generated_files_become_pages_of_the_lakeloop_app(settings: Settings) -> None:
    links = {
        "data_docs": str(settings.docs("news") / "2026-11-18" / "index.html"),
        "report": f"file://{settings.reports('news')}/a b.html",
    }
    assert urls(record(links), settings) == {
        "Data Docs": "/lakeloop/view/docs/news/2026-11-18/index.html",
        "Evaluation report": "/lakeloop/view/reports/news/a%20b.html",
    }


def test_addresses_stay_as_they_are(settings: Settings) -> None:
    found = urls(record({"report": "https://reports.example.org/1"}), settings)
    assert found == {"Evaluation report": "https://reports.example.org/1"}


def test_files_that_are_not_served_have_no_link(settings: Settings) -> None:
    outside = {
        "drop": "/data/drops/2026-11-18.jsonl",
        "data_docs": str(settings.docs("other") / "index.html"),
    }
    assert urls(record(outside), settings) == {}


def test_a_released_version_has_a_page(settings: Settings) -> None:
    assert urls(record({}, {"version": "v3"}), settings) == {"Model version": "/lakeloop/models/news/v3"}


def test_links_point_below_the_path_that_airflow_is_served_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://example.org/airflow/")
    assert page("docs", "news") == "/airflow/lakeloop/docs/news"


def test_a_link_without_a_target_is_empty_so_that_airflow_hides_it() -> None:
    operator = StageOperator(loop="news", stage="validate")
    operator.urls = {"Data Docs": "/lakeloop/docs/news/index.html"}
    found = {link.name: link.get_link(operator, ti_key=None) for link in operator.operator_extra_links}  # type: ignore[arg-type]
    assert found == {"W&B run": "", "Data Docs": "/lakeloop/docs/news/index.html"}


def test_a_training_has_curves() -> None:
    journal = Path("/journals/news/train-finetune-job/2026-11-18/job-1-20261118T1.jsonl")
    address = "/lakeloop/curves/news/train-finetune-job/2026-11-18/job-1-20261118T1"
    assert curves_page("news", journal) == address
    assert [stage.name for stage in STAGES if "Curves" in {link.name for link in links_of(stage.name)}] == [
        "train"
    ]


def test_trainings_and_roll_outs_lead_to_the_report_of_the_evaluation_too() -> None:
    assert report_of("news", "2026-11-18") == "/lakeloop/view/reports/news/2026-11-18/index.html"
    for stage in ("train-finetune", "evaluate", "release", "rollout"):
        assert "Evaluation report" in {link.name for link in links_of(stage)}


@pytest.mark.parametrize("stage", [stage.name for stage in STAGES])
def test_the_links_of_a_stage_have_names_and_xcom_keys_of_their_own(stage: str) -> None:
    links = links_of(stage)
    assert len({link.name for link in links}) == len({link.xcom_key for link in links}) == len(links) >= 1
