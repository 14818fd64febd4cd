"""Wrong answers that were planted into real rows: how many `lakeloop doubts` finds, and at which cost.

    python -m benchmarks.doubts --data /path/to/banking77 [--share 0.03]

`--data` is a folder with the `train.csv` of banking77 (columns text and category; github.com/PolyAI-LDN). In
a share of the rows the answer is replaced by another, drawn evenly.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import random
import time
from pathlib import Path

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from benchmarks.sides import machine
from lakeloop.evaluation.doubted import doubts_of


def main() -> int:
    """Print the table; 1 when of the first rows that are listed fewer than half were planted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--share", type=float, default=0.03)
    asked = parser.parse_args()
    with (asked.data / "train.csv").open(encoding="utf-8", newline="") as file:
        found = [(row["text"], row["category"]) for row in csv.DictReader(file)]
    chance = random.Random(17)  # noqa: S311
    names = sorted({answer for _, answer in found})
    planted = set(chance.sample(range(len(found)), round(asked.share * len(found))))
    answers = [
        chance.choice([name for name in names if name != answer]) if number in planted else answer
        for number, (_, answer) in enumerate(found)
    ]
    started = time.process_time()
    looked = doubts_of(_rows([text for text, _ in found], answers), "label")
    seconds = time.process_time() - started
    hits = [doubt.source_line - 1 in planted for doubt in looked.found]
    right = [
        doubt.suggested == found[doubt.source_line - 1][1]
        for doubt, hit in zip(looked.found, hits, strict=True)
        if hit
    ]
    table = Table(
        "rows", "planted", "listed", "planted among them", "among the first", "right one suggested", "CPU s"
    )
    first = sum(hits[: len(planted)])
    table.add_row(
        f"{len(found):,}",
        f"{len(planted):,}",
        f"{len(hits):,}",
        f"{sum(hits):,}",
        f"{first:,} of {len(planted):,}",
        f"{sum(right):,}",
        f"{seconds:.1f}",
    )
    Console().print(table, machine())
    return int(first < len(planted) / 2)


def _rows(texts: list[str], answers: list[str]) -> pa.Table:
    keys = [hashlib.sha256(text.lower().encode()).hexdigest()[:32] for text in texts]
    numbers = range(1, len(texts) + 1)
    return pa.table(
        {
            "row_id": [str(number) for number in numbers],
            "text": texts,
            "label": answers,
            "text_key": keys,
            "partition": ["2026-01-01"] * len(texts),
            "source_file": ["train.csv"] * len(texts),
            "source_line": list(numbers),
        }
    )


if __name__ == "__main__":
    raise SystemExit(main())
