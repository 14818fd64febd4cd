"""What is known of the requests that two versions of a loop have had, from the lake, for `canary` to judge.

Answers of the champion and of a canary are in table `predictions`; answers of a shadow, and failures of all,
in `observations`; right answers, where somebody gives them, in `feedback`. A request with several texts
counts once: its texts share a model, a moment and a time. Of a request on which a canary failed the
champion's answer is not counted: it was asked because the other failed. Smoke texts are not counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lakeloop.monitoring.asked import Asked, asked_since, says_certainty
from lakeloop.monitoring.canary import Name, Seen
from lakeloop.monitoring.odds import Bools, Ints
from lakeloop.tasks.registry import answer_type

if TYPE_CHECKING:
    import pyarrow as pa

    from lakeloop.lake.store import Lake
    from lakeloop.registry.history import ModelVersion
    from lakeloop.registry.trials import Trial
    from lakeloop.spec.loop import LoopSpec

_RARELY = 0.1
"""A version is unsure where it is less sure than it was of this share of its answers on the test rows, ..."""
_LESS = 0.05
"""... by more than this."""


class Known(NamedTuple):
    """All that `canary.verdict` is given."""

    seen: Mapping[Name, Seen]
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
    bounds = _sure_bounds(
        lake, loop, [versions[name] for name in (trial.version, trial.over or "")], evaluated
    )
    asked = asked_since(lake, loop, trial, certain=len(bounds) == 2)
    shadow = trial.phase == "shadow"
    asked = asked if shadow else asked.take(~_is_fallback(asked))
    champion = int((~asked.our).sum())
    # Of requests at one moment ours come first, and those that were answered.
    order = _pairs(asked) if shadow else np.lexsort((asked.observed, ~asked.our, asked.at))
    asked = asked.take(order)
    seen: dict[Name, Seen] = {
        "failures": Seen(asked.our, asked.failed.astype(np.float64)),
        "unsure": _unsure(asked, bounds, trial, pairs=shadow),
        "wrong": _wrong(asked, pairs=shadow),
    }
    if not shadow:  # nobody waits for a shadow, which is asked when there is time
        timed = ~np.isnan(asked.latency) & ~asked.failed
        seen["latency"] = Seen(asked.our[timed], asked.latency[timed])
    return Known(seen, champion)


def _is_fallback(asked: Asked) -> Bools:
    """Which requests the champion was asked because the other version had failed."""
    failed = np.bincount(asked.request[asked.our & asked.failed], minlength=asked.request.max(initial=-1) + 1)
    theirs = np.flatnonzero(~asked.our & ~asked.observed)
    found = np.zeros(len(asked), dtype=np.bool_)
    found[theirs] = _turns(asked.request[theirs]) < failed[asked.request[theirs]]
    return found


def _pairs(asked: Asked) -> Ints:
    """Places of requests that both versions were asked, the champion's before the other's; no others."""
    sides = [np.flatnonzero(~asked.our), np.flatnonzero(asked.our)]
    most = len(asked) + 1
    keys = [asked.request[side] * most + _turns(asked.request[side]) for side in sides]
    _, theirs, ours = np.intersect1d(keys[0], keys[1], assume_unique=True, return_indices=True)
    order = np.argsort(ours)  # by the time at which ours was asked
    return np.stack([sides[0][theirs[order]], sides[1][ours[order]]], axis=1).reshape(-1)


def _turns(requests: Ints) -> Ints:
    """Of each id, how often it came before."""
    order = np.argsort(requests, kind="stable")
    ordered = requests[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]) if len(ordered) else ordered)
    counts = np.diff(starts, append=len(ordered))
    turns = np.empty(len(ordered), dtype=np.int64)
    turns[order] = np.arange(len(ordered)) - np.repeat(starts, counts)
    return turns


_BOUNDS: dict[tuple[str, str, str], float] = {}
"""Table, day, digest -> the bound of that version. What it answered does not change, and a trial is looked at
for days: its test answers are read once in a process."""


def _sure_bounds(
    lake: Lake, loop: LoopSpec, versions: Sequence[ModelVersion], evaluated: str
) -> dict[str, float]:
    """Version -> the certainty below which it is unsure; without those whose test answers are gone."""
    if not evaluated or not says_certainty(loop):
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


def _unsure(asked: Asked, bounds: Mapping[str, float], trial: Trial, *, pairs: bool) -> Seen:
    """Whether the version was unsure, by the first text of each request whose answer says it."""
    if len(bounds) < 2:
        return Seen.of()
    known = _whole(~np.isnan(asked.certainty), pairs=pairs)
    bound = np.where(asked.our, bounds[trial.version], bounds[trial.over or ""])
    return Seen(asked.our[known], (asked.certainty < bound)[known].astype(np.float64))


def _wrong(asked: Asked, *, pairs: bool) -> Seen:
    """How wrong answers were, in the order in which it became known."""
    known = np.flatnonzero(_whole(~np.isnan(asked.error), pairs=pairs))
    known = known[np.argsort(asked.told_at[known], kind="stable")]
    return Seen(asked.our[known], asked.error[known])


def _whole(known: Bools, *, pairs: bool) -> Bools:
    """Of `pairs`, one behind the other, those of which both are known; else what is known."""
    return np.repeat(known[::2] & known[1::2], 2) if pairs else known
