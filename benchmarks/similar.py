"""Texts that are much like an earlier one: how many planted ones are found, at which cost, beside datasketch.

    python -m benchmarks.similar [--rows 1000000] [--history 5000000] [--peer-rows 100000]

Texts are of 40 words out of 50,000, drawn by a power law. A hundredth of the new rows are texts of the
history in which some words were changed. Whether such a pair is to be found (0.7 or more of its word pairs
shared) is known from the words themselves. Both sides look at `peer-rows` new ones on as many of before; the
whole is then run by our side alone. datasketch is taken from the environment, and left out where it is not.
Each run is a process of its own: its CPU seconds are those of the search, its memory has the texts in it, and
the pages of the file of signatures that the system keeps in memory.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import time
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from benchmarks.sides import cpu_seconds, in_a_process, machine, report_cost
from lakeloop.cleaning.similar import similar

LEAST = 0.7
_WORDS, _LENGTH, _CHANGED = 50_000, 40, 3
_SIDES = ("lakeloop", "datasketch")
Found = npt.NDArray[np.bool_]


def main() -> int:
    """Print the table; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--history", type=int, default=5_000_000)
    parser.add_argument("--peer-rows", type=int, default=100_000)
    parser.add_argument("--side", choices=_SIDES, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.side:
        return _run(asked.side, asked.rows, asked.history)
    columns = ("side", "rows", "planted", "found", "others", "CPU s", "CPU s a million", "s", "MB for texts")
    table = Table(*columns, "most MB")
    for side in _SIDES if importlib.util.find_spec("datasketch") else _SIDES[:1]:
        _measure(table, side, asked.peer_rows, asked.peer_rows)
    share, seconds = _measure(table, "lakeloop", asked.rows, asked.history)
    Console(width=120).print(table, machine())
    return int(share < 0.98 or seconds > 25)


def _measure(table: Table, side: str, rows: int, history: int) -> tuple[float, float]:
    """Run one side in a process of its own and add its line; the share found, CPU seconds a million texts."""
    sizes = ("--rows", str(rows), "--history", str(history))
    cost = in_a_process("benchmarks.similar", ["--side", side, *sizes], {})
    found, million = cost.found, cost.work_seconds / (rows + history) * 1e6
    counts = (rows + history, found["planted"], found["hit"], found["others"])
    times = (f"{cost.work_seconds:.1f}", f"{million:.1f}", f"{found['seconds']:.0f}")
    memory = (f"{found['texts_mb']:,.0f}", f"{cost.peak_mb:,.0f}")
    table.add_row(side, *(f"{count:,}" for count in counts), *times, *memory)
    return found["hit"] / max(found["planted"], 1), million


def _run(side: str, rows: int, history: int) -> int:
    texts, planted = _made(rows, history)
    before, began = cpu_seconds(), time.monotonic()
    found = similar(texts, LEAST) if side == "lakeloop" else _peer(texts.to_pylist())
    told = {
        "planted": int(planted.sum()),
        "hit": int((found & planted).sum()),
        "others": int((found & ~planted).sum()),
        "seconds": time.monotonic() - began,
        "texts_mb": texts.nbytes / 1e6,
    }
    report_cost(before, told)
    return 0


def _made(rows: int, history: int) -> tuple[pa.ChunkedArray, Found]:
    """Texts, those of the history first, and which are to be found (bool [texts])."""
    draw, few = np.random.default_rng(1), random.Random(1)  # noqa: S311
    chunks, planted = [], np.zeros(history + rows, dtype=np.bool_)
    words = np.array([f"w{number:x}" for number in range(_WORDS)])
    before: list[list[str]] = []  # those that are copied
    for start in range(0, history + rows, 50_000):
        count = min(50_000, history + rows - start)
        shape = (count, _LENGTH)
        picked = words[np.minimum(draw.zipf(1.3, shape) - 1, draw.integers(0, _WORDS, shape))]
        texts = [" ".join(row) for row in picked]
        if start < history:
            before += [row.tolist() for row in picked[: max(rows // 100 * count // history, 1)]]
        for place in range(max(history - start, 0), count) if start + count > history else ():
            if place % 100 == 0 and before:
                original = before[few.randrange(len(before))]
                changed = list(original)
                for _ in range(few.randint(1, _CHANGED)):
                    changed[few.randrange(_LENGTH)] = "changed"
                texts[place] = " ".join(changed)
                planted[start + place] = _shared(original, changed) >= LEAST
        chunks.append(pa.array(texts, pa.large_string()))
    return pa.chunked_array(chunks), planted


def _shared(one: list[str], other: list[str]) -> float:
    sets = set(pairwise(one)), set(pairwise(other))
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def _peer(texts: list[str]) -> Found:
    """The same by datasketch: signatures of 64 hashes, its index with bands for this threshold."""
    from datasketch import MinHash, MinHashLSH  # noqa: PLC0415  (a peer, which may not be there)

    index = MinHashLSH(threshold=LEAST, num_perm=64)
    found = np.zeros(len(texts), dtype=np.bool_)
    for place, text in enumerate(texts):
        sketch = MinHash(num_perm=64)
        sketch.update_batch([f"{one} {other}".encode() for one, other in pairwise(text.split())])
        found[place] = bool(index.query(sketch))
        index.insert(str(place), sketch)
    return found


if __name__ == "__main__":
    raise SystemExit(main())
