"""Champions that change under load: no request may fail, and each answer is of the version that it names.

    python -m benchmarks.swap [--swaps 100] [--requests 100000] [--clients 8]

Tiny models, so that swaps and not the network are what is tried: version n answers the text `tech` with a
score of its own, by which an answer shows who gave it. Clients ask without a pause, while versions are
released one after the other, the next once the server answers with the one before. Printed: requests,
failures, answers whose version and score do not fit, and answers by an older version after a newer one of the
same connection.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.serve import head_of, read_answer
from benchmarks.sides import machine
from lakeloop.inference.predictor import Predictor
from lakeloop.registry.history import ModelVersion
from lakeloop.stages.frame.session import StageContext
from tests.support.artifacts import make_artifact
from tests.support.load import logged
from tests.support.serving import LABELS, ServerProcess, artifact_folder, open_project, promote

TEXT = "tech"
PAUSE_SECONDS = 0.02
"""Between two looks at which version answers."""


@dataclass
class Told:
    """What the clients were answered."""

    answered: int = 0
    failed: list[str] = field(default_factory=list)
    scores: dict[str, set[float]] = field(default_factory=dict)
    """Of the one text, by the version that the answer names."""
    backwards: int = 0
    """Answers of an older version than the one before, on one connection."""
    names: list[str] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--swaps", type=int, default=100)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=8)
    options = parser.parse_args()
    os.environ["WANDB_MODE"] = "disabled"
    with tempfile.TemporaryDirectory(prefix="lakeloop-bench-") as work:
        context = open_project(Path(work) / "project")
        versions = [release(context, 1)]
        server = ServerProcess.start(context.settings, poll_seconds=0.1)
        try:
            server.await_answer("/readyz")
            began = time.monotonic()
            port = int(server.url.rpartition(":")[2])
            told, taken = asyncio.run(swap_under_load(port, context, versions, options))
            seconds = time.monotonic() - began
            status = server.terminate()
        finally:
            server.kill()
        wrong = untrue(told, context, versions)
        rows = logged(context)
        lost = sum(rows[name] == 0 for name in told.names)
    print(
        f"{taken} swaps under {told.answered} requests in {seconds:.0f} s: {len(told.failed)} failed,"
        f" {wrong} answers of another version than they name, {told.backwards} older than the one before,"
        f" {lost} not in the lake; {len(told.scores)} versions answered; exit status {status}"
    )
    print(*told.failed[:5], machine(), sep="\n")
    return 1 if told.failed or wrong or told.backwards or lost else 0


def release(context: StageContext, number: int) -> ModelVersion:
    """A champion that is as sure of its answers as no other version."""
    make_artifact(artifact_folder(context, number), LABELS, seed=number, strength=1 + number / 50)
    return promote(context, number)


async def swap_under_load(
    port: int, context: StageContext, versions: list[ModelVersion], options: argparse.Namespace
) -> tuple[Told, int]:
    """Ask until all swaps and all requests are through; returns what was told, and the number of swaps."""
    told, swapped = Told(), asyncio.Event()

    async def client(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        newest, asked = 0, 0
        while told.answered < options.requests or not swapped.is_set():
            asked += 1
            name = f"c{number}-{asked}"
            body = json.dumps({"texts": [TEXT], "request_id": name}).encode()
            writer.write(head_of("/v1/predict", len(body)) + body)
            good, answer = await read_answer(reader)
            if not good:
                told.failed.append(answer.decode(errors="replace"))
                continue
            said = json.loads(answer)
            told.answered += 1
            told.names.append(name)
            told.scores.setdefault(said["model_version"], set()).add(said["predictions"][0]["score"])
            version = int(said["model_version"][1:])
            told.backwards += version < newest
            newest = version
        writer.close()

    async def releases() -> int:
        for number in range(2, options.swaps + 2):
            due = options.requests * (number - 1) / (options.swaps + 1)
            versions.append(await asyncio.to_thread(release, context, number))
            while versions[-1].name not in told.scores or told.answered < due:
                await asyncio.sleep(PAUSE_SECONDS)
        swapped.set()
        return len(versions) - 1

    clients = asyncio.gather(*(client(number) for number in range(options.clients)))
    taken = await releases()
    await clients
    return told, taken


def untrue(told: Told, context: StageContext, versions: list[ModelVersion]) -> int:
    """Scores that the version which an answer names does not give."""
    folder = context.settings.root / "check"
    right: Mapping[str, float] = {
        version.name: _score(context, version, folder / version.name) for version in versions
    }
    # Of neighbours in a batch the last digits depend.
    return sum(
        abs(score - right[version]) > 1e-6 for version, scores in told.scores.items() for score in scores
    )


def _score(context: StageContext, version: ModelVersion, folder: Path) -> float:
    context.lake.files.fetch(f"models/{version.name}", folder)
    (answer,) = Predictor(folder).predict([TEXT])
    return float(answer.model_dump()["score"])


if __name__ == "__main__":
    raise SystemExit(main())
