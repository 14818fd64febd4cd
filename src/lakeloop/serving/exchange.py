"""One request from its texts to its logged answers, and the parts of a loop that answer it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from lakeloop.records import now
from lakeloop.serving.log.predictions import Answered, PredictionLog
from lakeloop.serving.messages import PredictResponse
from lakeloop.serving.metrics import LoopMetrics
from lakeloop.serving.router import answering
from lakeloop.serving.slots import Slots


@dataclass(frozen=True)
class ServedLoop:
    """One loop of a server process."""

    name: str
    task: str
    """Kind of task, as the loop file has it; a champion of yesterday may be of another."""
    slots: Slots
    predictions: PredictionLog
    metrics: LoopMetrics


@dataclass(frozen=True)
class Exchange:
    """One request, parsed and within the limits."""

    served: ServedLoop
    request_id: str
    texts: Sequence[str]
    started: float
    """When the request was parsed, by the monotonic clock."""
    seconds: float
    """How long its client waits for an answer."""

    def answer(self) -> PredictResponse:
        """Ask the model, and log what it says.

        Raises:
            ProblemError: 503, the loop has no model.
            ArtifactError: the network fails on the texts.
        """
        model = answering(self.served.slots)
        answers = model.predictor.predict(self.texts)
        taken = time.monotonic() - self.started
        # Later the client has its 503 already; an answer that the client did not get is not logged.
        if self.texts and taken < self.seconds:
            self.served.predictions.record(
                Answered(
                    request_id=self.request_id,
                    at=now(),
                    model_version=model.release.version,
                    texts=self.texts,
                    answers=answers,
                    latency_ms=taken * 1000,
                )
            )
        return PredictResponse(
            model_version=model.release.version, predictions=answers, request_id=self.request_id
        )
