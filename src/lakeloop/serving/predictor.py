"""One verified model artifact as a function from texts to labels; used by the server and by evaluation.

Tokenising, batching, ONNX Runtime and softmax are here. Which artifact is in use is `champion`'s business,
and HTTP is `app`'s. Only `tokenizers` and `onnxruntime` are needed to answer: no torch, no transformers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument
from tokenizers import Tokenizer

from lakeloop.artifact import ONNX_MODEL, TOKENIZER, ArtifactDescription, open_artifact
from lakeloop.errors import ArtifactError

MAX_BATCH = 32
"""Texts in one call of the model; more gain nothing on a CPU and cost memory."""
MAX_LENGTH_RATIO = 1.5
"""Longest text of a batch to its shortest, in tokens. One padded batch of mixed lengths is slower than
single calls; split at this ratio it is twice as fast as them."""

_INPUTS = ("input_ids", "attention_mask")
_REMEDY = "release the model again; nothing was answered with this one"

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one text."""

    label: str
    score: float
    """Probability of `label`, 0..1."""
    scores: dict[str, float]
    """Probability of each label; they sum to 1."""


class Predictor:
    """Answers with one artifact. Safe to call from several threads at once."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        """Verify the artifact in `folder` and load it.

        Args:
            folder: an artifact folder (see `lakeloop.artifact`).
            threads: threads that ONNX Runtime may use for one call.

        Raises:
            ArtifactError: the folder is not whole, or its files are not a classifier of its labels.
        """
        artifact = open_artifact(folder)
        self.folder = folder
        self.digest: str = artifact.digest
        self.description: ArtifactDescription = artifact.description
        self._tokenizer = _open_tokenizer(folder / TOKENIZER, artifact.description.max_tokens)
        self._pad = _pad_id(self._tokenizer)
        self._session = _open_session(folder / ONNX_MODEL, threads)
        self._require_classifier()

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Classify `texts`, any number of them; the answers come in the order of the texts.

        Texts are cut at `description.max_tokens` tokens.

        Raises:
            ArtifactError: the model fails on such texts; its output has another shape than its labels, or is
            not finite.
        """
        if not texts:
            return []
        encodings = self._tokenizer.encode_batch_fast(list(texts))
        rows = [encoding.ids for encoding in encodings]
        probabilities = np.empty((len(rows), len(self.description.labels)), dtype=np.float64)
        for batch in length_batches([len(ids) for ids in rows]):
            probabilities[batch] = softmax(self._logits([rows[index] for index in batch]))
        return [self._prediction(row) for row in probabilities]

    def _logits(self, rows: Sequence[Sequence[int]]) -> Floats:
        """Run one padded batch; returns logits, [len(rows), labels]."""
        width = max(1, *map(len, rows))
        ids = np.full((len(rows), width), self._pad, dtype=np.int64)
        mask = np.zeros((len(rows), width), dtype=np.int64)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = row
            mask[index, : len(row)] = 1
        try:
            (output,) = self._session.run(None, {"input_ids": ids, "attention_mask": mask})
        except (Fail, InvalidArgument) as error:  # and not what memory or the machine is to blame for
            raise ArtifactError(
                "the model fails on its input",
                where=str(self.folder / ONNX_MODEL),
                expected=f"texts of up to {self.description.max_tokens} tokens can be read",
                found=f"at {width} tokens: {error}",
                remedy=_REMEDY,
            ) from error
        logits: Floats = np.asarray(output, dtype=np.float64)
        wanted = (len(rows), len(self.description.labels))
        if logits.shape != wanted or not np.isfinite(logits).all():
            raise ArtifactError(
                "the model does not answer as its labels promise",
                where=str(self.folder / ONNX_MODEL),
                expected=f"finite logits of shape {wanted}",
                found=f"shape {logits.shape}" if logits.shape != wanted else "NaN or infinite logits",
                remedy=_REMEDY,
            )
        return logits

    def _prediction(self, probabilities: Floats) -> Prediction:
        scores = dict(zip(self.description.labels, probabilities.tolist(), strict=True))
        label = self.description.labels[int(probabilities.argmax())]
        return Prediction(label, scores[label], scores)

    def _require_classifier(self) -> None:
        inputs = {node.name for node in self._session.get_inputs()}
        outputs = [tuple(node.shape) for node in self._session.get_outputs()]
        labels = len(self.description.labels)
        match outputs:
            case [(_, last)]:
                # A symbolic last axis says nothing; then the first prediction decides.
                fits = last == labels or not isinstance(last, int)
            case _:
                fits = False
        if inputs != set(_INPUTS) or not fits:
            raise ArtifactError(
                "the model is not a classifier of the artifact's labels",
                where=str(self.folder / ONNX_MODEL),
                expected=f"inputs {', '.join(_INPUTS)}; one output [batch, {labels}]",
                found=f"inputs {', '.join(sorted(inputs))}; outputs {outputs}",
                remedy=_REMEDY,
            )


def length_batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Deal texts of these `lengths` (tokens) into batches with little padding; yields lists of indices.

    Each index comes exactly once. No batch has more than `MAX_BATCH` texts, nor a longest text of more
    than `MAX_LENGTH_RATIO` times its shortest.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    batch: list[int] = []
    for index in order:
        if batch:
            shortest = max(1, lengths[batch[0]])
            if len(batch) == MAX_BATCH or lengths[index] > MAX_LENGTH_RATIO * shortest:
                yield batch
                batch = []
        batch.append(index)
    if batch:
        yield batch


def softmax(logits: Floats) -> Floats:
    """Probabilities of `logits`, [n, labels]; in float64, so that they sum to 1 within 1e-15."""
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: Floats = exponents / exponents.sum(axis=1, keepdims=True)
    return probabilities


def _open_tokenizer(path: Path, max_tokens: int) -> Any:
    try:
        tokenizer = Tokenizer.from_file(str(path))
        tokenizer.enable_truncation(max_tokens)
    except Exception as error:  # tokenizers raises bare Exception, and nothing narrower
        raise ArtifactError(
            "tokenizer cannot be read", where=str(path), found=str(error), remedy=_REMEDY
        ) from error
    # Padding is ours, by batch; a tokenizer.json may carry its own, to a fixed length.
    return tokenizer


def _pad_id(tokenizer: Any) -> int:
    pad = tokenizer.padding["pad_id"] if tokenizer.padding else None
    if pad is None:
        pad = next((i for token in ("[PAD]", "<pad>") if (i := tokenizer.token_to_id(token)) is not None), 0)
    tokenizer.no_padding()
    return int(pad)


def _open_session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Spinning threads burn the cores that the other processes of a small machine need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the bound C++ errors derive from Exception, each on its own
        raise ArtifactError(
            "model cannot be loaded", where=str(path), found=str(error), remedy=_REMEDY
        ) from error
