"""Personal data in texts: how much of each kind is found, how much is found that is none, and what it costs.

    python -m benchmarks.personal [--count 2000]

Sentences are generated (`tests.support.personal_texts`): `count` of each kind, five times as many with order
numbers, dates, versions, hashes, wrong check digits. Found is a datum whose every letter and digit is masked;
a false positive is a sentence without personal data in which any kind masks something.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from benchmarks.sides import machine
from lakeloop.cleaning.personal.registry import KINDS, mask
from tests.support.personal_texts import REGION, Labelled, labelled


def main() -> int:
    """Print the table; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--count", type=int, default=2000)
    count = parser.parse_args().count
    rows = list(labelled(count))
    texts = pa.array([row.text for row in rows], pa.large_string())
    mask(texts.slice(0, 100), "phone", REGION)  # the library is loaded
    started = time.process_time()
    for kind in KINDS:
        texts = mask(texts, kind, REGION, keep_length=True)
    seconds = time.process_time() - started
    found = recall(rows, texts.to_pylist())
    false = sum(text != row.text for row, text in zip(rows, texts.to_pylist(), strict=True) if not row.kind)
    console = Console()
    console.print(_table(found, count, false))
    console.print(f"{seconds / len(rows) * 1e6:.0f} CPU µs a text ({len(rows):,} texts); {machine()}")
    return int(min(found.values()) < 0.98 * count or false > 0.01 * 5 * count)


def recall(rows: list[Labelled], masked: list[str]) -> Counter[str]:
    """Kind -> data of it that no letter or digit is left of."""
    found: Counter[str] = Counter()
    for row, text in zip(rows, masked, strict=True):
        if row.kind:
            found[row.kind] += not any(each.isalnum() for each in text[row.start : row.end])
    return found


def _table(found: Counter[str], count: int, false: int) -> Table:
    table = Table("kind", "found", "of", "share")
    for kind, times in found.items():
        table.add_row(kind, f"{times:,}", f"{count:,}", f"{times / count:.4f}")
    table.add_row("masked where nothing is", f"{false:,}", f"{5 * count:,}", f"{false / (5 * count):.4f}")
    return table


if __name__ == "__main__":
    raise SystemExit(main())
