"""What is known of the requests that two versions of a loop have had, from the lake, for `canary` to judge.

Answers of the champion and of a canary are in table `predictions`; answers of a shadow, and failures of all,
in `observations`; right answers, where somebody gives them, in `feedback`. A request with several texts
counts once: its texts share a model, a moment and a time. Of a request on which a canary failed the
champion's answer is not counted: it was asked because the other failed. Smoke texts are not counted.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from lakeloop.lake.tables import SMOKE
from lakeloop.monitoring.canary import Name, Seen
from lakeloop.records import now
from lakeloop.tasks.registry import answer_type, logged_answer, task_of

if TYPE_CHECKING:
    import pyarrow as pa

    from lakeloop.lake.store import Lake
    from lakeloop.registry.history import ModelVersion
    from lakeloop.registry.trials import Trial
    from lakeloop.spec.loop import LoopSpec
    from lakeloop.tasks.base import Answer

_RARELY = 0.1
"""A version is unsure where it is less sure than it was of this share of its answers on the test rows, ..."""
_LESS = 0.05
"""... by more than this."""
_PREDICTED = ["request_id", "predicted_at", "model_version", "answer", "latency_ms"]
_OBSERVED = ["request_id", "observed_at", "model_version", "role", "answer", "error", "latency_ms"]


@dataclass
class Asked:
    """One request to one version."""

    request_id: str
    at: datetime
    version: str
    latency_ms: float | None = None
    failed: bool = False
    answers: list[Answer] = field(default_factory=list)
    """Of its texts; empty where it failed."""


class Known(NamedTuple):
    """All that `canary.verdict` is given."""

    seen: Mapping[Name, Sequence[Seen]]
    champion: int
    """Requests that the champion had."""


def requests_of(
    lake: Lake, loop: LoopSpec, trial: Trial, versions: Mapping[str, ModelVersion], evaluated: str
) -> Known:
    """What is known of the requests since the step `trial` began.

    Args:
        lake: of the loop.
        loop: its file.
        trial: the step.
        versions: by name, at least that in trial and the champion that it is beside.
        evaluated: the day of the evaluation that let it in, whose table has answers of both to its test rows.
    """
    over = trial.over or ""
    predicted = [*_folded(_rows(lake, "predictions", _PREDICTED, "predicted_at", trial.began_at), loop)]
    observed = [*_folded(_rows(lake, "observations", _OBSERVED, "observed_at", trial.began_at), loop)]
    shadow = trial.phase == "shadow"
    ours = [each for each in (*predicted, *observed) if each.version == trial.version]
    answered = [each for each in predicted if each.version == over]
    answered = answered if shadow else list(_without_fallbacks(answered, ours))
    theirs = [*answered, *(each for each in observed if each.version == over)]
    asked = list(_pairs(ours, theirs)) if shadow else sorted((*ours, *theirs), key=lambda each: each.at)
    bounds = _sure_bounds(lake, loop, [versions[name] for name in (trial.version, over)], evaluated)
    seen: dict[Name, Sequence[Seen]] = {
        "failures": [Seen(each.version == trial.version, float(each.failed)) for each in asked],
        "unsure": list(_unsure(asked, trial.version, bounds, pairs=shadow)),
        "wrong": list(_wrong(lake, loop, asked, trial, pairs=shadow)),
    }
    if not shadow:  # nobody waits for a shadow, which is asked when there is time
        seen["latency"] = [
            Seen(each.version == trial.version, each.latency_ms)
            for each in asked
            if each.latency_ms is not None and not each.failed
        ]
    return Known(seen, len(theirs))


def _rows(
    lake: Lake, table: str, columns: Sequence[str], at: str, since: datetime
) -> Iterator[dict[str, Any]]:
    """Rows of a table since then, from the days that may have them."""
    there = [name for name in columns if name in lake.columns(table).names]
    day, today = since.date(), now().date() + timedelta(days=1)  # the clock of another machine may be ahead
    while day <= today:
        for batch in lake.scan(table, columns=there, partition=day.isoformat()):
            for row in batch.to_pylist():
                if row[at] >= since and not row["request_id"].startswith(SMOKE):
                    yield {**row, "at": row[at]}
        day += timedelta(days=1)


def _folded(rows: Iterable[Mapping[str, Any]], loop: LoopSpec) -> Iterator[Asked]:
    """Requests, in the order of time; texts of one have its id, its version and its moment."""
    of_kind = answer_type(loop.task.kind)
    found: dict[tuple[str, datetime, str], Asked] = {}
    for row in rows:
        key = (row["request_id"], row["at"], row["model_version"])
        one = found.setdefault(key, Asked(*key))
        one.latency_ms = row.get("latency_ms")
        if row.get("error"):
            one.failed = True
            continue
        try:
            one.answers.append(of_kind.model_validate_json(logged_answer(row)))
        except (ValidationError, ValueError):
            continue  # of a version with another task, before the loop file changed
    yield from sorted(found.values(), key=lambda one: one.at)


def _without_fallbacks(theirs: Sequence[Asked], ours: Iterable[Asked]) -> Iterator[Asked]:
    """The champion's requests without those that it was asked because the other version had failed."""
    failed = Counter(one.request_id for one in ours if one.failed)
    for one in theirs:
        if failed[one.request_id] > 0:
            failed[one.request_id] -= 1
        else:
            yield one


def _pairs(ours: Iterable[Asked], theirs: Iterable[Asked]) -> Iterator[Asked]:
    """Requests that both versions were asked, the champion's before the other's; others are left out."""
    waiting: dict[str, list[Asked]] = defaultdict(list)
    for one in sorted(theirs, key=lambda one: one.at, reverse=True):
        waiting[one.request_id].append(one)
    for one in sorted(ours, key=lambda one: one.at):
        if waiting[one.request_id]:
            yield waiting[one.request_id].pop()
            yield one


_BOUNDS: dict[tuple[str, str, str], float] = {}
"""Table, day, digest -> the bound of that version. What it answered does not change, and a trial is looked at
for days: its test answers are read once in a process."""


def _sure_bounds(
    lake: Lake, loop: LoopSpec, versions: Sequence[ModelVersion], evaluated: str
) -> dict[str, float]:
    """Version -> the certainty below which it is unsure; without those whose test answers are gone."""
    if not evaluated:
        return {}
    keys = {version.name: (lake.uri("evaluations"), evaluated, version.digest) for version in versions}
    if not _BOUNDS.keys() >= set(keys.values()):
        of_kind = answer_type(loop.task.kind)
        certain: dict[str, list[float]] = defaultdict(list)
        rows = lake.scan("evaluations", columns=["model_digest", "answer"], partition=evaluated)
        wanted = {version.digest for version in versions}
        for row in _of_models(rows, wanted):
            certainty = of_kind.model_validate_json(row["answer"]).certainty
            if certainty is not None:
                certain[row["model_digest"]].append(certainty)
        for digest, every in certain.items():
            bound = sorted(every)[int(_RARELY * len(every))] - _LESS
            _BOUNDS[(lake.uri("evaluations"), evaluated, digest)] = bound
    return {name: _BOUNDS[key] for name, key in keys.items() if key in _BOUNDS}


def _of_models(batches: Iterable[pa.RecordBatch], digests: set[str]) -> Iterator[dict[str, Any]]:
    for batch in batches:
        yield from (row for row in batch.to_pylist() if row["model_digest"] in digests)


def _unsure(
    asked: Iterable[Asked], tried: str, bounds: Mapping[str, float], *, pairs: bool
) -> Iterator[Seen]:
    """Whether the version was unsure, by the first text of each request whose answer says it."""
    if len(bounds) < 2:
        return
    known: list[Seen | None] = []
    for one in asked:
        certainty = one.answers[0].certainty if one.answers else None
        unsure = None if certainty is None else float(certainty < bounds[one.version])
        known.append(None if unsure is None else Seen(one.version == tried, unsure))
    yield from _whole_pairs(known) if pairs else filter(None, known)


def _wrong(
    lake: Lake, loop: LoopSpec, asked: Sequence[Asked], trial: Trial, *, pairs: bool
) -> Iterator[Seen]:
    """How wrong answers were, in the order in which it became known.

    Feedback does not tell the texts of a request apart: requests with several are left out.
    """
    truths: dict[str, tuple[datetime, Any]] = {}
    columns = ["request_id", "received_at", "truth"]
    for row in _rows(lake, "feedback", columns, "received_at", trial.began_at):
        truths[row["request_id"]] = (row["received_at"], json.loads(row["truth"]))
    if not truths:
        return
    task = task_of(loop.task)
    known: list[tuple[datetime, Seen] | None] = []
    for one in asked:
        at, truth = truths.get(one.request_id, (None, None))
        error = _error(task, one, truth) if at else None
        known.append((at, Seen(one.version == trial.version, error)) if at and error is not None else None)
    whole = list(_whole_pairs(known) if pairs else filter(None, known))
    yield from (seen for _, seen in sorted(whole, key=lambda each: each[0]))


def _error(task: Any, one: Asked, truth: Any) -> float | None:
    if len(one.answers) != 1:
        return None
    try:
        return float(task.errors(one.answers, [truth])[0])
    except (TypeError, ValueError, KeyError, AttributeError):  # what was sent is no answer of this task
        return None


def _whole_pairs(known: Sequence[Any]) -> Iterator[Any]:
    """Of pairs, one behind the other, those of which both are known."""
    for first, second in zip(known[::2], known[1::2], strict=True):
        if first is not None and second is not None:
            yield from (first, second)
