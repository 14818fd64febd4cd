"""A model server for benchmarks: an artifact of a short training, and a process that serves it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.jobs import job_config
from benchmarks.train import read_rows
from lakeloop.gate.decide import Decision
from lakeloop.registry.history import ModelCard
from lakeloop.registry.registry import Registry
from lakeloop.settings import get_settings
from lakeloop.spec.train import Train
from lakeloop.stages.frame.session import StageContext
from tests.support.serving import ServerProcess
from training import job
from training.train import train

MAX_TOKENS = 256
ROWS = 1000
"""Of the training: how good the answers are is no matter here."""
_LOOP = """
name: bench
source:
  kind: files
  path: drops/{{partition}}.jsonl
  key: id
  columns: {{id: string, text: string, label: string}}
task: {{text: text, label: label, labels: {labels}}}
"""


def make_artifact(data: Path, work: Path, method: str = "head") -> Path:
    """The artifact of a short training."""
    training, validation, _ = read_rows(data)
    (work / "dataset").mkdir(parents=True)
    training.sample(ROWS, random_state=0).to_parquet(work / "dataset/train.parquet", index=False)
    validation.to_parquet(work / "dataset/validation.parquet", index=False)
    (work / "dataset/dataset.json").write_text(json.dumps({"digest": "d" * 64}))
    settings = {"method": method, "max_tokens": MAX_TOKENS}
    config = job_config(Train.model_validate(settings), work, classes(data), "accuracy")
    (work / "config.json").write_text(config.model_dump_json())
    job.run(work / "config.json", train)
    return work / "artifact"


def classes(data: Path) -> list[str]:
    return sorted(read_rows(data)[0]["label"].unique())


def start(root: Path, artifact: Path, data: Path, **limits: Any) -> ServerProcess:
    """A server that has the artifact as the champion of its loop; `limits` as in `Limits`."""
    (root / "loops/bench").mkdir(parents=True)
    (root / "dbt").mkdir()
    (root / "loops/bench/loop.yaml").write_text(_LOOP.format(labels=json.dumps(classes(data))))
    context = StageContext.open("bench", get_settings(root=root))
    card = ModelCard(
        candidate="baseline",
        method="head",
        dataset_digest="d" * 64,
        metrics={},
        decision=Decision(accepted=None, reason="for a benchmark", checks=()),
    )
    version = Registry(context.lake).register(artifact, card)
    Registry(context.lake).promote(version.name, over=None, reason="for a benchmark", cause="test")
    server = ServerProcess.start(context.settings, loops=("bench",), **limits)
    server.await_answer("/readyz")
    return server
