"""The tasks that a loop with a search has, and what becomes of them."""

from __future__ import annotations

from airflow.sdk import DAG
from airflow.sdk.definitions.mappedoperator import MappedOperator
from airflow.serialization.serialized_objects import DagSerialization
from lakeloop_airflow.chain import stage_tasks
from lakeloop_airflow.forms import changed, run_fields

from lakeloop.stages.catalogue import GPU
from tests.support.small_loop import small_loop


def dag_of(**search: object) -> DAG:
    section = {"space": {"epochs": [1, 2]}, "trials": 4, "parallel": 2, **search}
    with DAG("small.train", schedule=None) as dag:
        stage_tasks(small_loop(train={"search": section}), "train")
    return dag


def test_trials_are_mapped_tasks_of_the_gpu_pool() -> None:
    dag = dag_of()
    trials = dag.get_task("finetune_trial")
    assert isinstance(trials, MappedOperator)
    assert trials.pool == GPU
    assert trials.max_active_tis_per_dagrun == 2
    assert trials.upstream_task_ids == {"finetune_slots"}


def test_the_last_task_runs_also_when_trials_have_failed_and_before_the_evaluation() -> None:
    dag = dag_of()
    last = dag.get_task("finetune")
    assert last.trigger_rule == "all_done_min_one_success"
    assert last.upstream_task_ids == {"finetune_slots", "finetune_trial"}
    assert dag.get_task("evaluate").upstream_task_ids == {"baseline", "finetune"}
    assert dag.get_task("finetune_slots").upstream_task_ids == {"dataset"}
    assert dag.get_task("baseline").upstream_task_ids == {"dataset"}


def test_another_candidate_may_be_the_one_that_is_searched() -> None:
    dag = dag_of(candidate="baseline", space={"method.regularisation": [0.1, 1.0]})
    assert {"baseline_slots", "baseline_trial", "baseline", "finetune"} <= set(dag.task_ids)


def test_a_dag_with_a_search_can_be_stored() -> None:
    dag = dag_of()
    stored = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    assert set(stored.task_ids) == set(dag.task_ids)


def test_the_form_of_a_loop_that_searches_asks_how_many_trials() -> None:
    loop = small_loop(train={"search": {"space": {"epochs": [1, 2]}, "trials": 4}})
    fields = run_fields(loop, "train")
    assert fields["train.search.trials"].resolve() == 4
    assert fields["train.search.minutes"].resolve() is None
    assert changed(loop, {"train.search.trials": 9, "train.search.minutes": None}) == {
        "train.search.trials": 9
    }
    assert not [key for key in run_fields(small_loop(), "train") if "search" in key]
