"""Whether the model server's models answer on a CUDA device as on the CPU, and how many texts a second.

    python -m benchmarks.gpu_serve [--artifacts FOLDER ...] [--device cuda] [--tiny]

Without artifacts it makes one: an encoder of MiniLM's size with random weights and a trained last layer: its
speed does not depend on what the texts say. `--artifacts` takes those of trainings, also such that write.
Each is loaded as the server does it, which refuses one whose outputs are more than 0.001 from the CPU's, and
then answers in requests of 1, 32 and 512 texts, on both. Needs onnxruntime-gpu in the place of onnxruntime
(see docs/serving.md), and for models that write torch for CUDA. It ends with 1 where a model is refused or
does not run on the device. `--tiny --device cpu` tries the script on a machine without one.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from benchmarks import gpu
from benchmarks.sides import machine
from lakeloop.artifact import open_artifact
from lakeloop.errors import LakeloopError
from lakeloop.inference.devices import Wanted, providers_of_onnx, wanted
from lakeloop.inference.predictor import Predictor
from lakeloop.serving.cache import ModelCache
from lakeloop.serving.slots import Named, Release
from training.job import run
from training.train import train

REQUESTS = (1, 32, 512)
"""Texts in a request."""
SECONDS = 3.0
"""Of each size of request."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--artifacts", type=Path, nargs="+", default=[], help="folders of trainings")
    parser.add_argument("--device", default="cuda", help="cuda, auto or cpu")
    parser.add_argument("--tiny", action="store_true", help="a tiny encoder, and short measurements")
    options = parser.parse_args()
    device, failed = wanted(options.device, "--device"), False
    gpu.say(f"onnxruntime {onnxruntime.__version__}: {', '.join(providers_of_onnx())}; {machine()}")
    with tempfile.TemporaryDirectory(prefix="lakeloop-bench-") as folder:
        for artifact in options.artifacts or [made(Path(folder), tiny=options.tiny)]:
            try:
                measure(artifact, Path(folder), device, 0.2 if options.tiny else SECONDS)
            except LakeloopError as error:
                gpu.say(f"{artifact}: {error}")
                failed = True
    return int(failed)


def made(work: Path, *, tiny: bool) -> Path:
    """The artifact of a head on a random encoder."""
    workload = gpu.TINY["tiny"] if tiny else gpu.Workload(hidden=384, heads=12, layers=6, tokens=64, rows=320)
    gpu.write_base(workload, work / "base")
    gpu.write_rows(workload, work / "dataset")
    path = work / "job" / "config.json"
    path.parent.mkdir()
    path.write_text(gpu.config_of(argparse.Namespace(epochs=1), workload, work, "head").model_dump_json())
    run(path, train)
    return path.parent / "artifact"


class Folder:
    """An artifact in a folder, as a registry has versions."""

    def __init__(self, artifact: Path) -> None:
        self._artifact = artifact

    def named(self) -> Named:
        return Named()

    def fetch(self, release: Release, folder: Path) -> None:  # noqa: ARG002 - there is one
        shutil.copytree(self._artifact, folder)


def measure(artifact: Path, work: Path, device: Wanted, seconds: float) -> None:
    """Print what is found of one artifact.

    Raises:
        LakeloopError: the server would not take it into use on this device.
    """
    found = open_artifact(artifact)
    cache = ModelCache(Folder(artifact), work / found.digest[:12], threads=1, device=device)
    on_device = cache.load(Release("v1", found.digest, {})).predictor
    on_cpu = Predictor(artifact)
    texts = texts_of(on_cpu.description.max_tokens)
    apart = float(np.abs(on_device.numbers(texts[:32]) - on_cpu.numbers(texts[:32])).max())
    gpu.say(
        f"{found.description.method} ({found.digest[:12]}) on {on_device.device}: {apart:.1e} from the CPU"
    )
    for count in REQUESTS:
        rates = [rate(each, texts[:count], seconds) for each in (on_device, on_cpu)]
        gpu.say(f"  {count:4} texts a request: {rates[0]:10,.1f} texts/s, on the CPU {rates[1]:10,.1f}")


def texts_of(longest: int) -> list[str]:
    """Texts of all lengths up to `longest` words, of the words that the made encoder knows."""
    draw = np.random.default_rng(1)
    return [
        " ".join(f"w{word}" for word in draw.integers(0, gpu.WORDS, 1 + number % longest))
        for number in range(max(REQUESTS))
    ]


def rate(predictor: Predictor, texts: Sequence[str], seconds: float) -> float:
    """Texts a second, one request after the other, when the shapes have been seen."""
    predictor.predict(texts)
    began, answered = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        predictor.predict(texts)
        answered += len(texts)
    return answered / (time.perf_counter() - began)


if __name__ == "__main__":
    sys.exit(main())
