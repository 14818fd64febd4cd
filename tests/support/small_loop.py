"""A small loop for tests: its spec, a context on a real lake, and published days of the mart.

`small_context(tmp_path)` gives a `StageContext` on a lake of its own; `publish(context, day, rows)` puts rows
into the mart as `validate` does: fenced, with a record in the ledger. `trained(...)` stores a candidate as
`train` does, without training.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from lakeloop.artifact import Artifact
from lakeloop.attempt import Attempt
from lakeloop.lake.store import Lake
from lakeloop.lake.tables import mart_schema
from lakeloop.records import Counts, StageRecord
from lakeloop.settings import Settings
from lakeloop.spec.identity import weights_of
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.yesterday import lift_file
from lakeloop.stages.frame.session import StageContext
from tests.support.artifacts import make_artifact

LABELS = ("business", "sports", "tech")
DAYS = ("2026-11-16", "2026-11-17", "2026-11-18")


def small_loop(**sections: Any) -> LoopSpec:
    """Three labels, training from 30 rows and then from 20 new ones; `sections` replace whole sections."""
    content = {
        "name": "small",
        "source": {
            "kind": "files",
            "path": "drops/{partition}.jsonl",
            "key": "id",
            "columns": {"id": "string", "text": "string", "label": "string"},
        },
        "task": {"text": "text", "label": "label", "labels": LABELS},
        "train": {"min_rows": 30, "min_new_rows": 20},
        "gate": {"min_score": 0.8, "max_regression": 0.01},
        **sections,
    }
    return LoopSpec.model_validate(lift_file(content))


MART = mart_schema(small_loop())
"""Columns of the mart of a classification loop."""


def small_context(
    tmp_path: Path, loop: LoopSpec | None = None, attempt: Attempt | None = None
) -> StageContext:
    """A context whose root is `tmp_path`; called again it opens the same lake, as another process would."""
    for folder in ("loops", "dbt"):
        (tmp_path / folder).mkdir(exist_ok=True)
    loop = loop or small_loop()
    settings = Settings(root=tmp_path)
    lake = Lake.from_settings(settings, loop)
    lake.bootstrap(loop)
    return StageContext(loop, lake, settings, attempt or Attempt("test-run"))


def mart_rows(
    day: str, count: int, *, first: int = 0, labels: Sequence[str] = LABELS
) -> list[dict[str, Any]]:
    """`count` rows with texts of their own that say their label; row ids count from `first`."""
    return [
        {
            "row_id": f"{day}-{number}",
            "text": f"story {day} {number} about {labels[number % len(labels)]}",
            "label": labels[number % len(labels)],
            "text_key": f"story {day} {number}",
            "event_time": None,
            "source_file": f"{day}.jsonl",
            "source_line": number + 1,
            "partition": day,
        }
        for number in range(first, first + count)
    ]


def publish(context: StageContext, day: str, rows: Sequence[Mapping[str, Any]]) -> StageRecord:
    """Publish `rows` as the mart of `day`, with the record that makes it count."""
    with context.stage("validate", day) as stage:
        stage.inputs(rows=str(len(rows)))
        fence = context.lake.claim("validate", day, context.attempt)
        table = pa.Table.from_pylist([dict(row) for row in rows], mart_schema(context.loop))
        published = context.lake.replace("mart", table, where={"partition": day}, fence=fence)
        return stage.done(
            reason=f"{len(rows)} rows published",
            outputs={"mart": published.digest, "mart_version": str(published.version)},
            counts=Counts(read=len(rows), accepted=len(rows)),
        )


def trained(
    context: StageContext,
    candidate: str,
    partition: str,
    *,
    seed: int = 17,
    confuse: Mapping[str, str] | None = None,
    dataset_digest: str | None = None,
) -> StageRecord:
    """A candidate for the newest data set of `partition`, stored and recorded as `train` does.

    It answers by the labels' names in the texts; `confuse` makes it wrong, `seed` another artifact.
    """
    dataset = context.lake.ledger.latest("dataset", partition, "done")
    assert dataset is not None
    artifact = make_artifact(
        new_artifact_folder(context, candidate, partition),
        context.loop.task.labels,
        loop=context.loop.name,
        candidate=candidate,
        seed=seed,
        confuse=confuse,
        dataset_digest=dataset_digest or dataset.outputs["digest"],
    )
    return record_training(context, candidate, partition, artifact, {"macro_f1": 0.9})


def new_artifact_folder(context: StageContext, candidate: str, partition: str) -> Path:
    """Where a candidate is made; nothing is there."""
    folder = context.work(context.record_name("train", candidate), partition) / "artifact"
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def record_training(
    context: StageContext, candidate: str, partition: str, artifact: Artifact, scores: Mapping[str, float]
) -> StageRecord:
    """Store the artifact of a candidate and record it, as `train` does; `scores` are of validation rows."""
    dataset = context.lake.ledger.latest("dataset", partition, "done")
    assert dataset is not None
    config = weights_of(context.loop, context.loop.train.candidate(candidate))
    with context.stage(context.record_name("train", candidate), partition, config=config) as stage:
        stage.inputs(dataset=dataset.outputs["digest"])
        name = f"candidates/{artifact.digest[:16]}"
        context.lake.files.put(artifact.folder, name)
        return stage.done(
            reason=f"validation {scores}",
            outputs={"artifact": name, "digest": artifact.digest},
            metrics={f"validation/{metric}": score for metric, score in scores.items()},
        )
