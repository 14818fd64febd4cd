"""Texts that are much like an earlier one: how many planted ones are found, at which cost, beside datasketch.

    python -m benchmarks.similar [--rows 1000000] [--history 5000000] [--peer-rows 100000]

Texts are of 40 words out of 50,000, drawn by a power law. A hundredth of the new rows are texts of the
history in which some words were changed. Whether such a pair is to be found (0.7 or more of its word pairs
shared) is known from the words themselves. Both sides look at `peer-rows` new ones on as many of before; the
whole is then run by our side alone. datasketch is taken from the environment, and left out where it is not.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import resource
import time
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from benchmarks.sides import machine
from lakeloop.cleaning.similar import similar

LEAST = 0.7
_WORDS, _LENGTH, _CHANGED = 50_000, 40, 3
Found = npt.NDArray[np.bool_]


def main() -> int:
    """Print the table; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--history", type=int, default=5_000_000)
    parser.add_argument("--peer-rows", type=int, default=100_000)
    asked = parser.parse_args()
    table = Table("side", "rows", "planted", "found", "others", "CPU s", "CPU s a million", "most memory, MB")
    small = _made(asked.peer_rows, asked.peer_rows)
    _side(table, "lakeloop", *small)
    if importlib.util.find_spec("datasketch"):
        _side(table, "datasketch", *small, by_peer=True)
    share, seconds = _side(table, "lakeloop", *_made(asked.rows, asked.history))
    Console().print(table, machine())
    return int(share < 0.98 or seconds > 25)


def _side(
    table: Table, name: str, texts: pa.Array, planted: Found, *, by_peer: bool = False
) -> tuple[float, float]:
    """Run one side and add its line; the share that was found, CPU seconds a million rows."""
    started = time.process_time()
    found = _peer(texts.to_pylist()) if by_peer else similar(texts, LEAST)
    seconds = time.process_time() - started
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    hit, others = int((found & planted).sum()), int((found & ~planted).sum())
    million = seconds / len(texts) * 1e6
    numbers = (f"{len(texts):,}", f"{planted.sum():,}", f"{hit:,}", f"{others:,}")
    table.add_row(name, *numbers, f"{seconds:.1f}", f"{million:.1f}", f"{most:,.0f}")
    return hit / max(int(planted.sum()), 1), million


def _made(rows: int, history: int) -> tuple[pa.Array, Found]:
    """Texts, those of the history first, and which are to be found (bool [texts])."""
    draw, few = np.random.default_rng(1), random.Random(1)  # noqa: S311
    chunks, planted = [], np.zeros(history + rows, dtype=np.bool_)
    words = np.array([f"w{number:x}" for number in range(_WORDS)])
    before: list[list[str]] = []
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
    return pa.concat_arrays(chunks), planted


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
