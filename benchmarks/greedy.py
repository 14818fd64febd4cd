"""What single texts wait for while another client sends requests of 128 long ones, beside a quiet server.

    python -m benchmarks.greedy --data FOLDER [--seconds 20] [--clients 4] [--greedy 1]

FOLDER holds `train.csv` and `test.csv`, as for `benchmarks.train`. A head is trained on the base model that
comes in a package, released, and served by a process of its own with its default limits. `--clients` clients
ask for one text of `test.csv` after the other, each on its own connection, with a pause between them; first
alone, then while `--greedy` clients ask for 128 texts of as many tokens as the model reads, one request after
the other. Printed: the median and the 99th percentile of the single texts of both times, their ratio, and
what the greedy clients got.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from benchmarks.served import make_artifact, start
from benchmarks.sides import machine
from benchmarks.train import read_rows

PAUSE_SECONDS = 0.2
WARM_UP = 5
GREEDY_TEXTS = 128


@dataclass
class Asked:
    """What some clients were answered."""

    milliseconds: list[float] = field(default_factory=list)
    texts: int = 0
    refused: int = 0

    def percentile(self, share: float) -> float:
        ordered = sorted(self.milliseconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True, help="folder with train.csv and test.csv")
    parser.add_argument("--artifact", type=Path, help="made by an earlier run with --keep")
    parser.add_argument("--keep", type=Path, help="where to leave the artifact for other runs")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each side")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--greedy", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lakeloop-bench-") as work:
        artifact = options.artifact or make_artifact(options.data, Path(options.keep or work))
        server = start(Path(work) / "project", artifact, options.data)
        try:
            compare(server.url, options)
        finally:
            server.kill()
    return 0


def compare(url: str, options: argparse.Namespace) -> None:
    """Ask both ways and print what came."""
    texts = [str(text) for text in read_rows(options.data)[2]["text"]]
    long = [" ".join(texts[n : n + 60]) for n in range(GREEDY_TEXTS)]
    ask(url, texts, options.clients, WARM_UP)
    quiet = ask(url, texts, options.clients, options.seconds)
    greedy = Asked()
    stop = threading.Event()
    others = [threading.Thread(target=_greedy, args=(url, long, stop, greedy)) for _ in range(options.greedy)]
    began = time.monotonic()
    for other in others:
        other.start()
    busy = ask(url, texts, options.clients, options.seconds)
    stop.set()
    for other in others:
        other.join()
    taken = time.monotonic() - began
    for name, asked in (("alone", quiet), ("beside", busy)):
        print(
            f"{name:7} single texts: {len(asked.milliseconds):5} answered, {asked.refused} refused, "
            f"p50 {asked.percentile(0.5):7.1f} ms, p99 {asked.percentile(0.99):7.1f} ms"
        )
    print(
        f"ratio of p50 {busy.percentile(0.5) / quiet.percentile(0.5):.2f}; greedy: "
        f"{len(greedy.milliseconds)} requests of {GREEDY_TEXTS} texts, {greedy.refused} refused, "
        f"{greedy.texts / taken:.1f} texts/s, "
        f"mean {statistics.mean(greedy.milliseconds or [float('nan')]) / 1000:.1f} s"
    )
    print(f"{options.clients} clients, {options.greedy} greedy, {options.seconds:g} s a side; {machine()}")
    sys.stdout.flush()


def ask(url: str, texts: Sequence[str], clients: int, seconds: float) -> Asked:
    """Single texts from some clients for so long."""
    asked, lock = Asked(), threading.Lock()
    deadline = time.monotonic() + seconds

    def work(number: int) -> None:
        choose = random.Random(number)  # noqa: S311 - the same texts each time
        with httpx.Client(base_url=url, timeout=60) as http:
            while time.monotonic() < deadline:
                time.sleep(choose.uniform(0, 2 * PAUSE_SECONDS))
                _one(http, [choose.choice(texts)], asked, lock)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return asked


def _greedy(url: str, texts: Sequence[str], stop: threading.Event, asked: Asked) -> None:
    lock = threading.Lock()
    with httpx.Client(base_url=url, timeout=120) as http:
        while not stop.is_set():
            _one(http, texts, asked, lock)


def _one(http: httpx.Client, texts: Sequence[str], asked: Asked, lock: threading.Lock) -> None:
    began = time.perf_counter()
    answer = http.post("/v1/predict", json={"texts": list(texts)})
    taken = (time.perf_counter() - began) * 1000
    with lock:
        if answer.status_code == httpx.codes.OK:
            asked.milliseconds.append(taken)
            asked.texts += len(texts)
        else:
            asked.refused += 1


if __name__ == "__main__":
    raise SystemExit(main())
