"""What a job tells while it works: numbers to the journal, a line for a person every few seconds."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lakeloop.measures.base import MetricSpec, shown
from lakeloop.tracking.journal import read_journal
from lakeloop.tracking.tracker import Tracker
from training.cost import Load
from training.validation import Scores

log = logging.getLogger(__name__)

LINE_SECONDS = 3.0
LOG_STEPS = 10
_LOSS, _EPOCH = "train/loss", "epoch"


@dataclass(frozen=True)
class Told:
    """How far a journal goes already, by an earlier try of the job: a curve has each of its points once."""

    step: int = 0
    epoch: int = 0


def told_in(journal: Path) -> Told:
    """How far the training in `journal` goes; nowhere when there is no such file."""
    if not journal.is_file():
        return Told()
    points = [entry.data for entry in read_journal(journal) if entry.kind == "log"]
    steps = [int(point["step"]) for point in points if _LOSS in point["metrics"]]
    epochs = [int(point["metrics"][_EPOCH]) for point in points if _EPOCH in point["metrics"]]
    return Told(max(steps, default=0), max(epochs, default=0))


@dataclass
class Progress:
    """Progress of a training of `epochs` times `steps` batches."""

    tracker: Tracker
    metric: MetricSpec
    """The score that chooses the epoch."""
    epochs: int
    steps: int
    told: Told = Told()
    """What is in the journal already is not told again."""
    done: int = 0
    """Batches, over all epochs."""
    _began: float = field(default_factory=time.monotonic)
    _said: float = field(default_factory=time.monotonic)
    _rows: int = 0
    _losses: list[float] = field(default_factory=list)
    _load: Load = field(default_factory=Load)

    def step(self, loss: float, learning_rate: float, rows: int, gradient_norm: float) -> None:
        """One batch of `rows` rows is done; `loss` is its mean, `gradient_norm` is before it was cut."""
        self.done += 1
        self._rows += rows
        self._losses.append(loss)
        if self.done % LOG_STEPS == 0 or self.done % self.steps == 0:
            if self.done > self.told.step:
                self.tracker.log(self._point(learning_rate, gradient_norm), self.done)
            self._losses.clear()
        if time.monotonic() - self._said >= LINE_SECONDS:
            self._say(loss)

    def epoch(self, number: int, loss: float, scores: Scores, *, best: bool) -> None:
        """Epoch `number` (from 1) is over: mean training loss, and how it does on validation."""
        if number > self.told.epoch:
            measured = {f"validation/{name}": value for name, value in scores.named.items()}
            self.tracker.log({_EPOCH: number, "train/epoch_loss": loss, **measured}, self.done)
        log.info(
            "epoch %d of %d: loss %.4f, validation %s %s, loss %.4f%s",
            number, self.epochs, loss, self.metric.title, shown(scores.named[self.metric.name]), scores.loss,
            ", best so far" if best else "",
        )  # fmt: skip

    def state(self) -> dict[str, Any]:
        """What a process that goes on with the training needs to tell what this one would have told."""
        return {"done": self.done, "rows": self._rows, "losses": list(self._losses), "seconds": self._seconds}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`; the time in between does not count."""
        self.done, self._rows, self._losses = state["done"], state["rows"], list(state["losses"])
        self._began = time.monotonic() - state["seconds"]

    def _point(self, learning_rate: float, gradient_norm: float) -> dict[str, float]:
        return {
            _LOSS: sum(self._losses) / len(self._losses),
            "train/learning_rate": learning_rate,
            "train/gradient_norm": gradient_norm,
            "train/texts_per_second": self._rate,
            "train/seconds": self._seconds,
            **self._load.read(),
        }

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._began

    @property
    def _rate(self) -> float:
        return self._rows / max(self._seconds, 1e-9)

    def _say(self, loss: float) -> None:
        self._said = time.monotonic()
        left = self._seconds / self.done * (self.epochs * self.steps - self.done)
        log.info(
            "epoch %d of %d, step %d of %d: loss %.4f, %.0f texts/s, at most %.0f s left",
            (self.done - 1) // self.steps + 1, self.epochs, (self.done - 1) % self.steps + 1, self.steps,
            loss, self._rate, left,
        )  # fmt: skip


@dataclass
class Passage:
    """Progress of one pass over texts without training."""

    what: str
    texts: int
    tokens: int
    _began: float = field(default_factory=time.monotonic)
    _said: float = field(default_factory=time.monotonic)
    _texts: int = 0
    _tokens: int = 0

    def add(self, texts: int, tokens: int) -> None:
        """So many more texts and tokens are done."""
        self._texts += texts
        self._tokens += tokens
        if time.monotonic() - self._said >= LINE_SECONDS:
            self._said = time.monotonic()
            seconds = self._said - self._began
            log.info(
                "%s: %d of %d texts, %.0f texts/s, %.0f s left",
                self.what, self._texts, self.texts, self._texts / seconds,
                seconds * (self.tokens / self._tokens - 1),
            )  # fmt: skip
