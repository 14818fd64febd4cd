"""What holds for every DAG, whoever writes the next one. Each message says what to do."""

from __future__ import annotations

import re

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization
from lakeloop_airflow.defaults import Tag

from lakeloop.errors import ConfigurationError, DataError, FenceError, TransientError
from lakeloop.stages.catalogue import DAGS, POOLS, STAGES
from tests.support.airflow import ROOT

HEADINGS = ("**Purpose.**", "**Schedule.**", "**Inputs and outputs.**", "**When it fails.**", "**Owner.**")


def test_every_loop_has_its_dags_and_nothing_fails_to_import(dag_bag: DagBag, dags: dict[str, DAG]) -> None:
    assert dag_bag.import_errors == {}
    assert set(dags) == {f"news.{stage}" for stage in DAGS}


@pytest.fixture(params=DAGS)
def dag(request: pytest.FixtureRequest, dags: dict[str, DAG]) -> DAG:
    return dags[f"news.{request.param}"]


def test_its_page_says_what_it_is_for_and_what_to_do_when_it_fails(dag: DAG) -> None:
    missing = [heading for heading in HEADINGS if heading not in (dag.doc_md or "")]
    assert not missing, f"{dag.dag_id}: add to the docstring of its file: {', '.join(missing)}"
    assert dag.description, f"{dag.dag_id}: the first line of the docstring is its description"


def test_its_page_speaks_of_its_own_loop(dag: DAG) -> None:
    page = dag.doc_md or ""
    assert "<loop>" not in page
    assert "**Owner.** lakeloop." in page
    links = re.findall(r"\]\(([^)]+)\)", page)
    assert links, f"{dag.dag_id}: build it with dag_arguments"
    for link in links:
        assert not link.startswith(("/", "http")), (
            "absolute: another host, or another path to Airflow, breaks it"
        )


def test_its_file_reads_as_a_table_of_contents(dag: DAG) -> None:
    lines = len((ROOT / "dags" / f"{dag.dag_id.split('.')[1]}.py").read_text().splitlines())
    assert 30 <= lines <= 150, (
        f"{dag.dag_id}: {lines} lines; move the work into lakeloop_airflow or the library"
    )


def test_its_tags_are_known_ones_and_its_loop(dag: DAG) -> None:
    unknown = dag.tags - {*Tag, "news"}
    assert not unknown, f"{dag.dag_id}: add to lakeloop_airflow.defaults.Tag, or drop: {unknown}"
    assert {Tag.LAKELOOP, "news"} <= dag.tags


def test_it_never_catches_up_and_its_runs_wait_for_each_other(dag: DAG) -> None:
    assert dag.catchup is False
    assert dag.max_active_runs == 1, f"{dag.dag_id}: two runs of one partition would fence each other off"


def test_its_tasks_are_owned_retried_and_pooled(dag: DAG) -> None:
    assert dag.tasks
    for task in dag.tasks:
        assert task.owner == "lakeloop", f"{dag.dag_id}.{task.task_id}: use dag_arguments"
        assert task.retries == 3, f"{dag.dag_id}.{task.task_id}: use dag_arguments"
        assert task.pool in {"default_pool", *POOLS}, f"{dag.dag_id}.{task.task_id}: no such pool {task.pool}"


@pytest.mark.parametrize(
    ("error", "decision"),
    [(DataError, "fail"), (ConfigurationError, "fail"), (FenceError, "default"), (TransientError, "default")],
)
def test_what_cannot_get_better_is_not_retried(dag: DAG, error: type[Exception], decision: str) -> None:
    for task in dag.tasks:
        policy = dag.default_args["retry_policy"] if task.is_mapped else task.retry_policy
        assert policy is not None, f"{dag.dag_id}.{task.task_id}: use dag_arguments"
        assert policy.evaluate(error("x"), try_number=1, max_tries=3).action.value == decision


def test_its_form_is_typed_and_explained(dag: DAG) -> None:
    for name in dag.params:
        param = dag.params.get_param(name)
        assert param.schema.get("type"), f"{dag.dag_id}: give {name} a type, else the form cannot check it"
        assert param.schema.get("title"), f"{dag.dag_id}: give {name} a title"
        param.resolve()


def test_its_definition_can_be_stored(dag: DAG) -> None:
    stored = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    assert set(stored.task_ids) == set(dag.task_ids)


def test_every_stage_of_the_catalogue_is_a_task_of_the_dag_that_it_names(dags: dict[str, DAG]) -> None:
    for stage in STAGES:
        if stage.section:  # of loops that have it, which `news` has not: see plugins/test_chain.py
            continue
        tasks = set(dags[f"news.{stage.dag}"].task_ids)
        wanted = {"baseline", "finetune"} if stage.per == "candidate" else {stage.name}
        assert wanted <= tasks, f"dags/{stage.dag}.py: call stage_tasks"
