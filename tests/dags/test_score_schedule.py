"""When the DAG that answers rows starts by itself, as the loop file says."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from tests.support.airflow import ROOT
from tests.support.small_loop import small_loop


def built(monkeypatch: pytest.MonkeyPatch, **score: Any) -> DAG:
    from lakeloop_airflow import loops

    monkeypatch.setattr(loops, "readable_loops", lambda: [small_loop(score=score)])
    bag = DagBag(ROOT / "dags/score.py")
    assert bag.import_errors == {}
    return bag.dags["small.score"]  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("score", "timetable", "assets"),
    [
        ({}, "NullTimetable", set()),
        ({"source": "in/{partition}.csv", "when": ["day"]}, "DayBefore", set()),
        ({"source": "mart", "when": ["input"]}, "PartitionedAssetTimetable", {"mart"}),
        ({"source": "raw", "when": ["input"]}, "PartitionedAssetTimetable", {"raw"}),
        ({"source": "in.csv", "when": ["champion"]}, "PartitionedAssetTimetable", {"champion"}),
        (
            {"source": "mart", "when": ["champion", "input"]},
            "PartitionedAssetTimetable",
            {"mart", "champion"},
        ),
    ],
)
def test_it_starts_when_the_loop_file_says(
    monkeypatch: pytest.MonkeyPatch, score: Any, timetable: str, assets: set[str]
) -> None:
    dag = built(monkeypatch, **score)
    assert type(dag.timetable).__name__ == timetable
    condition = getattr(dag.timetable, "asset_condition", None)
    found = {asset.name for asset in getattr(condition, "objects", [condition]) if asset}
    assert found == {f"lakeloop.small.{kind}" for kind in assets}
    assert DagSerialization.from_dict(DagSerialization.to_dict(dag)).task_ids == ["score"]


def test_its_form_has_the_source_and_the_file_of_the_loop_file(monkeypatch: pytest.MonkeyPatch) -> None:
    dag = built(monkeypatch, source="mart", to="answers/{partition}.parquet")
    assert dag.params["score.source"] == "mart"
    assert dag.params["score.to"] == "answers/{partition}.parquet"
