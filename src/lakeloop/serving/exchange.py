"""One request from its texts to its logged answers, and the parts of a loop that answer it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from lakeloop.inference.instances import Read
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
from lakeloop.spec.clean import TextLength
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
    length: TextLength | None = None
    """How long the texts are that its rows are taken from."""

    def count_unusual(self, rows: Sequence[Instance]) -> None:
        """Count the texts that were answered and would be quarantined, among rows, for their length."""
        if self.length is not None and self.length.bounded:
            self.metrics.outside_length.inc(sum(self.length.leaves_out(each.text) for each in rows))

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
        self.require_readable(model.predictor.description.reads)
        return _as_released(model, (yield from model.predictor.pieces(self.rows)))

    def told(self, model: ServedModel, answers: Sequence[Answer], asked: float) -> PredictResponse:
        """Log the answers to a request that began at `asked` (monotonic), and say them."""
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

    def require_readable(self, reads: Reading) -> None:
        """Raise a ProblemError, 422, unless each row is one for a model that `reads` so."""
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


class ByChampion:
    """A request to the champion. As soon as its texts are read it can be answered together with others."""

    def __init__(self, exchange: Exchange, asked: float) -> None:
        """What began at `asked` (monotonic)."""
        self.key: object = None
        self.length = 0
        self._exchange, self._asked = exchange, asked
        self._read: tuple[ServedModel, Read] | None = None

    def pieces(self) -> Pieces[PredictResponse]:
        """Ask the champion, and log what it says.

        One model answers all of it, also when another becomes champion between two pieces.

        Raises:
            ProblemError: 503, the loop has no model; 422, its model does not read such rows.
            ArtifactError: the network fails on the texts.
        """
        exchange, model = self._exchange, answering(self._exchange.served.slots)
        description = model.predictor.description
        exchange.require_readable(description.reads)
        read = yield from model.predictor.reading(exchange.rows)
        # Not in a network of int8: the scale of a whole batch is measured when it is read, and so the answer
        # to a text depends on what is read beside it.
        if exchange.rows and "quantise" not in description.settings:
            self._read, self.key, self.length = (model, read), id(model), read.longest
        answers = _as_released(model, (yield from model.predictor.answering(read)))
        return exchange.told(model, answers, self._asked)

    def together(self, others: Sequence[ByChampion]) -> Pieces[list[PredictResponse]]:
        """The rest of `pieces`, for several requests that one model has read."""
        each = [other._read for other in others if other._read]  # noqa: SLF001
        model, _ = each[0]
        read_by_all = Read.joined([read for _, read in each])
        answers = iter(_as_released(model, (yield from model.predictor.answering(read_by_all))))
        return [
            other._exchange.told(model, list(islice(answers, len(read.ids))), other._asked)  # noqa: SLF001
            for other, (_, read) in zip(others, each, strict=True)
        ]


def _as_released(model: ServedModel, answers: Sequence[Answer]) -> Sequence[Answer]:
    """What the model says to each row, or that it is unsure."""
    below = model.release.below
    return [answer.unless_unsure(below) for answer in answers] if below else answers
