"""Several networks of one training, by seeds of their own, that answer together: the mean of their answers.

A deep ensemble (Lakshminarayanan et al. 2017). The members are one network, so that the artifact, its ONNX
file and the server are as for one; each answer costs as much as all of them.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from lakeloop.measures.base import shown
from lakeloop.tracking.tracker import Tracker
from training.data import tokenise
from training.device import open_device
from training.embed import run
from training.job import Job, Trained
from training.methods.base import Method
from training.network import TokenNetwork
from training.progress import Told
from training.steps import Feed, forward_of
from training.tasks.base import TrainingTask

log = logging.getLogger(__name__)


class Vote(TokenNetwork):
    """The mean of what its members answer: of chances where answers are classes, else of outputs.

    Of the mean chances it gives the logarithms, which are outputs as a single network has them; the last
    layer leaves them as they are.
    """

    head: nn.Linear

    def __init__(self, members: Sequence[TokenNetwork], width: int, *, classes: bool) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.features = members[0].features
        self.classes = classes
        self.head = nn.Linear(width, width)
        with torch.no_grad():
            self.head.weight.copy_(torch.eye(width))
            self.head.bias.zero_()

    def embed(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, features: torch.Tensor | None = None
    ) -> torch.Tensor:
        given = (input_ids, attention_mask) if features is None else (input_ids, attention_mask, features)
        outputs = torch.stack([member(*given) for member in self.members])
        if not self.classes:
            return outputs.mean(0)
        return torch.logsumexp(outputs.log_softmax(-1), 0) - math.log(len(self.members))


def trained_by_vote(job: Job, task: TrainingTask, method: Method) -> Trained:
    """Train the members one after the other, and judge them together.

    Each has checkpoints of its own; of one that is done its last is kept, so that a training that goes on
    does only the end of it again.
    """
    members = []
    for number in range(job.config.train.vote):
        own = _member(job, number)
        trained = method.train(own, task)
        trained.network.to("cpu").eval()
        members.append((own.config.train.seed, trained))
        job.device = own.device
    networks = [trained.network for _, trained in members]
    vote = Vote(networks, job.dataset.contract.width, classes=job.config.task.classes)
    with job.timed("vote"):
        scores = job.judge.score(task, outputs_of(job, vote))
    metric = job.judge.metric
    log.info(
        "%d networks: validation %s %s, and %s alone", len(members), metric.title,
        shown(scores.named[metric.name]),
        ", ".join(shown(trained.validation.named[metric.name]) for _, trained in members),
    )  # fmt: skip
    told = [
        {"seed": seed, "validation": dict(trained.validation.named), **trained.details}
        for seed, trained in members
    ]
    return Trained(vote, scores, {"members": told})


def outputs_of(job: Job, network: TokenNetwork) -> Any:
    """Of the validation rows, float32 [rows, width] or of rows [tokens, width], as they are served."""
    rows = job.dataset.validation.instances
    tokens = replace(
        tokenise(job.tokenizer, rows, job.dataset.reads),
        plan=job.device.plan,
        limit=job.config.train.max_tokens,
    )
    device = replace(job.device, bf16=False)
    network = network.to(device.target).eval()
    forward = forward_of(device, Feed(device.place), network, "outputs")
    return run(forward, tokens, np.arange(len(rows)), device, "outputs")


def _member(job: Job, number: int) -> Job:
    """The job of one member: with its seed, its checkpoints, and its place in the curves."""
    train = job.config.train
    seed = (train.seed + number) % 2**31
    epochs = number * train.epochs
    steps = epochs * math.ceil(len(job.dataset.train) / train.batch_texts)
    return replace(
        job,
        config=job.config.model_copy(update={"train": train.model_copy(update={"seed": seed})}),
        device=open_device(seed),
        tracker=_Later(job.tracker, steps, epochs),
        told=Told(max(0, job.told.step - steps), max(0, job.told.epoch - epochs)),
        checkpoints=job.checkpoints.of_member(number) if job.checkpoints else None,
    )


@dataclass(frozen=True)
class _Later:
    """A tracker whose steps and epochs begin where those of the member before end."""

    tracker: Tracker
    steps: int
    epochs: int

    def log(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        if "epoch" in metrics:
            metrics = {**metrics, "epoch": metrics["epoch"] + self.epochs}
        self.tracker.log(metrics, None if step is None else step + self.steps)

    def config(self, values: Mapping[str, Any]) -> None:
        self.tracker.config(values)

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        self.tracker.table(name, columns, rows)

    def artifact(
        self,
        name: str,
        kind: str,
        path: Path,
        metadata: Mapping[str, Any] | None = None,
        *,
        used: bool = False,
        aliases: Sequence[str] = (),
        refers_to: str = "",
    ) -> None:
        self.tracker.artifact(name, kind, path, metadata, used=used, aliases=aliases, refers_to=refers_to)

    def summary(self, values: Mapping[str, Any]) -> None:
        self.tracker.summary(values)

    def close(self, exit_code: int = 0) -> None:
        self.tracker.close(exit_code)
