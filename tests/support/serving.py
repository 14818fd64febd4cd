"""Model servers for tests: releases without training, and a real server process to ask over HTTP."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx

from lakeloop.artifact import Artifact
from lakeloop.gate.decide import Decision
from lakeloop.records import now
from lakeloop.registry.history import ModelCard, ModelVersion
from lakeloop.registry.registry import Registry
from lakeloop.registry.trials import Phase, Trial
from lakeloop.serving.metrics import ServerMetrics
from lakeloop.serving.slots import Named, Release
from lakeloop.settings import Settings, get_settings
from lakeloop.stages.frame.session import StageContext
from lakeloop.tasks.reading import TEXT_ALONE, Reading
from tests.support.artifacts import make_artifact, make_number_artifact

LABELS = ("sports", "tech")
SMOKE_TEXTS = ("A story about sports.", "A story about tech.")

_LOOP = f"""
name: news
source:
  kind: files
  path: drops/{{partition}}.jsonl
  key: id
  columns: {{id: string, text: string, desk: string}}
task: {{text: text, label: desk, labels: [{", ".join(LABELS)}]}}
deploy:
  smoke_texts: [{", ".join(SMOKE_TEXTS)}]
"""
_NUMBERS = """
name: stars
source:
  kind: files
  path: drops/{partition}.jsonl
  key: id
  columns: {id: string, text: string, stars: number}
task: {kind: regression, text: text, value: stars, minimum: 0, maximum: 5}
deploy:
  smoke_texts: [A good day.]
"""
_SCRIPT = """
import functools, logging, sys
from lakeloop.serving.server import serve
prepare = functools.partial(logging.basicConfig, level="INFO")
prepare()
serve(sys.argv[2:], port=int(sys.argv[1]), prepare=prepare)
"""


def make_news(
    folder: Path, number: int, shares: Mapping[str, float] | None = None, reads: Reading = TEXT_ALONE
) -> Artifact:
    """A model of the loop `news`, another one for each `number`, which answers with the word it reads."""
    return make_artifact(folder, LABELS, seed=number, train_label_shares=shares, reads=reads)


def make_stars(folder: Path, number: int) -> Artifact:
    """A model of the loop `stars`, another one for each `number`: `good` is 4, all else 2.5."""
    return make_number_artifact(folder, {"good": 1.5}, base=2.5, minimum=0, maximum=5, seed=number)


class FolderSource:
    """A registry and a lake in one folder: a `ReleaseSource` whose versions are folders below `root`.

    With `numbers` its models answer as those of the loop `stars`; its models of news read `reads`.
    """

    def __init__(
        self,
        root: Path,
        *,
        numbers: bool = False,
        reads: Reading = TEXT_ALONE,
        make: Callable[[Path, int], Artifact] | None = None,
    ) -> None:
        self.root = root
        self._make = make or (make_stars if numbers else partial(make_news, reads=reads))
        self.release: Release | None = None
        self.challenger: Release | None = None
        self.trial: Trial | None = None
        self._phases = 0
        self.failure: Exception | None = None
        """Raised instead of naming a champion."""
        self.fetched: list[str] = []

    def promote(self, number: int) -> Release:
        """Make version `number` the champion; its artifact is written when it is not there."""
        version = f"v{number}"
        if not (self.root / version).exists():
            self._make(self.root / version, number)
        digest = self._make(self.root / "twin", number).digest
        shutil.rmtree(self.root / "twin")
        self.release = Release(version, digest, {"macro_f1": 0.9})
        return self.release

    def try_beside(self, number: int, phase: Phase = "canary", share: float = 0.0) -> Release:
        """Put version `number` beside the champion; its artifact is written when it is not there."""
        champion = self.release
        self.challenger, self.release = self.promote(number), champion
        self._phases += 1
        self.trial = Trial(
            sequence=self._phases,
            version=self.challenger.version,
            phase=phase,
            share=share,
            over=champion.version if champion else None,
            cause="test",
            reason="for a test",
            began_at=now(),
            run_id="test",
        )
        return self.challenger

    def end_trial(self) -> None:
        """The champion alone answers again."""
        self.challenger = self.trial = None

    def named(self) -> Named:
        if self.failure:
            raise self.failure
        return Named(self.release, self.challenger, self.trial)

    def fetch(self, release: Release, folder: Path) -> None:
        self.fetched.append(release.version)
        shutil.copytree(self.root / release.version, folder)


def value(metrics: ServerMetrics, name: str, **labels: str) -> float:
    """Value of one sample; 0 when it was never counted."""
    return metrics.registry.get_sample_value(name, labels) or 0.0


def open_project(root: Path, **settings: str) -> StageContext:
    """A project with a loop `news` of two desks, in `root`, and its bootstrapped lake."""
    (root / "loops/news").mkdir(parents=True)
    (root / "dbt").mkdir()
    (root / "loops/news/loop.yaml").write_text(_LOOP)
    return StageContext.open("news", get_settings(root=root, **settings))


def add_numbers(context: StageContext) -> StageContext:
    """One more loop in the project of `context`, `stars`, whose texts get numbers from 0 to 5."""
    (context.settings.root / "loops/stars").mkdir(exist_ok=True)
    (context.settings.root / "loops/stars/loop.yaml").write_text(_NUMBERS)
    return StageContext.open("stars", context.settings)


def artifact_folder(context: StageContext, number: int) -> Path:
    """Where `register` makes the artifact of that number: in the home, for the root may be the repository."""
    return context.settings.home / "artifacts" / context.loop.name / str(number)


def register(context: StageContext, number: int, shares: Mapping[str, float] | None = None) -> ModelVersion:
    """Register an artifact of its own for each `number`; the same number again is the same version."""
    folder = artifact_folder(context, number)
    if not folder.exists() and context.loop.name == "stars":
        make_stars(folder, number)
    elif not folder.exists():
        make_news(folder, number, shares)
    card = ModelCard(
        candidate="baseline",
        method="keywords",
        dataset_digest="0" * 64,
        metrics={"macro_f1": 0.9},
        decision=Decision(accepted=None, reason="for a test", checks=()),
    )
    return Registry(context.lake).register(folder, card)


def promote(context: StageContext, number: int, shares: Mapping[str, float] | None = None) -> ModelVersion:
    """Make the version of `number` champion; it is registered when it is not."""
    version = register(context, number, shares)
    before = Registry(context.lake).champion()
    over = before.name if before else None
    Registry(context.lake).promote(version.name, over=over, reason="for a test", cause="test")
    return version


@dataclass
class ServerProcess:
    """`serve(loops)` in a process of its own, on a free port of loopback."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    @classmethod
    def start(
        cls, settings: Settings, *, loops: Sequence[str] = ("news",), port: int = 0, **limits: object
    ) -> ServerProcess:
        """Start it and wait until it answers; `limits` are fields of `Limits`, no `loops` are all of them."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("LAKELOOP_")}
        env |= {"LAKELOOP_ROOT": str(settings.root), "LAKELOOP_HOME": str(settings.home)}
        env |= {f"LAKELOOP_SERVE_{name.upper()}": str(value) for name, value in limits.items()}
        log = settings.root / "server.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-c", _SCRIPT, str(port), *loops], env=env, stderr=file
            )
        server = cls(process, "", log)
        try:
            server.url = server._await_address()
            server.await_answer("/healthz")
        except BaseException:
            server.kill()
            raise
        return server

    def await_answer(self, path: str, seconds: float = 30, **wanted: str) -> dict[str, object]:
        """What `path` answers once it is 200 and holds the values `wanted`."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                answer = httpx.get(self.url + path)
                body: dict[str, object] = answer.json()
                if answer.status_code == 200 and wanted.items() <= body.items():
                    return body
            except httpx.TransportError as error:
                body = {"error": str(error)}
            assert time.monotonic() < deadline, f"{path} never was {wanted}: {body}\n{self.log.read_text()}"
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.02)

    def terminate(self) -> int:
        """SIGTERM; returns the exit status once it has drained and ended."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)

    def kill(self) -> None:
        """SIGKILL, if it still lives."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _await_address(self) -> str:
        deadline = time.monotonic() + 60
        while not (found := re.search(r"serving .* at (http://\S+)", self.log.read_text())):
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)
        return found[1]
