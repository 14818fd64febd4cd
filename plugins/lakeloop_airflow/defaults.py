"""The policy that all DAGs share: retries, pools, tags, ownership. In one place, so in no DAG file."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Any

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule

from lakeloop.spec.models import LoopSpec

GPU_POOL = "gpu"
"""One slot for each device that can train."""

WRITERS_POOL = "lakeloop_writers"
"""Tasks that write tables, of all loops: a loop that is new tomorrow cannot bring a pool of its own, and a
task of a pool that is not there waits for ever. Within a loop the DAGs' `max_active_runs` keeps order."""

GPU_QUEUE = "gpu"
"""Queue of the Celery workers that have torch, and a device to train on; one machine ignores it."""

RETRIES = 3
RETRY_POLICY = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception="lakeloop.errors.TerminalError",
            action=RetryAction.FAIL,
            reason="trying again cannot help: a person has to change something",
        ),
    ]
)


class Tag(StrEnum):
    """The tags that a DAG may carry, besides the name of its loop."""

    LAKELOOP = "lakeloop"
    DATA = "data"
    MODEL = "model"
    UPKEEP = "upkeep"


def dag_arguments(loop: LoopSpec, stage: str, tag: Tag, doc: str | None) -> dict[str, Any]:
    """Arguments of the DAG `<loop>.<stage>`; `doc` is the docstring of its file.

    One run at a time: two runs that write the same partition would only fence each other off.
    """
    return {
        "dag_id": f"{loop.name}.{stage}",
        "description": (doc or "").strip().splitlines()[0],
        "doc_md": doc,
        "tags": {Tag.LAKELOOP, tag, loop.name},
        "catchup": False,
        "max_active_runs": 1,
        "default_args": {
            "owner": loop.owner,
            "retries": RETRIES,
            "retry_delay": timedelta(seconds=15),
            "retry_exponential_backoff": True,
            "max_retry_delay": timedelta(minutes=10),
            "retry_policy": RETRY_POLICY,
        },
    }
