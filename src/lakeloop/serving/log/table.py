"""Rows of a server for a table of the lake, in batches, behind the requests.

The way is: the local spool before the answer is sent, the lake in the background, by `append_once` under the
batch's id, so that a batch that is tried again after a crash is there once. The lake being away never fails
a request: the backlog grows on disk up to its limit, then the oldest rows are kept and new ones are counted
as dropped. Which rows these are is said by `predictions` and `observations`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any, ClassVar

import pyarrow as pa

from lakeloop.errors import DataError
from lakeloop.serving.backoff import Backoff
from lakeloop.serving.log.spool import Row, Spool, SpooledBatch
from lakeloop.serving.metrics import Logged, LoopMetrics
from lakeloop.spec.release import Kept

log = logging.getLogger(__name__)

Publish = Callable[[pa.Table, str], object]
"""Takes rows and a batch id; returns when the lake has them, once."""


class TableLog:
    """Keeps rows for one table and publishes them. Its kinds say which table, and what a row is made of."""

    table: ClassVar[Logged]
    schema: ClassVar[pa.Schema]

    def __init__(
        self,
        spool: Spool,
        publish: Publish,
        metrics: LoopMetrics,
        *,
        flush_seconds: float,
        keep: Kept = "text",
    ) -> None:
        """`keep` says what of texts and answers is written, to the disk already."""
        self._spool = spool
        self._publish = publish
        self._metrics = metrics.logs[self.table]
        self._how = keep
        self._flush_seconds = flush_seconds
        self._stopping = threading.Event()
        self._wake = threading.Event()
        # A batch stays in the spool until the lake has it: two that publish at once would take the same one.
        self._publishing = threading.Lock()
        self._publisher = threading.Thread(target=self._run, name=f"log-{self.table}", daemon=True)
        self._metrics.backlog.set(spool.rows)

    def start(self) -> None:
        """Begin to publish, in the background."""
        self._publisher.start()

    def _keep(self, day: date, rows: Sequence[Row]) -> None:
        try:
            kept = self._spool.append(day, rows)
        except OSError:
            log.exception("%d rows could not be written to the spool of %s", len(rows), self.table)
            kept = "dropped"
        if kept == "dropped":
            self._metrics.dropped.inc(len(rows))
        elif kept == "filled":
            self._wake.set()
        self._metrics.backlog.set(self._spool.rows)

    def _row(self, spooled: dict[str, Any]) -> dict[str, Any]:
        """A row of the table, of one that was spooled, perhaps by an earlier version."""
        return spooled

    def flush(self) -> None:
        """Publish everything that waits. A second thread waits for the first, and then finds less to do.

        Raises:
            Exception: the lake's error is passed on; the batch stays, and `flush` can be called again.
        """
        # The open batch is cut once, and only when the lake takes batches: rows that come meanwhile wait for
        # the next flush, else a busy server would publish every row in a commit of its own.
        with self._publishing:
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
            log.error("%s is gone, and %d %s with it", batch.path, batch.rows, self.table)  # noqa: TRY400
            self._spool.remove(batch)
            self._metrics.dropped.inc(batch.rows)
        except (TypeError, ValueError, pa.ArrowException) as error:  # its lines are no rows of the table
            self._reject(batch, error)
        return None

    def _reject(self, batch: SpooledBatch, error: Exception) -> None:
        kept = self._spool.reject(batch)
        self._metrics.dropped.inc(batch.rows)
        log.error("%d %s never can go to the lake; kept in %s", batch.rows, self.table, kept, exc_info=error)

    def begin_stop(self) -> None:
        """Publish what waits and then end, in the background: `stop` waits for it."""
        self._stopping.set()
        self._wake.set()

    def stop(self, seconds: float) -> None:
        """Publish what waits, for at most `seconds`; the rest is on disk for the next start."""
        self.begin_stop()
        self._publisher.join(seconds)
        if rows := self._spool.rows:
            log.warning("%d %s stay in the spool until the next start", rows, self.table)
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
                self._metrics.failures.inc()
                log.warning("%s wait, the lake did not take them: %s", self.table, error, exc_info=error)
            if stopping:
                return

    def _table(self, batch: SpooledBatch) -> pa.Table:
        rows = [
            {**self._row(row), "partition": batch.partition, "batch_id": batch.id} for row in batch.read()
        ]
        return pa.Table.from_pylist(rows, schema=self.schema)
