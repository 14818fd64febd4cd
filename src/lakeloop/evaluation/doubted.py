"""Rows whose right answer is probably another, by confident learning: `lakeloop doubts`.

Each row is judged by a model that has not seen it, nor a text like it (Northcutt et al. 2021, as cleanlab has
it). The model is a cheap one, the same whatever the loop trains: words and pairs of words, a linear model for
each answer. It does not have to be good, only to be right more often than the answers are wrong.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from lakeloop.errors import ConfigurationError
from lakeloop.extras import not_installed
from lakeloop.records import Frozen

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDS = 5
_LEAST = 5
"""Rows of an answer without which nothing is said of it."""
_SEED = 17


class Doubt(Frozen):
    """A row whose answer is probably another."""

    row_id: str
    partition: str
    source_file: str
    source_line: int
    text: str
    given: str
    given_probability: float
    """Out of fold, 0..1."""
    suggested: str
    suggested_probability: float

    @property
    def spot(self) -> tuple[str, str, int]:
        """Day, file and line of its record."""
        return self.partition, self.source_file, self.source_line


class Doubts(NamedTuple):
    """What a look at answers came to."""

    rows: int
    """That were looked at."""
    left_out: int
    """Rows of answers that too few have."""
    found: list[Doubt]
    """The most doubtful first."""


def require_doubtable(kind: str) -> None:
    """Raises ConfigurationError for a task of whose answers nothing can be said here."""
    if kind != "classification":
        raise ConfigurationError(
            "answers of this task are not doubted",
            where=f"task.kind: {kind}",
            expected="classification: a text gets one of n answers",
            remedy="look at the worst mistakes in the evaluation report",
        )


def doubts_of(rows: pa.Table, target: str) -> Doubts:
    """The rows of the mart whose answer, in column `target`, is probably another.

    Raises:
        ConfigurationError: cleanlab is not installed.
    """
    answers = rows[target].to_pylist()
    often = {answer for answer, times in Counter(answers).items() if times >= _LEAST}
    kept = rows.filter(pa.array([answer in often for answer in answers], pa.bool_()))
    left_out = rows.num_rows - kept.num_rows
    if len(often) < 2:
        return Doubts(kept.num_rows, left_out, [])
    names = sorted(often)
    place = {name: number for number, name in enumerate(names)}
    given = np.array([place[answer] for answer in kept[target].to_pylist()])
    texts = kept["text"].to_pylist()
    keys = [
        key or row for key, row in zip(kept["text_key"].to_pylist(), kept["row_id"].to_pylist(), strict=True)
    ]
    chances, known = _out_of_fold(texts, given, _folds(keys), len(names))
    found = [row for row in _issues(given, chances).tolist() if known[row]]
    columns = {name: kept[name].to_pylist() for name in ("row_id", "partition", "source_file", "source_line")}
    doubts = []
    for row in found:
        other = int(chances[row].argmax())
        doubts.append(
            Doubt(
                **{name: values[row] for name, values in columns.items()},
                text=texts[row],
                given=names[given[row]],
                given_probability=float(chances[row, given[row]]),
                suggested=names[other],
                suggested_probability=float(chances[row, other]),
            )
        )
    return Doubts(kept.num_rows, left_out, doubts)


def _folds(keys: Sequence[str]) -> NDArray[Any]:
    """The fold of each row: texts that are alike share one, so that none is judged by its own like."""
    return np.array([zlib.crc32(key.encode()) % FOLDS for key in keys])


def _out_of_fold(
    texts: Sequence[str], given: NDArray[Any], folds: NDArray[Any], answers: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Probability of each answer, float [rows, answers]; whether a row's own was learnt, bool [rows]."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import SGDClassifier

    chances = np.zeros((len(texts), answers))
    known = np.zeros(len(texts), bool)
    for fold in np.unique(folds):
        learnt, judged = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        if len(np.unique(given[learnt])) < 2:
            continue
        word = r"\w+"
        words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), token_pattern=word)
        model = SGDClassifier(loss="log_loss", alpha=1e-5, max_iter=10, tol=None, random_state=_SEED)
        model.fit(words.fit_transform([texts[row] for row in learnt.tolist()]), given[learnt])
        found = model.predict_proba(words.transform([texts[row] for row in judged.tolist()]))
        chances[np.ix_(judged, model.classes_)] = found
        known[judged] = np.isin(given[judged], model.classes_)
    return chances, known


def _issues(given: NDArray[Any], chances: NDArray[Any]) -> NDArray[Any]:
    """Places of the rows with doubtful answers, int [n], those first that are least likely."""
    try:
        from cleanlab.filter import find_label_issues
    except ImportError as error:
        raise not_installed(
            "confident learning", "cleanlab", "doubts", where="lakeloop doubts", error=error
        ) from error
    found: NDArray[Any] = find_label_issues(
        given, chances, return_indices_ranked_by="self_confidence", n_jobs=1
    )
    return found
