"""The whole loop through a real scheduler: two days of stories to a model that answers over HTTP."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Iterator

import httpx
import psutil
import pyarrow.parquet as pq
import pytest

from lakeloop.local.drive import Outcome, drive
from lakeloop.registry.registry import Registry
from lakeloop.stages.frame.pending import work_left
from lakeloop.tracking.mirror import mirror_pending
from tests.support.stack import RunningStack
from tests.support.wandb_files import wandb_runs

pytestmark = [pytest.mark.slow, pytest.mark.stack, pytest.mark.timeout(900)]
log = logging.getLogger(__name__)


def run_all_days(running: RunningStack) -> Outcome:
    context = running.context
    with running.api() as api:
        return drive(
            api, "news", running.partitions, pending=lambda: work_left(context), say=log.info, time_limit=600
        )


@pytest.fixture(scope="module")
def first(stack: RunningStack) -> Outcome:
    return run_all_days(stack)


def test_every_run_succeeds_and_nothing_is_left_to_do(stack: RunningStack, first: Outcome) -> None:
    assert first.failures == []
    assert list(work_left(stack.context)) == []
    ran = {(task.dag_id, task.task_id) for task in first.tasks if task.state == "success"}
    assert {"news.ingest", "news.transform", "news.train", "news.deploy"} <= {dag for dag, _ in ran}
    assert len(ran) >= 10


def test_everything_listens_on_the_loopback_address_only(stack: RunningStack, first: Outcome) -> None:
    groups = {component.pid for component in stack.stack.components}
    listening = [
        (process.name(), connection.laddr.ip)
        for process in processes_of(groups)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 3, "the API server, the log server, the model server"
    assert {address for _, address in listening} == {"127.0.0.1"}, listening


def processes_of(groups: set[int]) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            if os.getpgid(process.pid) in groups:
                yield process


def test_a_page_of_another_site_gets_no_token_under_its_own_name(stack: RunningStack) -> None:
    token = f"{stack.stack.airflow_url}/auth/token"
    assert httpx.get(token).json()["access_token"]
    for url in (token, f"{stack.stack.server_url}/v1/model"):
        assert httpx.get(url, headers={"Host": "evil.example"}).status_code == 421


def test_the_log_of_a_running_task_is_read_where_it_is_served(stack: RunningStack, first: Outcome) -> None:
    """The executor serves it on the address that tasks are registered under, and not without a token."""
    with stack.api() as api:
        run = api.runs(["news.ingest"])[0]
        (task,) = (t for t in api.tasks("news.ingest", run["dag_run_id"]) if t["task_id"] == "ingest")
    assert task["hostname"] == "127.0.0.1"
    environment = psutil.Process(stack.stack.component("scheduler").pid).environ()
    port = environment["AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT"]
    assert httpx.get(f"http://127.0.0.1:{port}/log/x").status_code == 403


def test_rows_read_are_all_in_the_mart_in_quarantine_or_counted_as_duplicates(
    stack: RunningStack, first: Outcome
) -> None:
    lake, ledger = stack.context.lake, stack.context.lake.ledger
    for day in stack.partitions:
        ingest, transform, validate = (
            ledger.latest(name, day) for name in ("ingest", "transform", "validate")
        )
        assert ingest is not None
        assert transform is not None
        assert validate is not None
        assert ingest.counts is not None
        duplicates = sum(one.counts.duplicates for one in (ingest, transform, validate) if one.counts)
        drop = stack.settings.home / "drops" / "news" / f"{day}.jsonl"
        lines = len(drop.read_bytes().splitlines())
        mart = lake.read("mart", partition=day).num_rows
        bad = lake.read("quarantine", partition=day).num_rows
        assert ingest.counts.read == lines
        assert lines == mart + bad + duplicates
        assert bad > 0, "the drops are dirty on purpose"


def test_the_better_candidate_is_champion_and_answers_over_http(stack: RunningStack, first: Outcome) -> None:
    champion = Registry(stack.context.lake).champion()
    assert champion is not None
    evaluation = stack.context.lake.ledger.latest("evaluate")
    assert evaluation is not None
    scores = {name: evaluation.metrics[f"{name}/macro_f1"] for name in ("baseline", "finetune")}
    assert champion.card.candidate == max(scores, key=lambda name: (scores[name], name == "baseline"))
    answer = httpx.post(
        f"{stack.stack.server_url}/v1/loops/news/predict",
        json={"texts": ["The striker scored twice as the home side won the cup final."]},
        timeout=30,
    ).raise_for_status()
    assert answer.json()["model_version"] == champion.name
    assert answer.json()["predictions"][0]["label"] == "sports"


def test_the_new_champion_answered_the_newest_day_and_a_file_by_hand(
    stack: RunningStack, first: Outcome
) -> None:
    lake, day = stack.context.lake, stack.partitions[-1]
    champion = Registry(lake).champion()
    assert champion is not None
    by_asset = lake.read("scores", partition=day, source="mart")
    assert by_asset.num_rows == lake.read("mart", partition=day).num_rows
    assert set(by_asset["model_version"].to_pylist()) == {champion.name}
    file = stack.settings.data_roots[0] / "answers" / f"{day}.parquet"
    assert pq.read_table(file).num_rows == by_asset.num_rows
    ours = stack.settings.data_roots[0] / "inbox.jsonl"
    lines = ['{"text": "The striker scored twice in the cup final."}', "{broken"]
    ours.write_text("\n".join(lines) + "\n")
    with stack.api() as api:
        run = api.trigger("news.score", day, {"score.source": str(ours), "score.to": str(file) + ".parquet"})
        deadline = time.monotonic() + 180
        while (task := api.tasks("news.score", run)[0])["state"] not in ("success", "failed", "skipped"):
            assert time.monotonic() < deadline, task
            time.sleep(1)
    assert task["state"] == "success"
    rows = pq.read_table(f"{file}.parquet").to_pylist()
    assert [row["answer"] is None for row in rows] == [False, True]
    assert lake.read("scores", partition=day).num_rows == by_asset.num_rows + 2


def test_wandb_holds_a_run_of_every_stage(
    stack: RunningStack, first: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert mirror_pending(stack.settings) == 0, "no journal is left waiting"
    runs = {run.config["stage"]: run for run in wandb_runs(stack.settings.wandb_dir)}
    assert {
        "ingest", "transform", "validate", "dataset", "train-baseline", "train-finetune",
        "evaluate", "release", "rollout",
    } <= set(runs)  # fmt: skip
    record = stack.context.lake.ledger.latest("evaluate")
    assert record is not None
    score = runs["evaluate"].summary["finetune/macro_f1"]
    assert score == pytest.approx(record.metrics["finetune/macro_f1"])


def test_a_second_run_redoes_nothing_and_says_so(stack: RunningStack, first: Outcome) -> None:
    ledger = stack.context.lake.ledger
    before = [(record.stage, record.partition, record.fingerprint) for record in ledger.entries()]
    second = run_all_days(stack)
    assert second.failures == []
    after = [(record.stage, record.partition, record.fingerprint) for record in ledger.entries()]
    assert after == before
    ingests = [task for task in second.tasks if task.dag_id == "news.ingest" and task.task_id == "ingest"]
    assert len(ingests) == len(stack.partitions)
    assert {task.state for task in ingests} == {"skipped"}
