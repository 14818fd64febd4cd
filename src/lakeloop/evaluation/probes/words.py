"""The words that go with each answer of a model: what it goes by, over all rows.

Log-odds of a word in the texts with an answer against the others, with an informative Dirichlet prior, over
its deviation (Monroe et al. 2008): frequent words that stand everywhere do not come up, nor do rare ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lakeloop.evaluation.probes.base import Finding
from lakeloop.inference.occlusion import WORD
from lakeloop.measures.registry import ABSTAINING
from lakeloop.tasks.base import Grid
from lakeloop.tasks.reading import instances_of

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from lakeloop.evaluation.judge import Judged
    from lakeloop.tasks.base import Task

_MOST_WORDS = 5000
"""Of all texts, those that stand in most of them."""
_SHOWN = 6
_SURE = 1.96
"""Deviations, from which on a word is told."""
_FEWEST = 3
"""Texts with an answer that a word has to stand in."""
_PRIOR = 500.0
"""Words that the prior weighs."""
_CHARACTERS = 2000
"""Of each text."""


class Words:
    """The probe of words; it finds nothing where an answer is none of a few."""

    def titles(self, task: str) -> Mapping[str, str]:  # noqa: ARG002
        return {}

    def look(self, model: Judged, rows: pa.Table, task: Task) -> Finding:
        if task.kind not in ABSTAINING:
            return Finding()
        texts = [instance.text for instance in instances_of(task.section, rows)]
        names, answers = task.contract(task.profile([])).names, model.outcomes.answer
        lines = tuple(
            (names[number], int((answers == number).sum()), ", ".join(found))
            for number, found in words_of(texts, answers, len(names)).items()
        )
        return Finding(tables=(_grid(lines),) if lines else ())


def words_of(texts: list[str], answers: NDArray[Any], count: int) -> dict[int, list[str]]:
    """Number of an answer, of `count`, -> the words that go with it, the surest first; of those with some.

    `answers` are int [texts]; -1 is none of them.
    """
    of_texts = [sorted({word.lower() for word in WORD.findall(text[:_CHARACTERS])}) for text in texts]
    frequent = Counter(word for words in of_texts for word in words).most_common(_MOST_WORDS)
    place = {word: number for number, (word, times) in enumerate(frequent) if times >= _FEWEST}
    if len(place) <= 1:  # of a single word there is nothing that it stands against
        return {}
    counts = np.zeros((count, len(place)))
    for words, answer in zip(of_texts, answers.tolist(), strict=True):
        if answer >= 0:
            counts[answer, [place[word] for word in words if word in place]] += 1
    vocabulary, whole = list(place), counts.sum(axis=0)
    if not whole.sum():
        return {}
    prior = _PRIOR * (whole + 1) / (whole + 1).sum()
    found = {}
    for number in range(count):
        own, others = counts[number], whole - counts[number]
        odds = _log_odds(own, prior) - _log_odds(others, prior)
        surety = odds / np.sqrt(1 / (own + prior) + 1 / (others + prior))
        ranked = np.argsort(-surety, kind="stable")[:_SHOWN].tolist()
        if told := [vocabulary[at] for at in ranked if surety[at] >= _SURE and own[at] >= _FEWEST]:
            found[number] = told
    return found


def _log_odds(counts: NDArray[Any], prior: NDArray[Any]) -> NDArray[Any]:
    said = counts + prior
    odds: NDArray[Any] = np.log(said / (said.sum() - said))
    return odds


def _grid(lines: tuple[tuple[Any, ...], ...]) -> Grid:
    return Grid(
        title="Words",
        columns=("answer", "rows", "words that go with it"),
        rows=lines,
        note="Words that stand in the texts that get this answer more often than in the others, the surest"
        f" first: by their log-odds, of at least {_SURE} deviations. They need not be why it is given; words"
        " on which single answers hang stand with the worst mistakes.",
        of_rows=True,
    )
