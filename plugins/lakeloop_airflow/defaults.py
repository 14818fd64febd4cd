"""The policy that all DAGs share: retries, pools, tags, ownership. In one place, so in no DAG file."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Any

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule

from lakeloop.spec.loop import LoopSpec

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
        "doc_md": documentation(loop, doc or ""),
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


def documentation(loop: LoopSpec, doc: str) -> str:
    """The docstring of a DAG file, for the DAG of one loop: with its names, and with links to its pages.

    The same text on every host: the web UI resolves a relative link from where Airflow itself is served.
    """
    schedule = f"`{loop.schedule.cron}` ({loop.schedule.timezone})"
    filled = {
        "<loop>": loop.name,
        "the loop file's `schedule.cron`": f"{schedule}, the loop file's `schedule.cron`",
        "The `owner` of the loop file": loop.owner,
    }
    for general, own in filled.items():
        doc = doc.replace(general, own)
    newest = f"lakeloop/newest/{loop.name}"
    return (
        f"{doc.rstrip()}\n\n"
        f"**Look.** [All loops](plugin/lakeloop), the newest [checks]({newest}/data_docs) and"
        f" [evaluation]({newest}/report) of {loop.name}. Its keys: `loops/{loop.name}/loop.yaml`.\n"
    )
