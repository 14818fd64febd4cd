"""Weights of the served network in whole numbers of eight bits, where its answers stay as good.

ONNX Runtime's dynamic quantisation: weights once, each output channel by its own scale; activations at each
call, by one scale for the whole batch, so that an answer depends a little on the texts beside it. What is
compared on the validation rows is what would be served, in batches as they are served.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize_dynamic

from lakeloop.inference.batches import length_batches, pad
from lakeloop.inference.engines.onnx_encoder import OnnxEncoder
from lakeloop.measures.base import shown
from lakeloop.spec.extras import Int8
from training.data import tokenise
from training.job import Job, Trained
from training.tasks.registry import training_task
from training.validation import Scores

log = logging.getLogger(__name__)

_FLOAT, _WHOLE = "float32", "int8"


@dataclass(frozen=True)
class Quantised:
    """Which network is served."""

    scores: Scores | None
    """Of a new one on the validation rows; None: it is the one that was there."""
    details: dict[str, Any]


def to_quantise(job: Job, trained: Trained) -> Trained:
    """`trained`, whose ONNX file will be quantised, if the job wants it."""
    section = job.config.train.quantise
    if not isinstance(section, Int8):
        return trained
    details = dict(trained.details)

    def refine(path: Path) -> Mapping[str, float] | None:
        found = quantised(job, section, path)
        details["quantise"] = found.details
        return found.scores.named if found.scores else None

    return replace(trained, details=details, refine=refine)


def quantised(job: Job, section: Int8, path: Path) -> Quantised:
    """Put a quantised network in the place of that in `path`, an ONNX file, where it is as good."""
    smaller = path.with_name("smaller.onnx")
    quantize_dynamic(
        path, smaller, per_channel=True, reduce_range=section.reduce_range, weight_type=QuantType.QInt8
    )
    task, judge = training_task(job.dataset.contract), job.judge
    outputs = {name: _outputs(job, file) for name, file in ((_FLOAT, path), (_WHOLE, smaller))}
    scores = {name: judge.score(task, found.astype(np.float32)) for name, found in outputs.items()}
    agreement = _agreement(job, outputs[_FLOAT], outputs[_WHOLE])
    metric = judge.metric
    was, now = (scores[name].named[metric.name] for name in (_FLOAT, _WHOLE))
    good = agreement >= section.min_agreement and metric.advantage(now, was) >= -section.max_loss
    served = _WHOLE if good else _FLOAT
    sizes = {name: file.stat().st_size for name, file in ((_FLOAT, path), (_WHOLE, smaller))}
    (log.info if good else log.warning)(
        "int8 gives %.1f %% of the answers of float32, %s %s instead of %s, in %.1f MB instead of %.1f: %s is"
        " served",
        100 * agreement, metric.title, shown(now), shown(was), sizes[_WHOLE] / 1e6, sizes[_FLOAT] / 1e6,
        served,
    )  # fmt: skip
    if good:
        smaller.replace(path)
    else:
        smaller.unlink()
    details = {
        "served": served, "agreement": agreement, "bytes": sizes,
        metric.name: {_FLOAT: float(was), _WHOLE: float(now)},
    }  # fmt: skip
    return Quantised(scores[_WHOLE] if good else None, details)


def _outputs(job: Job, path: Path) -> NDArray[np.float64]:
    """Of the validation rows, [rows, width], by the engine and in the batches of inference."""
    contract = job.dataset.contract
    engine = OnnxEncoder(path, contract, job.device.threads)
    tokens = tokenise(job.tokenizer, job.dataset.validation.texts)
    outputs = np.empty((len(tokens.ids), contract.width), dtype=np.float64)
    for batch in length_batches(tokens.lengths.tolist()):
        outputs[batch] = engine.run(pad([tokens.ids[row] for row in batch], tokens.pad_id))
    return outputs


def _agreement(job: Job, one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Share of the rows with the same answer; of numbers, which are never the same, all rows."""
    if not job.config.task.classes:
        return 1.0
    return float((one.argmax(1) == other.argmax(1)).mean())
