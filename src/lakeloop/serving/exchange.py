"""One request from its texts to its logged answers, and the parts of a loop that answer it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from lakeloop.inference.pieces import Pieces, reading_cost
from lakeloop.records import now
from lakeloop.serving.guard.problems import ProblemError
from lakeloop.serving.log.observations import ObservationLog
from lakeloop.serving.log.predictions import Answered, PredictionLog
from lakeloop.serving.log.table import TableLog
from lakeloop.serving.messages import PredictResponse
from lakeloop.serving.metrics import LoopMetrics
from lakeloop.serving.router import answering
from lakeloop.serving.slots import ServedModel, Slots
from lakeloop.tasks.base import Answer
from lakeloop.tasks.reading import Instance, Reading

_CHARACTERS_A_TOKEN = 4
"""Of usual texts."""
_USUAL_TOKENS = 256
"""That a model reads of a text, by default."""


@dataclass(frozen=True)
class ServedLoop:
    """One loop of a server process."""

    name: str
    task: str
    """Kind of task, as the loop file has it; a champion of yesterday may be of another."""
    slots: Slots
    predictions: PredictionLog
    observations: ObservationLog
    metrics: LoopMetrics

    @property
    def logs(self) -> tuple[TableLog, ...]:
        """What is written down of it, each for a table of its own."""
        return self.predictions, self.observations


@dataclass(frozen=True)
class Exchange:
    """One request, parsed and within the limits."""

    served: ServedLoop
    request_id: str
    rows: Sequence[Instance]
    started: float
    """When the request was parsed, by the monotonic clock."""
    seconds: float
    """How long its client waits for an answer."""
    top: int = 0
    """How many scores an answer has that the client gets; 0 is all. The log has all."""
    client: str = ""
    """As its client calls itself; empty where it does not."""

    @property
    def left(self) -> float:
        """Seconds that its client still waits."""
        return max(0.0, self.started + self.seconds - time.monotonic())

    def answers_of(self, model: ServedModel) -> Pieces[Sequence[Answer]]:
        """Ask one model, for all of it.

        Raises:
            ProblemError: 422, the model does not read such rows.
            ArtifactError: the network fails on the texts.
        """
        self._require_readable(model.predictor.description.reads)
        answers = yield from model.predictor.pieces(self.rows)
        below = model.release.below
        return [answer.unless_unsure(below) for answer in answers] if below else answers

    def by_champion(self, asked: float) -> Pieces[PredictResponse]:
        """Ask the champion, and log what it says, as a request of its that began at `asked` (monotonic).

        One model answers all of it, also when another becomes champion between two pieces.

        Raises:
            ProblemError: 503, the loop has no model; 422, its model does not read such rows.
            ArtifactError: the network fails on the texts.
        """
        model = answering(self.served.slots)
        answers = yield from self.answers_of(model)
        # Later the client has its 503 already; an answer that the client did not get is not logged.
        if self.left:
            self.log(model, answers, time.monotonic() - asked)
        return self.response(model, answers)

    def log(self, model: ServedModel, answers: Sequence[Answer], seconds: float) -> None:
        """Keep what the model said within so many seconds, before the client gets it."""
        if self.rows:
            self.served.predictions.record(
                Answered(
                    request_id=self.request_id,
                    at=now(),
                    model_version=model.release.version,
                    rows=self.rows,
                    answers=answers,
                    latency_ms=seconds * 1000,
                )
            )

    def response(self, model: ServedModel, answers: Sequence[Answer]) -> PredictResponse:
        """What the client gets."""
        shown = [answer.cut(self.top) for answer in answers] if self.top else answers
        return PredictResponse(
            model_version=model.release.version, predictions=list(shown), request_id=self.request_id
        )

    @property
    def size(self) -> int:
        """Tokens that it will cost about, by all that can be told before the texts are tokenised."""
        lengths = [sum(map(len, row.words)) for row in self.rows]
        read = sum(min(length // _CHARACTERS_A_TOKEN, _USUAL_TOKENS) for length in lengths)
        return read + reading_cost(sum(lengths))

    def _require_readable(self, reads: Reading) -> None:
        for number, row in enumerate(self.rows):
            for key, expected, found in reads.faults(row):
                raise ProblemError(
                    422,
                    "not_what_the_model_reads",
                    f"body.instances.{number}.{key} does not fit: the model of loop {self.served.name} reads"
                    f" {reads.in_words}",
                    expected=expected,
                    found=found,
                )
