"""Artifacts of a loop on the local disk, and models from there: fetched, verified, warmed and tried."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np

from lakeloop.errors import ArtifactError
from lakeloop.inference.devices import CPU, SETTING, Wanted
from lakeloop.inference.predictor import Predictor
from lakeloop.locks import locked
from lakeloop.records import now
from lakeloop.serving.slots import Named, Release, ServedModel

log = logging.getLogger(__name__)

TOLERANCE = 1e-3
"""Largest difference of an output between a device and the CPU; an export has the same for its networks."""
_LOCK = ".lock"
_SELF_CHECK = "A short text that every model must be able to answer."
_SELF_CHECK_TOKENS = 10
"""Least number of tokens that a tokenizer makes of this text."""


class ReleaseSource(Protocol):
    """Where the versions of a loop come from: its registry and its lake."""

    def named(self) -> Named:
        """The current champion and the version beside it, by one look."""

    def fetch(self, release: Release, folder: Path) -> None:
        """Copy the artifact of `release` into `folder`, which does not exist."""


class ModelCache:
    """A folder with a copy of each version that is, or just was, in use. For one thread."""

    def __init__(self, source: ReleaseSource, folder: Path, threads: int, device: Wanted = "cpu") -> None:
        self._source = source
        self._folder = folder
        self._threads = threads
        self._device = device

    def load(self, release: Release) -> ServedModel:
        """Fetch a version unless its copy is there, verify it, let it answer, and return the loaded model.

        Raises:
            ArtifactError: the artifact is not whole, not the registered one, or does not answer; or answers
                otherwise on its device than on the CPU.
            ConfigurationError: CUDA is wanted, and cannot be used here.
        """
        with self._alone():
            predictor = self._opened(release)
            texts = _warm_up(predictor.description.max_tokens)
            if predictor.device != CPU:
                on_cpu = Predictor(predictor.folder, self._threads, expect=release.digest)
                require_same(predictor, on_cpu, texts)
        predictor.predict(texts)
        return ServedModel(release, predictor, now())

    def _opened(self, release: Release) -> Predictor:
        folder = self._folder / release.version
        cached = folder.exists()
        if not cached:
            self._source.fetch(release, folder)
        try:
            return Predictor(folder, self._threads, expect=release.digest, device=self._device)
        except ArtifactError:
            if not cached:
                raise
            log.warning("%s: the local copy is damaged; it is fetched again", folder)
            shutil.rmtree(folder)
            self._source.fetch(release, folder)
            return Predictor(folder, self._threads, expect=release.digest, device=self._device)

    def forget_all_but(self, versions: Collection[str]) -> None:
        """Delete the copies of all other versions."""
        with self._alone():
            for folder in self._folder.iterdir():
                if folder.is_dir() and folder.name not in versions:
                    shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Of the processes that share the folder one at a time: none takes away what another is loading."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with locked(self._folder / _LOCK):
            yield


def require_same(predictor: Predictor, on_cpu: Predictor, texts: Sequence[str]) -> None:
    """Raises ArtifactError where `predictor` gives other numbers for `texts` than `on_cpu`."""
    apart = float(np.abs(predictor.numbers(texts) - on_cpu.numbers(texts)).max())
    if not apart <= TOLERANCE:
        raise ArtifactError(
            f"the model answers otherwise on {predictor.device} than on the CPU, where it was judged",
            where=str(predictor.folder),
            expected=f"outputs within {TOLERANCE:g}",
            found=f"{apart:g} apart",
            remedy=f"set {SETTING}=cpu",
        )


def _warm_up(max_tokens: int) -> list[str]:
    """A short text and one of the most tokens: two shapes of batch, the widest among them.

    So the first requests meet warm memory, and none finds out that the model cannot read that far.
    """
    return [_SELF_CHECK, " ".join([_SELF_CHECK] * (max_tokens // _SELF_CHECK_TOKENS + 1))]
