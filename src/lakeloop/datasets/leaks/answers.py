"""Right answers as a search for leaks takes them: of each row which of the task's answers it has."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lakeloop.spec.tasks.base import TaskBase


def answer_table(values: pa.ChunkedArray, task: TaskBase, answers: tuple[str, ...]) -> NDArray[np.bool_]:
    """Whether a row has an answer, bool [rows, answers]; `values` are those of the target's column."""
    index = {answer: number for number, answer in enumerate(answers)}
    known = pa.chunked_array(values).combine_chunks().dictionary_encode()
    table = np.zeros((len(known.dictionary) + 1, len(answers)), dtype=np.bool_)
    for row, value in enumerate(known.dictionary.to_pylist()):
        told = task.counted([value], normalise=False)
        table[row, [index[answer] for answer in told if answer in index]] = True
    codes = known.indices.fill_null(len(known.dictionary)).to_numpy(zero_copy_only=False)
    found: NDArray[np.bool_] = table[np.asarray(codes, dtype=np.int64)]
    return found
