"""What a job tells while it works: numbers to the journal, a line for a person every few seconds."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field

from lakeloop.measures.base import MetricSpec, shown
from lakeloop.tracking.tracker import Tracker
from training.cost import Load
from training.validation import Scores

log = logging.getLogger(__name__)

LINE_SECONDS = 3.0
LOG_STEPS = 10


@dataclass
class Progress:
    """Progress of a training of `epochs` times `steps` batches."""

    tracker: Tracker
    metric: MetricSpec
    """The score that chooses the epoch."""
    epochs: int
    steps: int
    _began: float = field(default_factory=time.monotonic)
    _said: float = field(default_factory=time.monotonic)
    _done: int = 0
    _rows: int = 0
    _losses: list[float] = field(default_factory=list)
    _load: Load = field(default_factory=Load)

    def step(self, loss: float, learning_rate: float, rows: int, gradient_norm: float) -> None:
        """One batch of `rows` rows is done; `loss` is its mean, `gradient_norm` is before it was cut."""
        self._done += 1
        self._rows += rows
        self._losses.append(loss)
        if self._done % LOG_STEPS == 0 or self._done % self.steps == 0:
            self.tracker.log(
                {
                    "train/loss": sum(self._losses) / len(self._losses),
                    "train/learning_rate": learning_rate,
                    "train/gradient_norm": gradient_norm,
                    "train/texts_per_second": self._rate,
                    "train/seconds": self._seconds,
                    **self._load.read(),
                },
                self._done,
            )
            self._losses.clear()
        if time.monotonic() - self._said >= LINE_SECONDS:
            self._say(loss)

    def epoch(self, number: int, loss: float, scores: Scores, *, best: bool) -> None:
        """Epoch `number` (from 1) is over: mean training loss, and how it does on validation."""
        measured = {f"validation/{name}": value for name, value in scores.named.items()}
        self.tracker.log({"epoch": number, "train/epoch_loss": loss, **measured}, self._done)
        log.info(
            "epoch %d of %d: loss %.4f, validation %s %s, loss %.4f%s",
            number, self.epochs, loss, self.metric.title, shown(scores.named[self.metric.name]), scores.loss,
            ", best so far" if best else "",
        )  # fmt: skip

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._began

    @property
    def _rate(self) -> float:
        return self._rows / max(self._seconds, 1e-9)

    def _say(self, loss: float) -> None:
        self._said = time.monotonic()
        left = self._seconds / self._done * (self.epochs * self.steps - self._done)
        log.info(
            "epoch %d of %d, step %d of %d: loss %.4f, %.0f texts/s, at most %.0f s left",
            (self._done - 1) // self.steps + 1, self.epochs, (self._done - 1) % self.steps + 1, self.steps,
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
