"""Requests that two versions of a loop have had, as arrays: streamed from the tables, and folded by request.

Of a row some 100 bytes are kept: an id and a few numbers. A look begins anew each time, so that whoever
restarts finds the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import TypeAdapter, ValidationError

from lakeloop.lake.tables import without_smoke
from lakeloop.monitoring.odds import Bools, Floats, Ints
from lakeloop.records import now
from lakeloop.tasks.base import Answer
from lakeloop.tasks.registry import answer_type, task_of

if TYPE_CHECKING:
    from lakeloop.lake.store import Lake
    from lakeloop.registry.trials import Trial
    from lakeloop.spec.loop import LoopSpec

_NEVER = np.iinfo(np.int64).min
"""The moment of feedback that was not given."""


@dataclass(frozen=True)
class Asked:
    """Requests to one of two versions, a row each; before `_folded` texts of requests."""

    request: Ints
    """Which one, a number for each id."""
    at: Ints
    """Microseconds since 1970."""
    our: Bools
    observed: Bools
    """It is from table `observations`."""
    latency: Floats
    """Milliseconds; NaN: not known."""
    failed: Bools
    texts: Ints
    """Answers that can be read."""
    certainty: Floats
    """Of the first answer; NaN: it says none."""
    told_at: Ints
    """When feedback came, microseconds since 1970."""
    error: Floats
    """How wrong the only answer is, by feedback; NaN: that is not known."""

    def take(self, places: Ints | Bools) -> Asked:
        """The requests at these places."""
        return Asked(**{name: column[places] for name, column in vars(self).items()})

    def __len__(self) -> int:
        return len(self.request)


def asked_since(lake: Lake, loop: LoopSpec, trial: Trial, *, certain: bool) -> Asked:
    """The requests since the step `trial` began, to its version and to the champion, in the order of time.

    `certain`: it is to be known how sure the versions were, which is read from each answer.
    """
    truths = _Truths.read(lake, trial.began_at)
    reader = _Reader(loop, trial, truths, certain=certain and says_certainty(loop))
    for table, at in (("predictions", "predicted_at"), ("observations", "observed_at")):
        for batch in _batches(lake, table, reader.columns(at), at, trial.began_at):
            reader.add(batch, at, observed=table == "observations")
    return _folded(reader.rows())


def says_certainty(loop: LoopSpec) -> bool:
    """Whether answers of the loop's task say how sure the model was."""
    return answer_type(loop.task.kind).certainty is not Answer.certainty


def _batches(
    lake: Lake, table: str, columns: Sequence[str], at: str, since: datetime
) -> Iterator[pa.RecordBatch]:
    """Rows of a table since then, from the days that may have them, without smoke texts."""
    there = [name for name in columns if name in lake.columns(table).names]
    day, today = since.date(), now().date() + timedelta(days=1)  # the clock of another machine may be ahead
    while day <= today:
        for batch in lake.scan(table, columns=there, since={at: since}, partition=day.isoformat()):
            kept = without_smoke(batch)
            if kept.num_rows:
                yield kept
        day += timedelta(days=1)


@dataclass(frozen=True)
class _Truths:
    """What feedback says of requests: of each the last."""

    requests: Mapping[str, int]
    """Id -> place in the others."""
    at: Ints
    """Microseconds since 1970."""
    which: Ints
    """Place in `said`: many requests have few right answers."""
    said: Sequence[Any]

    @classmethod
    def read(cls, lake: Lake, since: datetime) -> _Truths:
        columns = ["request_id", "received_at", "truth"]
        batches = list(_batches(lake, "feedback", columns, "received_at", since))
        ids, which = _encoded([batch["request_id"] for batch in batches])
        truths, said = _encoded([batch["truth"] for batch in batches])
        at = np.concatenate([np.zeros(0, np.int64), *(_moments(batch["received_at"]) for batch in batches)])
        order = np.argsort(at, kind="stable")
        last = np.zeros(len(ids), dtype=np.int64)
        last[which[order]] = order
        requests = {name: place for place, name in enumerate(ids.to_pylist())}
        return cls(requests, at[last], said[last], [*map(json.loads, truths.to_pylist())])

    def places(self, requests: pa.Array) -> Ints:
        """Of each of these ids, where it is; -1: nothing is known."""
        if not self.requests:
            return np.full(len(requests), -1)
        return np.array([self.requests.get(name, -1) for name in requests.to_pylist()], dtype=np.int64)


class _Reader:
    """Rows of the two tables, made into numbers batch by batch."""

    def __init__(self, loop: LoopSpec, trial: Trial, truths: _Truths, *, certain: bool) -> None:
        self._of_kind = answer_type(loop.task.kind)
        self._of_kinds: TypeAdapter[list[Answer]] = TypeAdapter(list[self._of_kind])  # type: ignore[name-defined]
        self._task = task_of(loop.task)
        self._versions = pa.array([trial.version, trial.over or ""])
        self._truths = truths
        self._certain = certain
        self._reads_answers = certain or bool(truths.requests)
        self._ids: list[pa.Array] = []
        self._parts: list[dict[str, Any]] = []

    def columns(self, at: str) -> list[str]:
        """Those that are read."""
        answer = ["answer"] if self._reads_answers else []
        return ["request_id", at, "model_version", "error", "latency_ms", *answer]

    def add(self, batch: pa.RecordBatch, at: str, *, observed: bool) -> None:
        """Take the rows of the two versions."""
        batch = batch.filter(pc.is_in(batch["model_version"], self._versions))
        if not batch.num_rows:
            return
        failed = np.zeros(batch.num_rows, dtype=np.bool_)
        if "error" in batch.schema.names:
            failed = _bools(pc.fill_null(pc.not_equal(batch["error"], ""), False))
        self._ids.append(batch["request_id"])
        self._parts.append(
            {
                "at": _moments(batch[at]),
                "our": _bools(pc.equal(batch["model_version"], self._versions[0])),
                "observed": np.full(batch.num_rows, observed),
                "latency": _floats(batch["latency_ms"]),
                "failed": failed,
                **self._answers(batch, failed),
            }
        )

    def rows(self) -> Asked:
        """All that were taken."""
        columns: dict[str, Any] = {"request": _encoded(self._ids)[1]}
        self._ids.clear()
        for name, kind in _KINDS.items():
            columns[name] = np.concatenate([np.zeros(0, kind), *(part.pop(name) for part in self._parts)])
        return Asked(**columns)

    def _answers(self, batch: pa.RecordBatch, failed: Bools) -> dict[str, Any]:
        count = batch.num_rows
        texts, certainty = np.zeros(count, dtype=np.int64), np.full(count, np.nan)
        told_at, error = np.full(count, _NEVER), np.full(count, np.nan)
        found = {"texts": texts, "certainty": certainty, "told_at": told_at, "error": error}
        if not self._reads_answers:
            return found
        told = self._truths.places(batch["request_id"])
        wanted = ~failed & (self._certain | (told >= 0)) & _bools(pc.is_valid(batch["answer"]))
        places, answers = self._readable(np.flatnonzero(wanted), batch["answer"].filter(pa.array(wanted)))
        texts[places] = 1
        if self._certain:
            certainty[places] = np.array([answer.certainty for answer in answers], dtype=np.float64)
        judged = [answer for answer, place in zip(answers, told[places].tolist(), strict=True) if place >= 0]
        if judged:
            places = places[told[places] >= 0]
            told_at[places] = self._truths.at[told[places]]
            truths = [self._truths.said[place] for place in self._truths.which[told[places]].tolist()]
            error[places] = self._errors(judged, truths)
        return found

    def _readable(self, places: Ints, said: pa.Array) -> tuple[Ints, list[Answer]]:
        """Answers that can be read, and where they stand.

        Others are of a version with another task, before the loop file changed.
        """
        texts = said.to_pylist()
        try:
            answers = self._of_kinds.validate_json(f"[{','.join(texts)}]")  # at once: it is faster
        except ValidationError:
            answers = []
        if len(answers) == len(texts):
            return places, answers
        found = [
            (place, answer)
            for place, text in zip(places.tolist(), texts, strict=True)
            if (answer := self._read(text)) is not None
        ]
        return np.array([place for place, _ in found], dtype=np.int64), [answer for _, answer in found]

    def _read(self, text: str) -> Answer | None:
        try:
            return self._of_kind.model_validate_json(text)
        except ValidationError:
            return None

    def _errors(self, answers: Sequence[Answer], truths: Sequence[Any]) -> Floats:
        """How wrong each answer is; NaN where what was sent is no answer of this task."""
        try:
            return np.asarray(self._task.errors(answers, truths), dtype=np.float64)
        except (TypeError, ValueError, KeyError, AttributeError):
            if len(answers) == 1:
                return np.array([np.nan])
            halves = slice(None, len(answers) // 2), slice(len(answers) // 2, None)
            return np.concatenate([self._errors(answers[half], truths[half]) for half in halves])


_KINDS: Mapping[str, type] = {
    "at": np.int64,
    "our": np.bool_,
    "observed": np.bool_,
    "latency": np.float64,
    "failed": np.bool_,
    "texts": np.int64,
    "certainty": np.float64,
    "told_at": np.int64,
    "error": np.float64,
}
"""Columns of `Asked` besides the request."""


def _folded(rows: Asked) -> Asked:
    """Requests, in the order of time; texts of one have its id, its version and its moment."""
    if not len(rows):
        return rows
    order = np.lexsort((rows.observed, rows.our, rows.at, rows.request))
    rows = rows.take(order)
    new = np.ones(len(rows), dtype=np.bool_)
    keys = (rows.request, rows.at, rows.our, rows.observed)
    new[1:] = np.logical_or.reduce([key[1:] != key[:-1] for key in keys])
    starts = np.flatnonzero(new)
    ends = np.append(starts[1:], len(rows)) - 1
    # What is asked of the first answer is that of the first text whose answer can be read.
    first = np.minimum.reduceat(np.where(rows.texts > 0, np.arange(len(rows)), len(rows) - 1), starts)
    first = np.minimum(first, ends)
    texts = np.add.reduceat(rows.texts, starts)
    folded = Asked(
        request=rows.request[starts],
        at=rows.at[starts],
        our=rows.our[starts],
        observed=rows.observed[starts],
        latency=rows.latency[ends],
        failed=np.logical_or.reduceat(rows.failed, starts),
        texts=texts,
        certainty=rows.certainty[first],
        told_at=rows.told_at[first],
        # Feedback does not tell the texts of a request apart: requests with several are left out.
        error=np.where(texts == 1, rows.error[first], np.nan),
    )
    return folded.take(np.lexsort((order[starts], folded.at)))


def _encoded(columns: Sequence[pa.Array]) -> tuple[pa.Array, Ints]:
    """The different ones of all these words, and which of them each is."""
    encoded = pa.chunked_array(columns, pa.string()).combine_chunks().dictionary_encode()
    return encoded.dictionary, _ints(encoded.indices)


def _moments(column: pa.Array) -> Ints:
    return _ints(column.cast(pa.timestamp("us", "UTC")).cast(pa.int64()))


def _bools(column: pa.Array) -> Bools:
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.bool_)


def _floats(column: pa.Array) -> Floats:
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def _ints(column: pa.Array) -> Ints:
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.int64)
