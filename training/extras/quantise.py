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
from typing import TYPE_CHECKING, Any

import numpy as np
from onnxruntime.quantization import QuantType, quantize_dynamic

from lakeloop.inference.engines.onnx_encoder import OnnxEncoder
from lakeloop.inference.engines.running import run_batches
from lakeloop.measures.base import shown
from lakeloop.spec.extras import Int8
from training.data import tokenise
from training.job import Job, Trained
from training.tasks.registry import training_task
from training.validation import Scores

if TYPE_CHECKING:
    from lakeloop.tasks.base import Outputs

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
    scores = {name: judge.score(task, _as_trained(found)) for name, found in outputs.items()}
    agreement = _agreement(job, outputs[_FLOAT], outputs[_WHOLE])
    metric = judge.metric
    was, now = (scores[name].named[metric.name] for name in (_FLOAT, _WHOLE))
    good = agreement >= section.min_agreement and metric.advantage(now, was) >= -section.max_loss
    served = _WHOLE if good else _FLOAT
    sizes = {name: file.stat().st_size for name, file in ((_FLOAT, path), (_WHOLE, smaller))}
    (log.info if good else log.warning)(
        "int8: %s%s %s instead of %s (min_agreement %s, max_loss %s), %.1f MB instead of %.1f: %s is served",
        f"{agreement:.1%} of the answers of float32, " if job.dataset.contract.names else "",
        metric.title, shown(now), shown(was), section.min_agreement, section.max_loss,
        sizes[_WHOLE] / 1e6, sizes[_FLOAT] / 1e6, served,
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


def _outputs(job: Job, path: Path) -> Outputs:
    """Of the validation rows, by the engine and in the batches of inference."""
    dataset = job.dataset
    engine = OnnxEncoder(path, dataset.contract, dataset.reads, job.device.threads)
    tokens = tokenise(job.tokenizer, dataset.validation.instances, dataset.reads)
    ids = [row.tolist() for row in tokens.ids]
    return run_batches(engine, dataset.contract, ids, tokens.pad_id, tokens.features)


def _as_trained(outputs: Outputs) -> Outputs:
    """In float32, as training judges."""
    if isinstance(outputs, np.ndarray):
        return outputs.astype(np.float32)
    return [np.asarray(row, dtype=np.float32) for row in outputs]


def _agreement(job: Job, one: Outputs, other: Outputs) -> float:
    """Share of the rows, or of their tokens, with the same answer; of numbers, never the same, all rows."""
    if not job.config.task.classes and not job.dataset.contract.per_token:
        return 1.0
    first, second = (np.concatenate([np.atleast_2d(row) for row in side]) for side in (one, other))
    return float((first.argmax(1) == second.argmax(1)).mean())
