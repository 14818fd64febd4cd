"""ONNX Runtime, on the CPU or CUDA: an encoder with a head, token ids and mask -> a row of numbers a text.

Where the network reads features, they are its third input.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument

from lakeloop.errors import ArtifactError
from lakeloop.inference.batches import Padded
from lakeloop.inference.devices import (
    CPU,
    CUDA,
    Device,
    Wanted,
    chosen,
    providers_for,
    providers_of_onnx,
    require_works,
)
from lakeloop.tasks.base import OutputContract
from lakeloop.tasks.reading import Reading

_INPUTS = ("input_ids", "attention_mask")
FEATURES = "features"
REMEDY = "release the model again; nothing was answered with this one"


class OnnxEncoder:
    """A session on one ONNX file."""

    def __init__(
        self,
        path: Path,
        contract: OutputContract,
        reads: Reading,
        threads: int,
        device: Wanted = "cpu",
    ) -> None:
        """Load it.

        Raises:
            ArtifactError: the file is no network that is given `reads` and gives `contract`.
            ConfigurationError: CUDA is wanted, and cannot be used here.
        """
        self._path, self._contract = path, contract
        self._inputs = (*_INPUTS, FEATURES) if reads.features else _INPUTS
        asked = chosen(device, providers_of_onnx()) if device != CPU else CPU
        self._session = _open_session(path, threads, asked)
        self.device = require_works(device, asked, self._session.get_providers(), str(path))
        self._require_fits()

    def run(self, batch: Padded) -> NDArray[np.float64]:
        feed: dict[str, NDArray[Any]] = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
        if batch.features is not None:
            feed[FEATURES] = batch.features
        try:
            (output,) = self._session.run(None, feed)
        except (Fail, InvalidArgument) as error:  # faults of memory or of the machine are passed on
            raise ArtifactError(
                "the model fails on its input",
                where=str(self._path),
                found=f"at {batch.width} tokens: {error}",
                remedy=REMEDY,
            ) from error
        outputs: NDArray[np.float64] = np.asarray(output, dtype=np.float64)
        rows, tokens = batch.input_ids.shape
        wanted = (
            (rows, tokens, self._contract.width) if self._contract.per_token else (rows, self._contract.width)
        )
        if outputs.shape != wanted or not np.isfinite(outputs).all():
            raise ArtifactError(
                "the model does not answer as it promises",
                where=str(self._path),
                expected=f"finite numbers of shape {wanted}",
                found=f"shape {outputs.shape}" if outputs.shape != wanted else "NaN or infinite numbers",
                remedy=REMEDY,
            )
        return outputs

    def _require_fits(self) -> None:
        inputs = {node.name for node in self._session.get_inputs()}
        outputs = [tuple(node.shape) for node in self._session.get_outputs()]
        width = self._contract.width
        axes = ("batch", "tokens") if self._contract.per_token else ("batch",)
        # A symbolic last axis says nothing; then the first answer decides.
        fits = len(outputs) == 1 and len(outputs[0]) == len(axes) + 1
        fits = fits and (outputs[0][-1] == width or not isinstance(outputs[0][-1], int))
        if inputs != set(self._inputs) or not fits:
            raise ArtifactError(
                f"the model is not a network for {self._contract.kind}",
                where=str(self._path),
                expected=f"inputs {', '.join(self._inputs)}; one output [{', '.join(axes)}, {width}]",
                found=f"inputs {', '.join(sorted(inputs))}; outputs {outputs}",
                remedy=REMEDY,
            )


def _open_session(path: Path, threads: int, device: Device) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Spinning threads burn the cores that the other processes of a small machine need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    if device == CUDA:
        onnxruntime.preload_dlls()  # those of the packages of NVIDIA, which no loader finds by itself
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=providers_for(device))
    except Exception as error:  # the bound C++ errors derive from Exception, each on its own
        raise ArtifactError(
            "model cannot be loaded", where=str(path), found=str(error), remedy=REMEDY
        ) from error
    session.disable_fallback()  # to the CPU, in the midst of requests
    return session
