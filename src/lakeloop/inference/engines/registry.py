"""The one list of engines: the name in an artifact's description -> what runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from lakeloop.artifact import ENCODER, ONNX_MODEL, WRITER, ArtifactDescription
from lakeloop.errors import ArtifactError
from lakeloop.inference.devices import Wanted
from lakeloop.inference.engines.base import Engine


def _onnx_encoder(folder: Path, description: ArtifactDescription, threads: int, device: Wanted) -> Engine:
    from lakeloop.inference.engines.onnx_encoder import OnnxEncoder

    return OnnxEncoder(folder / ONNX_MODEL, description.contract, description.reads, threads, device)


def _torch_generate(folder: Path, description: ArtifactDescription, threads: int, device: Wanted) -> Engine:
    try:
        from lakeloop.inference.engines.torch_generate import TorchGenerate
    except ImportError as error:
        raise ArtifactError(
            "the model writes texts, and what runs it is not installed",
            where=str(folder),
            expected="torch, transformers and safetensors",
            found=str(error),
            remedy='install it where the model is served and judged: pip install "lakeloop[generate]"',
        ) from error
    return TorchGenerate(folder, description.contract, threads, device)


ENGINES: Mapping[str, Callable[[Path, ArtifactDescription, int, Wanted], Engine]] = {
    ENCODER: _onnx_encoder,
    WRITER: _torch_generate,
}


def open_engine(
    folder: Path, description: ArtifactDescription, threads: int, device: Wanted = "cpu"
) -> Engine:
    """The engine of a verified artifact, on a device.

    Raises:
        ArtifactError: the network cannot be loaded, or this version knows no such engine.
        ConfigurationError: CUDA is wanted, and cannot be used here.
    """
    if description.engine not in ENGINES:
        raise ArtifactError(
            "no such engine",
            where=str(folder),
            expected=", ".join(ENGINES),
            found=description.engine,
            remedy="serve it with the version that wrote it, or release the model again",
        )
    return ENGINES[description.engine](folder, description, threads, device)
