"""What single texts wait for while a version is asked in the shadow of the champion, and while none is.

    python -m benchmarks.shadow --data FOLDER [--seconds 15] [--rounds 4] [--clients 4]

As `benchmarks.greedy`: a head on the base model that comes in a package, in a process of its own with default
limits, and clients that ask for one text after the other with pauses between them. The version in the shadow
is the same network, registered once more. The two sides take turns, `--rounds` times each, so that other work
of the machine is dealt to both. Printed: the percentiles of both sides, and how many requests the shadow was
asked, and how many it was not for want of time.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from benchmarks.greedy import Asked, ask
from benchmarks.served import make_artifact, start
from benchmarks.sides import machine
from benchmarks.train import read_rows
from lakeloop.artifact import open_artifact, write_manifest
from lakeloop.registry.registry import Registry
from lakeloop.settings import get_settings
from lakeloop.stages.frame.session import StageContext

WARM_UP = 5


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True, help="folder with train.csv and test.csv")
    parser.add_argument("--artifact", type=Path, help="made by an earlier run of benchmarks.greedy --keep")
    parser.add_argument("--seconds", type=float, default=15.0, help="of each turn")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--clients", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lakeloop-bench-") as work:
        artifact = options.artifact or make_artifact(options.data, Path(work))
        server = start(Path(work) / "project", artifact, options.data)
        try:
            registry = Registry(StageContext.open("bench", get_settings(root=Path(work) / "project")).lake)
            tried = _registered_again(registry, artifact, Path(work) / "again")
            compare(server.url, registry, tried, options)
        finally:
            server.kill()
    return 0


def _registered_again(registry: Registry, artifact: Path, folder: Path) -> str:
    """The version of the same network under another seed."""
    shutil.copytree(artifact, folder)
    described = open_artifact(folder).description
    write_manifest(folder, described.model_copy(update={"seed": described.seed + 1}))
    champion = registry.champion()
    assert champion is not None
    return registry.register(folder, champion.card).name


def compare(url: str, registry: Registry, tried: str, options: argparse.Namespace) -> None:
    """Ask both ways in turns and print what came."""
    texts = [str(text) for text in read_rows(options.data)[2]["text"]]
    ask(url, texts, options.clients, WARM_UP)
    sides = {"alone": Asked(), "shadowed": Asked()}
    asked = 0
    for _ in range(options.rounds):
        _add(sides["alone"], ask(url, texts, options.clients, options.seconds))
        registry.begin_trial(tried, "shadow", 0, over="v1", reason="for a benchmark", cause="test")
        _await(url, loaded=True)
        _add(sides["shadowed"], ask(url, texts, options.clients, options.seconds))
        asked += _challenger(url)["requests"]
        registry.end_trial(tried, reason="for a benchmark")
        _await(url, loaded=False)
    for name, side in sides.items():
        print(
            f"{name:9} {len(side.milliseconds):5} answered, {side.refused} refused, "
            + ", ".join(f"p{100 * share:g} {side.percentile(share):.1f} ms" for share in (0.5, 0.9, 0.99))
        )
    share = asked / len(sides["shadowed"].milliseconds)
    print(
        f"the shadow was asked {asked} of the requests ({share:.0%}); ratio of p50 "
        f"{sides['shadowed'].percentile(0.5) / sides['alone'].percentile(0.5):.2f}"
    )
    print(f"{options.clients} clients, {options.rounds} turns of {options.seconds:g} s a side; {machine()}")


def _add(side: Asked, more: Asked) -> None:
    side.milliseconds += more.milliseconds
    side.refused += more.refused


def _challenger(url: str) -> dict[str, Any]:
    found: dict[str, Any] | None = httpx.get(f"{url}/v1/model").json()["challenger"]
    return found or {}


def _await(url: str, *, loaded: bool) -> None:
    while bool(_challenger(url).get("loaded_at")) != loaded:
        time.sleep(0.1)


if __name__ == "__main__":
    raise SystemExit(main())
