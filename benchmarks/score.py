"""Texts a CPU second: a file scored by `lakeloop score`, and the same texts asked of the model server.

    python -m benchmarks.score --data FOLDER [--method head] [--copies 5]

FOLDER holds `train.csv` and `test.csv`, as for `benchmarks.train`. The texts of `test.csv`, `--copies` times,
are answered by the same artifact three ways: a process `lakeloop score` over one CSV file, start and loading
included; 8 clients with one text a request; one client with 32 texts a request. CPU seconds are those of the
scoring process, and those that the server's process takes meanwhile: clients are not counted.
"""

from __future__ import annotations

import argparse
import csv
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks import served
from benchmarks.sides import machine
from benchmarks.train import read_rows
from tests.support.serving import ServerProcess

CLIENTS = 8
BATCH = 32


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True, help="folder with train.csv and test.csv")
    parser.add_argument("--method", default="head", help="of the model that answers")
    parser.add_argument("--copies", type=int, default=5, help="of the test rows")
    options = parser.parse_args()
    texts = [str(text) for text in read_rows(options.data)[2]["text"]] * options.copies
    table = Table(title=f"{len(texts)} texts, {options.method}")
    for column in ("way", "CPU s", "texts a CPU second", "beside score"):
        table.add_column(column, justify="left" if column == "way" else "right")
    with tempfile.TemporaryDirectory(prefix="lakeloop-bench-") as folder:
        work = Path(folder)
        artifact = served.make_artifact(options.data, work, options.method)
        server = served.start(work / "project", artifact, options.data)
        try:
            singles = asked(server, [[text] for text in texts], CLIENTS)
            batches = asked(server, [texts[n : n + BATCH] for n in range(0, len(texts), BATCH)], 1)
        finally:
            server.kill()
        scored = score(work, texts)
    for name, seconds in (
        ("lakeloop score, one file", scored),
        (f"server, {CLIENTS} clients, 1 text a request", singles),
        (f"server, 1 client, {BATCH} texts a request", batches),
    ):
        rate = len(texts) / seconds
        table.add_row(name, f"{seconds:.1f}", f"{rate:,.0f}", f"{scored / seconds:.2f}")
    Console().print(table, machine())
    return 0


def score(work: Path, texts: Sequence[str]) -> float:
    """CPU seconds of a process that scores a file of these texts."""
    source = work / "texts.csv"
    with source.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "text"))
        writer.writerows(enumerate(texts))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [
            Path(sys.executable).with_name("lakeloop"),
            "score",
            "bench",
            source,
            "--to",
            work / "answers.parquet",
        ],
        env={**os.environ, "LAKELOOP_ROOT": str(work / "project")},
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


def asked(server: ServerProcess, requests: Sequence[Sequence[str]], clients: int) -> float:
    """CPU seconds that the server takes to answer these requests."""
    process = psutil.Process(server.process.pid)
    before = process.cpu_times()
    with (
        httpx.Client(base_url=server.url, timeout=120) as http,
        ThreadPoolExecutor(clients) as pool,
    ):
        for answer in pool.map(lambda texts: _post(http, texts), requests):
            answer.raise_for_status()
    after = process.cpu_times()
    return float(after.user - before.user + after.system - before.system)


def _post(http: httpx.Client, texts: Sequence[str]) -> httpx.Response:
    return http.post("/v1/loops/bench/predict", json={"texts": list(texts)})


if __name__ == "__main__":
    raise SystemExit(main())
