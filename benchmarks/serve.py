"""Our server, LitServe and BentoML on one model, beside its network without any server.

    python -m benchmarks.serve --data FOLDER [--seconds 10] [--clients 1 8 32 128] [--artifact FOLDER]

FOLDER holds `train.csv` and `test.csv`, as for `benchmarks.train`. A head is trained on the base model that
comes in a package. Each server is a process of its own, one after the other, with one worker, one thread a
call, the same options of ONNX Runtime and answers of all classes; the peers batch as they document it
(`benchmarks.peers`), in environments that are made for this run. Each client sends one text of `test.csv` a
request, the next when it is answered. Printed: texts a CPU second of the server's processes together, and how
long clients waited. The network alone reads the same texts sorted by length, in a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.served import MAX_TOKENS, classes, make_artifact, start
from benchmarks.sides import machine
from benchmarks.train import read_rows
from lakeloop.local.airflow_env import free_port

PEERS = Path(__file__).parent / "peers"
SAME = ("onnxruntime==1.31.1", "tokenizers==0.23.3", "numpy==2.4.6")
LITSERVE, BENTOML = "litserve==0.2.19", "bentoml==1.4.40"
"""Neither is among our requirements: the second does not resolve beside them."""
WAITING = 256
"""Requests that may wait at our server: by default it tells 64 of 128 clients to come back."""
WARM_UP_SECONDS = 2.0
START_SECONDS = 120.0


@dataclass
class Asked:
    """What clients were answered, and what it cost the server."""

    milliseconds: list[float] = field(default_factory=list)
    failed: int = 0
    cpu_seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Texts a CPU second."""
        return len(self.milliseconds) / self.cpu_seconds

    def percentile(self, share: float) -> float:
        return percentile(self.milliseconds, share)


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    port: int
    pid: int
    path: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True, help="folder with train.csv and test.csv")
    parser.add_argument("--artifact", type=Path, help="of an earlier run, in place of a training")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each server and number of clients")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32, 128])
    parser.add_argument("--servers", nargs="+", default=["ours", "litserve", "bentoml"])
    options = parser.parse_args()
    texts = [str(text) for text in read_rows(options.data)[2]["text"]]
    with tempfile.TemporaryDirectory(prefix="lakeloop-bench-") as folder:
        work = Path(folder)
        artifact = options.artifact or make_artifact(options.data, work)
        model = as_peer(artifact, work / "model", classes(options.data))
        bare = alone(model, work, texts)
        found: dict[str, dict[int, Asked]] = {}
        for name in options.servers:
            with SERVERS[name](work, artifact, model, options.data) as running:
                asyncio.run(ask(running, texts, 4, WARM_UP_SECONDS))
                found[name] = {n: measure(running, texts, n, options.seconds) for n in options.clients}
    report(bare, found)
    return 0


def as_peer(artifact: Path, folder: Path, labels: Sequence[str]) -> Path:
    """The model as the peers read it."""
    folder.mkdir()
    for name in ("model.onnx", "tokenizer.json"):
        shutil.copy(artifact / name, folder)
    (folder / "peer.json").write_text(json.dumps({"labels": list(labels), "max_tokens": MAX_TOKENS}))
    return folder


def alone(model: Path, work: Path, texts: Sequence[str]) -> Mapping[str, Any]:
    """The network without a server: texts a CPU second, and milliseconds of single texts."""
    (work / "texts.json").write_text(json.dumps(list(texts)))
    command = [sys.executable, str(PEERS / "network.py"), str(model), str(work / "texts.json")]
    found: Mapping[str, Any] = json.loads(subprocess.check_output(command))
    return found


@contextmanager
def ours(work: Path, artifact: Path, _: Path, data: Path) -> Iterator[Running]:
    server = start(work / "project", artifact, data, waiting=WAITING)
    try:
        yield Running(int(server.url.rpartition(":")[2]), server.process.pid, "/v1/predict")
    finally:
        server.kill()


@contextmanager
def litserve(work: Path, _: Path, model: Path, __: Path) -> Iterator[Running]:
    python, port = environment(work / "litserve", LITSERVE) / "python", free_port()
    with process([str(python), str(PEERS / "lit_server.py"), str(model), str(port)], port) as pid:
        yield Running(port, pid, "/predict")


@contextmanager
def bentoml(work: Path, _: Path, model: Path, __: Path) -> Iterator[Running]:
    binaries, port = environment(work / "bentoml", BENTOML), free_port()
    command = [str(binaries / "bentoml"), "serve", "bento_server:Served", "--port", str(port)]
    command += ["--host", "127.0.0.1", "--working-dir", str(PEERS)]
    variables = {
        "PEER_MODEL": str(model),
        "BENTOML_HOME": str(work / "bentoml-home"),
        "BENTOML_DO_NOT_TRACK": "True",
    }
    with process(command, port, variables) as pid:
        yield Running(port, pid, "/predict")


SERVERS: Mapping[str, Callable[[Path, Path, Path, Path], Any]] = {
    "ours": ours,
    "litserve": litserve,
    "bentoml": bentoml,
}


def environment(folder: Path, *packages: str) -> Path:
    """A virtual environment with these packages; returns the folder of its programs."""
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
    variables = {**os.environ, "VIRTUAL_ENV": str(folder)}
    subprocess.run([uv, "pip", "install", "--quiet", *packages, *SAME], env=variables, check=True)
    return folder / "bin"


@contextmanager
def process(command: Sequence[str], port: int, variables: Mapping[str, str] | None = None) -> Iterator[int]:
    """A server that listens on `port`, until the end; its process id."""
    with tempfile.TemporaryFile() as log:
        running = subprocess.Popen(
            command, env={**os.environ, **(variables or {})}, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            deadline = time.monotonic() + START_SECONDS
            while not _answers(port):
                if running.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise RuntimeError(f"{command[0]} does not answer: {log.read().decode()[-2000:]}")
                time.sleep(0.2)
            yield running.pid
        finally:
            tree = family(running.pid)
            for each in tree:
                each.terminate()
            _, left = psutil.wait_procs(tree, timeout=10)
            for each in left:
                each.kill()
            running.wait()


def _answers(port: int) -> bool:
    try:
        answer = httpx.post(f"http://127.0.0.1:{port}/predict", json={"texts": ["a question"]}, timeout=10)
    except httpx.HTTPError:
        return False
    return answer.is_success


def family(pid: int) -> list[psutil.Process]:
    """A process and all below it."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_seconds(pid: int) -> float:
    """That a process and those below it have had so far."""
    times = [each.cpu_times() for each in family(pid)]
    return float(sum(time.user + time.system for time in times))


def measure(running: Running, texts: Sequence[str], clients: int, seconds: float) -> Asked:
    """So many clients for so long, and what they cost."""
    before = cpu_seconds(running.pid)
    asked = asyncio.run(ask(running, texts, clients, seconds))
    asked.cpu_seconds = cpu_seconds(running.pid) - before
    return asked


async def ask(running: Running, texts: Sequence[str], clients: int, seconds: float) -> Asked:
    """Clients on connections of their own, each with one text a request, one request after the other."""
    asked, deadline = Asked(), time.monotonic() + seconds

    async def client(number: int) -> None:
        choose = random.Random(number)  # noqa: S311 - the same texts each time
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        while time.monotonic() < deadline:
            body = json.dumps({"texts": [choose.choice(texts)]}).encode()
            began = time.perf_counter()
            writer.write(head_of(running.path, len(body)) + body)
            good, _ = await read_answer(reader)
            if good:
                asked.milliseconds.append((time.perf_counter() - began) * 1000)
            else:
                asked.failed += 1
        writer.close()

    await asyncio.gather(*(client(number) for number in range(clients)))
    return asked


def head_of(path: str, length: int) -> bytes:
    """The head of a request with a body of so many bytes of JSON."""
    lines = (f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json")
    return "\r\n".join((*lines, f"Content-Length: {length}", "", "")).encode()


async def read_answer(reader: asyncio.StreamReader) -> tuple[bool, bytes]:
    """Whether the next answer is a good one, and its body."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = next(
        int(line.partition(b":")[2]) for line in head.split(b"\r\n") if line.startswith(b"content-length:")
    )
    body = await reader.readexactly(length)
    return head.startswith(b"http/1.1 200"), body


def report(bare: Mapping[str, Any], found: Mapping[str, Mapping[int, Asked]]) -> None:
    """Print both, side by side."""
    alone_rate, single = bare["texts_a_cpu_second"], bare["single_ms"]
    table = Table(title="single texts")
    for column in (
        "server",
        "clients",
        "answered",
        "failed",
        "texts a CPU s",
        "of the network",
        "p50",
        "p99",
    ):
        table.add_column(column, justify="left" if column == "server" else "right")
    times = (f"{percentile(single, 0.5):.1f} ms", f"{percentile(single, 0.99):.1f} ms")
    table.add_row("the network alone", "", "", "", f"{alone_rate:.0f}", "1.00", *times)
    for name, by_clients in found.items():
        table.add_section()
        for clients, asked in by_clients.items():
            table.add_row(
                name,
                str(clients),
                str(len(asked.milliseconds)),
                str(asked.failed),
                f"{asked.rate:.0f}",
                f"{asked.rate / alone_rate:.2f}",
                f"{asked.percentile(0.5):.1f} ms",
                f"{asked.percentile(0.99):.1f} ms",
            )
    Console(width=110).print(table, machine())
    for clients, asked in found.get("ours", {}).items():
        ratios = (
            f"{asked.rate / others[clients].rate:.2f} of {name}"
            for name, others in found.items()
            if name != "ours"
        )
        print(f"ours with {clients} clients, texts a CPU second: {', '.join(ratios)}")
    if 1 in found.get("ours", {}):
        ratio = found["ours"][1].percentile(0.99) / percentile(single, 0.99)
        print(f"p99 with 1 client: {ratio:.2f} of the network's")


if __name__ == "__main__":
    raise SystemExit(main())
