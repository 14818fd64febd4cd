"""The rows that a model got wrong, the worst first: what a person looks at."""

from __future__ import annotations

import re

import pyarrow as pa

from lakeloop.evaluation.judge import Judged
from lakeloop.evaluation.worst import worst_places
from lakeloop.evidence import Mistake
from lakeloop.tasks.base import Task
from lakeloop.tasks.reading import instances_of

EXCERPT_CHARACTERS = 280
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")
"""Characters that no page may have; those that are blanks are not among them."""
_WORD_CHARACTERS = 40


def worst_mistakes(judged: Judged, rows: pa.Table, task: Task, count: int) -> tuple[int, tuple[Mistake, ...]]:
    """How many of `rows` the model got wrong, and the worst `count` of them."""
    truths = task.truths(rows)
    errors = task.errors(judged.answers, truths)
    worst = worst_places(errors, count)
    picked = rows.take(pa.array(worst, pa.int64()))
    shown = picked.to_pylist()
    return int((errors > 0).sum()), tuple(
        Mistake(
            row_id=row["row_id"],
            text=excerpt(instance.shown),
            expected=task.right(judged.answers[number], truths[number]),
            answered=task.shown(judged.answers[number]),
            error=float(errors[number]),
            words=tuple(
                (excerpt(part.text, _WORD_CHARACTERS), part.effect)
                for part in judged.explained.get(number, ())
            ),
        )
        for number, row, instance in zip(worst, shown, instances_of(task.section, picked), strict=True)
    )


def excerpt(text: str, characters: int = EXCERPT_CHARACTERS) -> str:
    """The beginning of `text`, cut at a space, with an ellipsis when something is left out."""
    text = " ".join(_CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text).split())
    if len(text) <= characters:
        return text
    return f"{text[:characters].rsplit(' ', 1)[0]} …"
