"""What a larger batch costs in macro-F1 when the learning rate follows it, beside batches of 32.

    python -m benchmarks.batch --data FOLDER [--methods full top_layers lora] [--seeds 17 18 19] [--rows 5000]

FOLDER holds `train.csv` and `test.csv`, as for `benchmarks.train`. Each line is a training of the product's
own loop on the base model that comes in a package: its method, batch, learning rate, seed and macro-F1 on the
rows of `test.csv`. At the end, for each method and batch, the mean over the seeds and how far it is from that
of batch 32, in points. `--rates` tries other factors on the method's usual rate than the product's own.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean

import numpy as np
from sklearn.metrics import f1_score

from benchmarks.jobs import job_config
from benchmarks.sides import machine
from benchmarks.train import read_rows
from lakeloop.spec.train import USUAL_BATCH, Train
from lakeloop.tracking.tracker import NoopTracker
from training.batch import rate_factor
from training.data import load_tokenizer, tokenise
from training.embed import run
from training.job import Job, open_job
from training.steps import Feed, forward_of
from training.train import train


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True, help="folder with train.csv and test.csv")
    parser.add_argument("--methods", nargs="+", default=["full", "top_layers", "lora"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[17, 18, 19])
    parser.add_argument("--batches", nargs="+", type=int, default=[USUAL_BATCH, 256])
    parser.add_argument("--rates", nargs="+", type=float, help="factors for the batches above 32")
    parser.add_argument("--rows", type=int, default=0, help="of train.csv; 0: all")
    parser.add_argument("--epochs", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lakeloop-bench-") as work:
        labels = write_rows(options.data, Path(work), options.rows)
        for method in options.methods:
            compare(options, Path(work), labels, method)
    say(machine())
    return 0


def compare(options: argparse.Namespace, work: Path, labels: Sequence[str], method: str) -> None:
    """Train by `method` at each batch, factor and seed; prints each, then what the means differ by."""
    scores: dict[tuple[int, float], list[float]] = {}
    for seed in options.seeds:
        for batch, factor in arms(options):
            began = time.monotonic()
            settings = {"method": method, "epochs": options.epochs, "patience": options.epochs}
            rate = factor * Train.model_validate(settings).method.usual["learning_rate"]
            section = Train.model_validate(
                {**settings, "batch_size": batch, "learning_rate": rate, "seed": seed}
            )
            score = score_of(open_job(job_config(section, work, labels), NoopTracker()), options.data)
            scores.setdefault((batch, factor), []).append(score)
            say(
                f"{method:11} batch {batch:4} rate {rate:.2e} ({factor:.2f} x) seed {seed}  "
                f"macro-F1 {score:.4f}  {time.monotonic() - began:.0f} s"
            )
    usual = scores.get((USUAL_BATCH, 1.0))
    for (batch, factor), found in scores.items():
        apart = f"{100 * (mean(found) - mean(usual)):+.2f} points" if usual else ""
        say(f"{method:11} batch {batch:4} ({factor:.2f} x)  mean {mean(found):.4f}  {apart}")


def arms(options: argparse.Namespace) -> Iterator[tuple[int, float]]:
    """Batches, each with the factors on the usual learning rate that it is tried with."""
    for batch in options.batches:
        factors = [1.0] if batch == USUAL_BATCH else (options.rates or [rate_factor(batch)])
        yield from ((batch, factor) for factor in factors)


def write_rows(data: Path, work: Path, count: int) -> list[str]:
    """The data set of a job, of `count` training rows at most; returns its labels."""
    folder = work / "dataset"
    folder.mkdir()
    training, validation, _ = read_rows(data)
    labels = sorted(training["label"].unique())
    if count:
        training = training.sample(min(count, len(training)), random_state=0)
    training.to_parquet(folder / "train.parquet", index=False)
    validation.to_parquet(folder / "validation.parquet", index=False)
    (folder / "dataset.json").write_text(json.dumps({"digest": "d" * 64}))
    return labels


def score_of(job: Job, data: Path) -> float:
    """Macro-F1 on the test rows after the training that `job` is."""
    network = train(job).network.eval()
    _, _, test = read_rows(data)
    texts = list(test["text"])
    tokens = tokenise(load_tokenizer(job.base.tokenizer, job.config.train.max_tokens), texts)
    forward = forward_of(job.device, Feed(job.device.place), network, "test")
    outputs = run(forward, tokens, np.arange(len(texts)), job.device, "test")
    answers = job.judge.task.decode(job.judge.contract, outputs)
    found = [str(answer.model_dump()["label"]) for answer in answers]
    return float(f1_score(test["label"], found, average="macro"))


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
