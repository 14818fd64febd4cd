from __future__ import annotations

from tests.support.airflow import prepare_airflow

prepare_airflow()

import pytest  # noqa: E402
from airflow.dag_processing.dagbag import DagBag  # noqa: E402
from airflow.sdk import DAG  # noqa: E402

from tests.support.airflow import ROOT  # noqa: E402


@pytest.fixture(scope="session")
def dag_bag() -> DagBag:
    """Every DAG of the repository, read once."""
    return DagBag(ROOT / "dags")


@pytest.fixture(scope="session")
def dags(dag_bag: DagBag) -> dict[str, DAG]:
    """By id. A DagBag on a folder that is not there holds nothing and says nothing, so this counts."""
    assert len(dag_bag.dags) == 7, f"7 DAGs for the one loop, found {sorted(dag_bag.dags)}"
    return dag_bag.dags
