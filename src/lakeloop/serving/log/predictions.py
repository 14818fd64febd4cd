"""Every answer of a loop goes to its table `predictions`, in batches, behind the requests.

The way is: the local spool before the answer is sent, the lake in the background, by `append_once` under the
batch's id, so that a batch that is tried again after a crash is there once. The lake being away never fails
a request: the backlog grows on disk up to its limit, then the oldest rows are kept and new ones are counted
as dropped.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from lakeloop.errors import DataError
from lakeloop.serving.backoff import Backoff
from lakeloop.serving.log.keeping import kept
from lakeloop.serving.log.spool import Spool, SpooledBatch
from lakeloop.serving.metrics import LoopMetrics
from lakeloop.spec.release import Kept
from lakeloop.tasks.base import Answer
from lakeloop.tasks.reading import Instance
from lakeloop.tasks.registry import logged_answer

log = logging.getLogger(__name__)

Publish = Callable[[pa.Table, str], object]
"""Takes rows and a batch id; returns when the lake has them, once."""


@dataclass(frozen=True)
class Answered:
    """One request and what was answered."""

    request_id: str
    at: datetime
    """UTC; its day is the partition."""
    model_version: str
    rows: Sequence[Instance]
    answers: Sequence[Answer]
    latency_ms: float
    """From the parsed request to the answer of the model, for all its rows together."""


class PredictionLog:
    """Keeps answers and publishes them. `record` may be called from any thread."""

    def __init__(
        self,
        spool: Spool,
        publish: Publish,
        schema: pa.Schema,
        metrics: LoopMetrics,
        *,
        flush_seconds: float,
        keep: Kept = "text",
    ) -> None:
        """`keep` says what of a text is written, to the disk already."""
        self._keep = keep
        self._spool = spool
        self._publish = publish
        self._schema = schema
        self._metrics = metrics
        self._flush_seconds = flush_seconds
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._publisher = threading.Thread(target=self._run, name="prediction-log", daemon=True)
        metrics.backlog.set(spool.rows)

    def start(self) -> None:
        """Begin to publish, in the background."""
        self._publisher.start()

    def record(self, answered: Answered) -> None:
        """Keep one answer. Never fails the request: what cannot be kept is counted and logged."""
        try:
            kept = self._spool.append(answered.at.date(), _rows(answered, self._keep))
        except OSError:
            log.exception("an answer could not be written to the prediction log")
            kept = "dropped"
        if kept == "dropped":
            self._metrics.dropped.inc(len(answered.rows))
        elif kept == "filled":
            self._wake.set()
        self._metrics.backlog.set(self._spool.rows)

    def flush(self) -> None:
        """Publish everything that waits.

        Raises:
            Exception: the lake's error is passed on; the batch stays, and `flush` can be called again.
        """
        # The open batch is cut once, and only when the lake takes batches: rows that come meanwhile wait for
        # the next flush, else a busy server would publish every row in a commit of its own.
        self._publish_closed()
        self._spool.cut()
        self._publish_closed()

    def _publish_closed(self) -> None:
        while batch := self._spool.oldest():
            if (rows := self._readable(batch)) is None:
                self._metrics.backlog.set(self._spool.rows)
                continue
            try:
                self._publish(rows, batch.id)
            except DataError as error:
                self._reject(batch, error)
            else:
                self._spool.remove(batch)
                self._metrics.published.inc(batch.rows)
            self._metrics.backlog.set(self._spool.rows)

    def _readable(self, batch: SpooledBatch) -> pa.Table | None:
        """The rows of a batch; None when it cannot be read: then it is set aside, and counted as dropped."""
        try:
            return self._table(batch)
        except FileNotFoundError:
            log.error("%s is gone, and %d predictions with it", batch.path, batch.rows)  # noqa: TRY400
            self._spool.remove(batch)
            self._metrics.dropped.inc(batch.rows)
        except (TypeError, ValueError, pa.ArrowException) as error:  # its lines are no predictions
            self._reject(batch, error)
        return None

    def _reject(self, batch: SpooledBatch, error: Exception) -> None:
        kept = self._spool.reject(batch)
        self._metrics.dropped.inc(batch.rows)
        log.error("%d predictions never can go to the lake; kept in %s", batch.rows, kept, exc_info=error)

    def begin_stop(self) -> None:
        """Publish what waits and then end, in the background: `stop` waits for it."""
        self._stopping.set()
        self._wake.set()

    def stop(self, seconds: float) -> None:
        """Publish what waits, for at most `seconds`; the rest is on disk for the next start."""
        self.begin_stop()
        self._publisher.join(seconds)
        if rows := self._spool.rows:
            log.warning("%d predictions stay in the spool until the next start", rows)
        if not self._publisher.is_alive():  # else it still holds a batch; the locks end with the process
            self._spool.close()

    def _run(self) -> None:
        backoff = Backoff(self._flush_seconds)
        while True:
            # While the lake is away a full batch is no reason to try earlier.
            (self._stopping if backoff.failures else self._wake).wait(backoff.seconds)
            stopping = self._stopping.is_set()
            self._wake.clear()
            try:
                self.flush()
                backoff.worked()
            except Exception as error:
                backoff.failed()
                self._metrics.log_failures.inc()
                log.warning("predictions wait, the lake did not take them: %s", error, exc_info=error)
            if stopping:
                return

    def _table(self, batch: SpooledBatch) -> pa.Table:
        # A spool of an earlier version may be left: its rows have their answers in other keys.
        rows = [
            {**row, "answer": logged_answer(row), "partition": batch.partition, "batch_id": batch.id}
            for row in batch.read()
        ]
        return pa.Table.from_pylist(rows, schema=self._schema)


def _rows(answered: Answered, keep: Kept) -> list[dict[str, Any]]:
    return [
        {
            "request_id": answered.request_id,
            "predicted_at": int(answered.at.timestamp() * 1_000_000),
            "model_version": answered.model_version,
            "latency_ms": answered.latency_ms,
            **kept(row, answer, keep),
        }
        for row, answer in zip(answered.rows, answered.answers, strict=True)
    ]
