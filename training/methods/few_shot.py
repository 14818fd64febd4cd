"""Few-shot: the encoder learns which texts belong together, and a linear model is fitted on what it gives.

As SetFit does (Tunstall et al. 2022), with the supervised contrastive loss of Khosla et al. (2020) in place
of single pairs: each text of a batch is drawn to all others with its right answer and away from the rest.
The epoch counts whose linear model does best on the validation rows, the untouched base model among them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import normalize
from torch.nn.utils import clip_grad_norm_

from lakeloop.faults import reach
from lakeloop.spec import methods as spec
from training.attention import fuse_attention, restore_attention
from training.data import Tokens
from training.embed import embed_texts
from training.gradient import GRADIENT_NORM, WEIGHT_DECAY, linear_schedule
from training.job import Job, Trained
from training.methods.base import Method, train_all, trainable
from training.methods.full import Full
from training.methods.head import Fitted, fit_head
from training.network import Network, load_encoder
from training.progress import Progress
from training.tasks.base import TrainingTask


def few_shot(section: spec.FewShot) -> Method:
    return FewShot(section.temperature)


@dataclass(frozen=True)
class FewShot:
    """Moves all that method full moves, but for the last layer, which is fitted."""

    temperature: float

    def train(self, job: Job, task: TrainingTask) -> Trained:
        tokens = job.tokenise()
        encoder = load_encoder(job.base, job.config.train.max_tokens)
        fuse_attention(encoder)
        job.suit(encoder)
        network = task.network(encoder).to(job.device.target)
        Full().open(network)
        network.head.requires_grad_(False)
        with job.timed("train"):
            best, number = self._fit(job, task, network, tokens)
        best.linear.put_into(network.head)
        restore_attention(network.encoder)
        return Trained(network, best.scores, {"best_epoch": number, "regularisation": best.regularisation})

    def _fit(self, job: Job, task: TrainingTask, network: Network, tokens: Tokens) -> tuple[Fitted, int]:
        """Train; returns the best linear model and its epoch, whose weights the network has in the end."""
        train = job.config.train
        parameters = trainable(network)
        rate = float(job.settings["learning_rate"])
        optimiser = torch.optim.AdamW(parameters, lr=rate, weight_decay=WEIGHT_DECAY, fused=True)
        targets = job.dataset.train.targets
        steps = len(list(paired_batches(targets, train.batch_size, (train.seed, 0))))
        schedule = linear_schedule(optimiser, train.epochs * steps)
        progress = Progress(job.tracker, job.judge.metric, train.epochs, steps)
        best, number, kept = self._judged(job, task, network, tokens), 0, _copies(parameters)
        for epoch in range(1, train.epochs + 1):
            train_all(network)
            total, seen = 0.0, 0
            for rows in paired_batches(targets, train.batch_size, (train.seed, epoch)):
                reach("train.mid-epoch")
                loss = self._loss(job, network, tokens, rows)
                loss.backward()  # type: ignore[no-untyped-call]
                norm = clip_grad_norm_(parameters, GRADIENT_NORM)
                at = float(schedule.get_last_lr()[0])
                optimiser.step()
                schedule.step()
                optimiser.zero_grad(set_to_none=True)
                total, seen = total + loss.item() * len(rows), seen + len(rows)
                progress.step(loss.item(), at, len(rows), norm.item())
                job.pulse.beat()
            job.pulse.rest()
            fitted = self._judged(job, task, network, tokens)
            if better := fitted.scores.rank > best.scores.rank:
                best, number, kept = fitted, epoch, _copies(parameters)
            progress.epoch(epoch, total / seen, fitted.scores, best=better)
        with torch.no_grad():
            for parameter, value in zip(parameters, kept, strict=True):
                parameter.copy_(value)
        return best, number

    def _loss(self, job: Job, network: Network, tokens: Tokens, rows: NDArray[np.int64]) -> torch.Tensor:
        targets = torch.from_numpy(job.dataset.train.targets[rows]).to(job.device.target)
        with job.device.autocast():
            embeddings = network.embed(*job.device.place(tokens.batch(rows)))
        return contrast(embeddings.float(), targets, self.temperature)

    @staticmethod
    def _judged(job: Job, task: TrainingTask, network: Network, tokens: Tokens) -> Fitted:
        network.eval()
        return fit_head(job, task, embed_texts(network, tokens, job.device))


def contrast(embeddings: torch.Tensor, targets: torch.Tensor, temperature: float) -> torch.Tensor:
    """The supervised contrastive loss of float32 [rows, hidden], a scalar; each target occurs twice or more.

    Equation 2 of Khosla et al. (2020), "Supervised Contrastive Learning", on embeddings of length 1.
    """
    unit = normalize(embeddings)
    itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    alike = (unit @ unit.T / temperature).masked_fill(itself, -torch.inf)
    chances = torch.log_softmax(alike, dim=1).masked_fill(itself, 0.0)
    together = (targets[:, None] == targets[None, :]) & ~itself
    return -((chances * together).sum(1) / together.sum(1)).mean()


def paired_batches(
    targets: NDArray[np.int64], batch_size: int, seed: tuple[int, int]
) -> Iterator[NDArray[np.int64]]:
    """Row numbers of each batch of an epoch, [rows]: each row with another one of its target, all in pairs.

    The odd one of a target goes with another of its rows once more; one that is alone with itself, which
    dropout tells apart.
    """
    random = np.random.default_rng(seed)
    pairs = []
    for target in np.unique(targets):
        rows = random.permutation(np.flatnonzero(targets == target))
        pairs.append(np.resize(rows, len(rows) + len(rows) % 2).reshape(-1, 2))
    shuffled = random.permutation(np.concatenate(pairs))
    size = max(1, batch_size // 2)
    for start in range(0, len(shuffled), size):
        yield shuffled[start : start + size].reshape(-1)


def _copies(parameters: tuple[torch.nn.Parameter, ...]) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in parameters]
