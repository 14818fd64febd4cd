"""One model on the rows: its answers. The model is the reloaded artifact, nothing else; no torch.

Measuring the answers is `probes`; which rows a model got wrong is `mistakes`.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakeloop.artifact import ArtifactDescription
from lakeloop.errors import ArtifactError
from lakeloop.evaluation.changes import Again, asked_again
from lakeloop.evaluation.synonyms import Synonyms
from lakeloop.evaluation.worst import worst_places
from lakeloop.inference.explaining import explained, not_there
from lakeloop.inference.occlusion import Part, parts_of, strongest
from lakeloop.inference.predictor import Predictor
from lakeloop.lake.digest import content_digest
from lakeloop.measures.abstaining import Threshold, thresholds_of
from lakeloop.measures.base import Outcomes
from lakeloop.measures.registry import ABSTAINING, CERTAINTIES
from lakeloop.spec.explaining import GRADIENTS, OCCLUSION, Explain
from lakeloop.spec.release import NEVER, Abstain
from lakeloop.tasks.base import Answer, Task
from lakeloop.tasks.reading import Instance, instances_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ALONE = 50
"""Rows that are asked one by one."""
_MOST_EXPLAINED = 6
"""Mistakes of which the words are weighed."""
_EXPLAINED_SECONDS = {OCCLUSION: 1.0, GRADIENTS: 15.0}
"""Who asks for gradients waits for them."""
_OF_GRADIENTS = 100
"""Times that an answer's gradients on all their points take longer than the answer."""
_WORDS = 5
"""That are told of each."""
_MOST_VALIDATION = 1000
"""Validation rows by which thresholds are chosen."""
_ALONE_SECONDS = 2.0
"""Time after which no further row is asked alone."""


@dataclass(frozen=True)
class Contender:
    """A candidate or the champion, which are judged together: where its artifact lies in the lake."""

    name: str
    """The candidate's name, or `champion`."""
    digest: str
    """Digest of the artifact."""
    folder: str
    """The artifact's folder in the lake."""
    version: str | None = None
    """Version in the registry; None for a candidate."""
    thresholds: tuple[Threshold, ...] = ()
    """Of a version, by its card."""


@dataclass(frozen=True)
class Beyond:
    """What a model is asked beside the test rows."""

    validation: pa.Table | None = None
    """On these the thresholds of a candidate are chosen, by which answers can be held back."""
    strangers: tuple[str, ...] = ()
    """Texts that have none of the answers."""
    abstain: Abstain = NEVER
    explain: Explain = OCCLUSION
    synonyms: Synonyms | None = None


@dataclass(frozen=True)
class Judged:
    """A contender with its answers, in the order of the rows that it was asked."""

    contender: Contender
    description: ArtifactDescription
    answers: tuple[Answer, ...]
    outcomes: Outcomes
    rows_digest: str
    seconds: float
    """Time for all rows, loading not included."""
    latency: float = 0.0
    """Seconds for a row alone, the median of some."""
    bytes: int = 0
    """Size of the artifact."""
    again: tuple[Again, ...] = ()
    """Its answers to some of the rows with changed texts."""
    explained: Mapping[int, tuple[Part, ...]] = field(default_factory=dict)
    """Place of a row that it got wrong -> the words on which the answer hangs most; of the worst few."""
    explained_by: Explain = OCCLUSION
    thresholds: tuple[Threshold, ...] = ()
    """By which its answers can be held back."""
    strangers: tuple[Answer, ...] = ()
    """Its answers to texts that have none of the answers."""
    abstain: Abstain = NEVER
    """What the loop file says of that."""


def judge(
    contender: Contender,
    folder: Path,
    rows: pa.Table,
    task: Task,
    *,
    threads: int,
    beyond: Beyond = Beyond(),
) -> Judged:
    """Load the artifact in `folder` and let it answer `rows` (columns of the task), and what is `beyond`.

    Raises:
        ArtifactError: the artifact is not whole, is not the contender's, or answers another kind of task.
        ConfigurationError: what explains its mistakes is not installed.
    """
    if missing := not_there(beyond.explain):
        raise missing
    predictor = Predictor(folder, threads=threads, expect=contender.digest)
    if (kind := predictor.description.contract.kind) != task.kind:
        raise ArtifactError(
            f"{contender.name} is a model for another kind of task",
            where=contender.folder,
            expected=task.kind,
            found=kind,
            remedy="give the loop of the new task a new name: a loop keeps its kind of task",
        )
    asked = instances_of(task.section, rows)
    started = time.perf_counter()
    answers = tuple(predictor.predict(asked))
    seconds = time.perf_counter() - started
    truths = task.truths(rows)
    outcomes = replace(task.outcomes(answers, truths), losses=predictor.losses(asked, truths))
    each = seconds / max(1, len(asked))
    words, by = _explained(predictor, asked, answers, task.errors(answers, truths), each, beyond.explain)
    return Judged(
        contender,
        predictor.description,
        answers,
        outcomes,
        content_digest(rows),
        seconds,
        latency=_latency(predictor, asked),
        again=asked_again(predictor, asked, each, beyond.synonyms, _kept(predictor, truths)),
        bytes=sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
        explained=words,
        explained_by=by,
        thresholds=contender.thresholds or _thresholds(predictor, beyond.validation, task),
        strangers=tuple(predictor.predict(beyond.strangers)) if beyond.strangers else (),
        abstain=beyond.abstain,
    )


def _explained(
    predictor: Predictor,
    asked: Sequence[Instance],
    answers: Sequence[Answer],
    errors: NDArray[Any],
    seconds: float,
    by: Explain,
) -> tuple[dict[int, tuple[Part, ...]], Explain]:
    """The worst mistakes of a model that takes `seconds` for a row: as many as there is time for.

    And how they were explained.
    """
    rows, left, read = [], _EXPLAINED_SECONDS[by], predictor.description.max_tokens
    for place in worst_places(errors, _MOST_EXPLAINED):
        left -= seconds * (_OF_GRADIENTS if by == GRADIENTS else len(parts_of(asked[place].text, read)))
        if left < 0:
            break
        rows.append(place)
    if not rows:
        return {}, by
    found = explained(predictor, [asked[place] for place in rows], [answers[place] for place in rows], by)
    told = {place: strongest(parts, _WORDS) for place, parts in zip(rows, found.rows, strict=True)}
    return told, found.by


def _kept(predictor: Predictor, truths: Sequence[Any]) -> dict[int, list[tuple[int, int]]]:
    """Place of a row -> what of its text no change may touch: the right stretches, where such are found."""
    if not predictor.description.contract.per_token:
        return {}
    return {place: [(begin, end) for begin, end, _ in row] for place, row in enumerate(truths)}


def _thresholds(predictor: Predictor, validation: pa.Table | None, task: Task) -> tuple[Threshold, ...]:
    """Of however slow a model: a server may go by them."""
    if task.kind not in ABSTAINING or validation is None:
        return ()
    count = min(_MOST_VALIDATION, validation.num_rows)
    # Spread evenly: neighbours are of one day.
    places = [number * validation.num_rows // count for number in range(count)]
    rows = validation.take(pa.array(places, pa.int64()))
    answers = predictor.predict(instances_of(task.section, rows))
    return thresholds_of(*CERTAINTIES[task.kind](task.outcomes(answers, task.truths(rows))))


def _latency(predictor: Predictor, asked: Sequence[Instance]) -> float:
    """Median seconds for a row alone, of as many of the first rows as there is time for."""
    found: list[float] = []
    for instance in asked[:_ALONE]:
        started = time.perf_counter()
        predictor.predict([instance])
        found.append(time.perf_counter() - started)
        if sum(found) > _ALONE_SECONDS:
            break
    return statistics.median(found) if found else 0.0


def answer_rows(judged: Sequence[Judged], rows: pa.Table, task: Task) -> pa.Table:
    """The answers of all models as rows of the table `evaluations` (without its partition).

    `expected` and `answer` are JSON: the target of the row, and the answer as the server gives it.
    """
    row_ids = rows["row_id"].to_pylist()
    expected = [json.dumps(target) for target in task.truths(rows)]
    return pa.concat_tables(
        pa.table(
            {
                "candidate": pa.array([model.contender.name] * len(row_ids), pa.string()),
                "model_digest": pa.array([model.contender.digest] * len(row_ids), pa.string()),
                "row_id": pa.array(row_ids, pa.string()),
                "expected": pa.array(expected, pa.string()),
                "answer": pa.array([answer.model_dump_json() for answer in model.answers], pa.string()),
                "split": pa.array(["test"] * len(row_ids), pa.string()),
            }
        )
        for model in judged
    )
