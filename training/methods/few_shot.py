"""Few-shot: the encoder learns which texts belong together, and a linear model is fitted on what it gives.

As SetFit does (Tunstall et al. 2022), with the supervised contrastive loss of Khosla et al. (2020) in place
of single pairs: each text of a batch is drawn to all others with its right answer and away from the rest.
The epoch counts whose linear model does best on the validation rows, the untouched base model among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import normalize

from lakeloop.spec import methods as spec
from training.attention import fuse_attention, restore_attention
from training.course import Course
from training.embed import embed_texts, run
from training.extras.objective import set_dropout
from training.gradient import Fit
from training.job import Job, Trained
from training.memory import HALVINGS, Passes
from training.methods.base import Method, Opened, trainable
from training.methods.full import Full
from training.methods.head import Fitted, fit_head
from training.network import load_encoder
from training.steps import Feed
from training.tasks.base import TrainingTask
from training.validation import Scores


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
        set_dropout(encoder, job.config.train.dropout, job.base.name)
        network = task.network(encoder, job.dataset.reads.width).to(job.device.target)
        Full().open(network)
        network.head.requires_grad_(False)
        opened = Opened(trainable(network))
        # A batch in passes would be another loss: each text is compared with all others of its batch.
        passes = Passes(max(2, job.config.train.batch_texts), halved=HALVINGS)
        fit = FitTogether(
            job, task, opened, network, Feed(job.device.place), tokens, passes, temperature=self.temperature
        )
        network.eval()
        best, number = fit_head(job, task, embed_texts(network, tokens, job.device)), 0
        untouched = [parameter.detach().clone() for parameter in opened.parameters]
        with job.timed("train"):
            course = fit.run()
        if course.take_best().validation.rank > best.scores.rank:
            best, number = fit.fitted(course), course.take_best().number
        else:
            with torch.no_grad():
                for parameter, value in zip(opened.parameters, untouched, strict=True):
                    parameter.copy_(value)
        best.linear.put_into(network.head)
        restore_attention(network.encoder)
        details = {
            "best_epoch": number,
            "epochs": [epoch.as_dict() for epoch in course.epochs],
            "resumed_at": course.resumed,
            "regularisation": best.regularisation,
        }
        return Trained(network, best.scores, details)


@dataclass(frozen=True, kw_only=True)
class FitTogether(Fit):
    """Moves the weights so that texts of one answer lie together; an epoch is worth its linear model."""

    temperature: float

    def fitted(self, course: Course) -> Fitted:
        """The linear model that does best on what the encoder gives now."""
        self.network.eval()
        embeddings = run(
            self.forward,
            self.tokens,
            np.arange(len(self.tokens.ids)),
            self.job.device,
            "validation",
            passes=self.in_validation,
            between=lambda: self._between(course),
        )
        self.job.pulse.rest()
        return fit_head(self.job, self.task, embeddings)

    def _validate(self, course: Course) -> Scores:
        return self.fitted(course).scores

    def _validated(self, *given: torch.Tensor) -> torch.Tensor:
        return self.network.embed(*given)

    def _batches(self, epoch: int) -> Sequence[NDArray[np.int64]]:
        train = self.job.config.train
        return list(paired_batches(self.job.dataset.train.targets, train.batch_texts, (train.seed, epoch)))

    def _loss(self, targets: torch.Tensor, *texts: torch.Tensor) -> torch.Tensor:
        with self.job.device.autocast():
            embeddings = self.network.embed(*self.feed.bind(*texts))
        return contrast(embeddings.float(), targets, self.temperature)

    @property
    def _patience(self) -> int:
        return self.job.config.train.epochs

    @property
    def _steps(self) -> int:
        return len(self._batches(0))


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
