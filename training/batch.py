"""How many texts a step learns from where the loop file leaves that to the device, and which rate suits them.

A step on a GPU takes hardly longer for 256 texts than for 32. But a larger batch makes fewer steps of an
epoch, and too few steps learn too little, whatever the rate: an epoch has `LEAST_STEPS` at least.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from lakeloop.spec.auto import AUTO
from lakeloop.spec.train import USUAL_BATCH, Candidate, Train
from training.job_config import JobConfig

MOST_TEXTS = 256
"""Of a batch that nobody has asked for: beyond it scores fall, whatever the rate."""
MOST_TOKENS = 1 << 16
"""Of such a batch, if all its texts were as long as `max_tokens`."""
LEAST_STEPS = 32
"""Of an epoch, with such batches, unless they have `USUAL_BATCH` texts."""
_MULTIPLE = 8
"""Of texts: matrix units of a GPU want it."""


def settled(config: JobConfig) -> JobConfig:
    """`config` with a number of texts for a batch, and with the learning rate that suits so many.

    Extras that are nothing to the candidate's method are off.

    A number that the loop file says stays, and so does its rate. The same on a machine each time: what is
    taken up from a checkpoint has the same batches.
    """
    train = config.train.only_for(config.candidate.method)
    config = config.model_copy(update={"train": train})
    if config.train.batch_size != AUTO:
        return config
    rows = _rows_of(config) if torch.cuda.is_available() and config.candidate.method.shares_batches else 0
    train = with_batch(config.train, config.candidate, texts_of_a_batch(rows, config.train.max_tokens))
    return config.model_copy(update={"train": train})


def texts_of_a_batch(rows: int, max_tokens: int) -> int:
    """How many of `rows` training rows a step on a GPU learns from."""
    most = min(MOST_TEXTS, MOST_TOKENS // max_tokens, rows // LEAST_STEPS)
    return max(USUAL_BATCH, most // _MULTIPLE * _MULTIPLE)


def rate_factor(texts: int) -> float:
    """By how much the usual learning rate of a method is raised for batches of so many texts.

    The square root: with Adam a gradient's noise falls so with the batch, and the step with it (Malladi et
    al. 2022, "On the SDEs and Scaling Rules for Adaptive Gradient Algorithms").
    """
    return float(max(1.0, (texts / USUAL_BATCH) ** 0.5))


def with_batch(train: Train, candidate: Candidate, texts: int) -> Train:
    """`train` with batches of `texts` texts, and the rate for them where it leaves the rate open."""
    changed: dict[str, float] = {"batch_size": texts}
    usual = candidate.method.usual.get("learning_rate")
    if train.learning_rate is None and usual is not None and texts > USUAL_BATCH:
        changed["learning_rate"] = usual * rate_factor(texts)
    return train.model_copy(update=changed)


def _rows_of(config: JobConfig) -> int:
    """Training rows; none where the file cannot be read, which is told when it is read whole."""
    try:
        return int(pq.read_metadata(config.dataset / "train.parquet").num_rows)
    except (OSError, pa.ArrowException):
        return 0
