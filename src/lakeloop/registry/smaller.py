"""A version with its network in eight bits, handed out only where its answers on real rows are the same.

ONNX Runtime's dynamic quantisation: weights once, each output channel by its own scale; activations at each
call. It is another artifact, with a digest of its own: what was judged by the gate is the one in float32.
"""

from __future__ import annotations

import json
import logging
import math
import shutil
from collections.abc import Iterator, Sequence
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lakeloop.artifact import DESCRIPTION, ENCODER, MANIFEST, ONNX_MODEL, open_artifact, write_manifest
from lakeloop.bases.files import WEIGHTS
from lakeloop.durable import write_atomically
from lakeloop.errors import ConfigurationError, DataError
from lakeloop.extras import not_installed
from lakeloop.inference.predictor import Predictor
from lakeloop.records import Frozen

if TYPE_CHECKING:
    from lakeloop.tasks.base import Answer
    from lakeloop.tasks.reading import Instance

CHECK = "check.json"
ROWS = 500
"""Rows of the test split that the two networks are compared on."""


class Compared(Frozen):
    """How the answers in eight bits are like those in float32, on the same rows."""

    rows: int
    agreement: float
    """Share of the rows with the same answer, whatever its scores. Where answers are numbers alone, how much
    of their variance is the same: 1 - sum of squared differences / sum of squared deviations from the mean,
    the coefficient of determination."""
    largest_difference: float
    """Of a number in an answer: of a score, or of the value itself."""
    min_agreement: float
    """What was asked for."""
    bytes: dict[str, int]
    """Of the two networks, by float32 and int8."""
    of: str
    """Digest of the artifact in float32."""
    onnxruntime: str


def quantised(artifact: Path, into: Path, rows: Sequence[Instance], *, min_agreement: float) -> Compared:
    """Write the artifact in `artifact` to the folder `into`, its network in eight bits, checked on `rows`.

    Raises:
        ConfigurationError: the artifact has no such network, or what makes it smaller is not installed.
        DataError: it answers too many rows otherwise, or there are no rows; `into` is removed.
    """
    opened = open_artifact(artifact)
    if opened.description.engine != ENCODER:
        raise ConfigurationError(
            "this model has no network in ONNX",
            where=str(artifact),
            expected=f"engine {ENCODER}",
            found=opened.description.engine,
        )
    if not rows:
        raise DataError("there are no rows to compare the answers on", where=str(artifact))
    left_out = shutil.ignore_patterns(MANIFEST, DESCRIPTION, WEIGHTS, ONNX_MODEL)
    shutil.copytree(artifact, into, ignore=left_out)
    try:
        _quantise(artifact / ONNX_MODEL, into / ONNX_MODEL)
        write_manifest(into, opened.description)
        one, other = (Predictor(folder).predict(rows) for folder in (artifact, into))
        sizes = {
            name: (folder / ONNX_MODEL).stat().st_size
            for name, folder in (("float32", artifact), ("int8", into))
        }
        agreement, difference = alike(one, other)
        found = Compared(
            rows=len(rows),
            agreement=agreement,
            largest_difference=difference,
            min_agreement=min_agreement,
            bytes=sizes,
            of=opened.digest,
            onnxruntime=version_of("onnxruntime"),
        )
        _require_alike(found, artifact)
        write_atomically(into / CHECK, json.dumps(found.model_dump(), indent=2) + "\n")
        write_manifest(into, opened.description)  # anew, with the check
    except BaseException:
        shutil.rmtree(into, ignore_errors=True)
        raise
    return found


def _require_alike(found: Compared, artifact: Path) -> None:
    if found.agreement < found.min_agreement:
        raise DataError(
            "in eight bits it answers otherwise; nothing was written",
            where=str(artifact),
            expected=f"{found.min_agreement:.1%} of {found.rows} test rows answered alike",
            found=f"{found.agreement:.1%}; the largest difference of a number is"
            f" {found.largest_difference:.3g}",
            remedy="export it without --int8, or with a smaller --min-agreement",
        )


def _quantise(source: Path, target: Path) -> None:
    try:
        import onnx
        from onnxruntime.quantization import QuantType, quantize_dynamic
    except ImportError as error:
        raise not_installed(
            "networks in eight bits", "onnx", "train", where=str(source), error=error
        ) from error
    if _in_whole_numbers(onnx.load(source)):
        raise ConfigurationError(
            "the network is in eight bits already", where=str(source), remedy="export it without --int8"
        )
    logging.getLogger().addFilter(_is_not_advice)
    try:
        quantize_dynamic(source, target, per_channel=True, weight_type=QuantType.QInt8)
    finally:
        logging.getLogger().removeFilter(_is_not_advice)
    if not _in_whole_numbers(onnx.load(target)):
        raise ConfigurationError(
            "there is nothing in this network that gets smaller in eight bits",
            where=f"--int8, {source.name}",
            expected="a product of matrices, as encoders and heads on embeddings have",
            remedy="export it without --int8",
        )


def _is_not_advice(record: logging.LogRecord) -> bool:
    return "pre-processing before quantization" not in record.getMessage()


def _in_whole_numbers(model: Any) -> bool:
    from onnx import TensorProto

    return any(each.data_type in (TensorProto.INT8, TensorProto.UINT8) for each in model.graph.initializer)


def alike(one: Sequence[Answer], other: Sequence[Answer]) -> tuple[float, float]:
    """Agreement and largest difference of two models' answers to the same rows, see `Compared`."""
    same, largest = 0, 0.0
    values: list[tuple[float, float]] = []
    for first, second in zip(one, other, strict=True):
        left, right = (dict(_leaves(each.model_dump(mode="json"))) for each in (first, second))
        numbers = [key for key in left if _is_number(left[key]) and _is_number(right.get(key))]
        largest = max([largest, *(abs(left[key] - right[key]) for key in numbers)])
        words = [{k: v for k, v in each.items() if not _is_number(v)} for each in (left, right)]
        same += words[0] == words[1]
        if not words[0] and numbers:
            values.append((left[numbers[0]], right[numbers[0]]))
    if len(values) == len(one):
        return _shared_variance(np.asarray(values)), largest
    return same / len(one), largest


def _shared_variance(values: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    squares = float(((values[:, 0] - values[:, 1]) ** 2).sum())
    spread = float(((values[:, 0] - values[:, 0].mean()) ** 2).sum())
    return 1.0 - squares / spread if spread else float(math.isclose(squares, 0.0, abs_tol=1e-12))


def _leaves(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """Each single value in an answer, by where it stands."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _leaves(each, f"{at}.{key}")
    elif isinstance(value, list):
        for place, each in enumerate(value):
            yield from _leaves(each, f"{at}.{place}")
    else:
        yield at, value


def _is_number(value: Any) -> bool:
    return isinstance(value, float)  # whole numbers are places in a text
