"""What a GPU does in the steady state of the product's own training, beside the Trainer of transformers.

    python -m benchmarks.gpu [--workloads minilm64 base256] [--methods full lora top_layers] [--no-trainer]
    python -m benchmarks.gpu --tiny

Encoders have random weights, texts are made up of a thousand words, in all lengths up to the limit: speed
does not depend on what they say. A method is trained twice by the product's own loop, with
`batch_size: auto`; its figure is that of the last epoch, from the first step to the last, without validation.
Operations are those of matrix products, on padded tokens. Beside them stands how long the whole training
took, how many layers were compiled for it, and whether both trainings gave the same weights, to the bit.
`--compile` says whether they are: `auto` as the product decides, or `always`, on a CPU too, or `never`.
`--tiny` tries all of it in a minute, on a CPU too.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import transformers as hf
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from benchmarks.jobs import job_config
from benchmarks.sides import machine
from lakeloop.spec.train import Train
from lakeloop.tracking.tracker import NoopTracker
from training import compiled, gradient
from training.data import bucketed_batches
from training.embed import embed_texts
from training.job import Job, open_job
from training.job_config import JobConfig
from training.network import TokenNetwork, load_encoder
from training.progress import Progress
from training.tasks.registry import training_task
from training.train import train

LABELS = ("even", "odd")
WORDS = 1000
PADDING, UNKNOWN = "[PAD]", "[UNK]"
WORTH = {"auto": compiled.WORTH, "always": 0.0, "never": math.inf}
"""When layers are compiled -> operations of a training from which they are."""
TOP = 2
"""Layers that method top_layers trains."""


@dataclass(frozen=True)
class Workload:
    """The size of an encoder and of its texts."""

    hidden: int
    heads: int
    layers: int
    tokens: int
    """Of the longest text."""
    rows: int

    def operations(self, method: str, width: float) -> float:
        """Floating-point operations of a training step for each token, in texts of `width` tokens.

        Of a layer the forward pass, the same again for what goes back through it, and again for its weights.
        """
        a_layer = 2 * 12 * self.hidden**2 + 4 * width * self.hidden
        passes, layers = {"full": (3, self.layers), "lora": (2, self.layers)}.get(method, (3, TOP))
        return float(passes * layers * a_layer)


WORKLOADS = {
    "minilm64": Workload(hidden=384, heads=12, layers=6, tokens=64, rows=40_000),
    "base256": Workload(hidden=768, heads=12, layers=12, tokens=256, rows=12_000),
}
TINY = {"tiny": Workload(hidden=32, heads=4, layers=3, tokens=24, rows=320)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--workloads", nargs="+", default=list(WORKLOADS))
    parser.add_argument("--methods", nargs="+", default=["full", "lora", "top_layers"])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=100, help="of the Trainer")
    parser.add_argument("--compile", choices=list(WORTH), default="auto", help="layers of the encoder")
    parser.add_argument("--no-trainer", action="store_true", help="leave the Trainer out")
    parser.add_argument("--tiny", action="store_true", help="try it all, small, on a CPU too")
    options = parser.parse_args()
    vars(compiled)["WORTH"] = WORTH[options.compile]
    known = TINY if options.tiny else WORKLOADS
    for name in TINY if options.tiny else options.workloads:
        with tempfile.TemporaryDirectory(prefix="lakeloop-bench-") as folder:
            measure(options, name, known[name], Path(folder))
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    say(f"{where}, torch {torch.__version__}, {machine()}")
    return 0


def measure(options: argparse.Namespace, name: str, workload: Workload, work: Path) -> None:
    """Print a line for each method, for embeddings, and for the Trainer."""
    write_base(workload, work / "base")
    write_rows(workload, work / "dataset")
    for method in options.methods:
        first, again = (trained(options, workload, work, method) for _ in range(2))
        rate = max(first.rate, again.rate)
        speed = rate * first.width * workload.operations(method, first.width) / 1e12
        same = "the same weights twice" if again.digest == first.digest else "OTHER WEIGHTS the second time"
        say(
            f"{name:9} {method:11} {rate:10,.0f} texts/s  {speed:8.2f} TFLOP/s  {first.seconds:7.1f} s"
            f"  {first.compiled:2} layers compiled  {same}"
        )
    say(f"{name:9} {'embeddings':11} {embedded(options, workload, work):10,.0f} texts/s")
    if not options.no_trainer:
        rate = by_trainer(min(options.steps, 12) if options.tiny else options.steps, work)
        say(f"{name:9} {'Trainer':11} {rate:10,.0f} texts/s  full, batches of 32 of similar length")


@dataclass(frozen=True)
class Measured:
    """A training."""

    rate: float
    """Texts a second in the last epoch."""
    seconds: float
    """All of it, with what is prepared before the first step."""
    compiled: int
    """Layers."""
    digest: str
    """Of the weights."""
    width: float
    """Tokens of a text, with the padding of its batch: the mean."""


def trained(options: argparse.Namespace, workload: Workload, work: Path, method: str) -> Measured:
    job = open_job(config_of(options, workload, work, method), NoopTracker())
    if options.compile == "always":
        job.device = replace(job.device, plan=replace(job.device.plan, compiled=True))
    with watched(options.epochs) as points:
        found = train(job)
    (texts, began), (more, ended) = points[0], points[-1]
    rate = (more - texts) / (ended - began)
    compiled_layers = found.details["compiled_layers"]
    return Measured(rate, job.seconds["train"], compiled_layers, digest_of(found.network), mean_width(job))


@contextmanager
def watched(epochs: int) -> Iterator[list[tuple[int, float]]]:
    """Fills in texts trained on, and seconds, after each step of the last epoch."""
    points: list[tuple[int, float]] = []

    class Watched(Progress):
        def step(self, loss: float, learning_rate: float, rows: int, gradient_norm: float) -> None:
            super().step(loss, learning_rate, rows, gradient_norm)
            if self.done > (epochs - 1) * self.steps:
                points.append((rows + (points[-1][0] if points else 0), time.perf_counter()))

    vars(gradient)["Progress"] = Watched
    try:
        yield points
    finally:
        vars(gradient)["Progress"] = Progress


def digest_of(network: TokenNetwork) -> str:
    found = hashlib.sha256()
    for name, weights in sorted(network.state_dict().items()):
        found.update(name.encode() + weights.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def mean_width(job: Job) -> float:
    """Tokens of a training text, with the padding of its batch."""
    tokens, section = job.tokenise(), job.config.train
    lengths = tokens.lengths[: len(job.dataset.train)]
    batches = bucketed_batches(lengths, section.batch_texts, seed=section.seed, epoch=section.epochs)
    padded = sum(len(rows) * tokens.width_of(int(lengths[rows].max())) for rows in batches)
    return padded / len(lengths)


def embedded(options: argparse.Namespace, workload: Workload, work: Path) -> float:
    """Texts a second, when all shapes have been seen."""
    job = open_job(config_of(options, workload, work, "full"), NoopTracker())
    encoder = load_encoder(job.base, workload.tokens)
    job.suit(encoder)
    network = training_task(job.dataset.contract).network(encoder).to(job.device.target).eval()
    tokens = job.tokenise()
    for _ in range(2):
        began = time.perf_counter()
        embed_texts(network, tokens, job.device)
    return len(tokens.ids) / (time.perf_counter() - began)


def by_trainer(steps: int, work: Path) -> float:
    """Texts a second of the Trainer in its second half."""
    rows, tokenizer = pd.read_parquet(work / "dataset/train.parquet"), read_tokenizer(work / "base")
    found: Any = [
        {"input_ids": tokenizer.encode(text).ids, "labels": LABELS.index(label)}
        for text, label in zip(rows["text"], rows["label"], strict=True)
    ]
    points: list[float] = []

    class Watch(hf.TrainerCallback):  # type: ignore[misc] # its base is not read, see pyproject.toml
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
            points.append(time.perf_counter())

    cuda = torch.cuda.is_available()
    arguments = hf.TrainingArguments(
        output_dir=str(work / "trainer"), per_device_train_batch_size=32, max_steps=steps, bf16=cuda,
        train_sampling_strategy="group_by_length", save_strategy="no", report_to=[], disable_tqdm=True,
        use_cpu=not cuda, logging_strategy="no",
    )  # fmt: skip
    fast = hf.PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=PADDING)
    padded = hf.DataCollatorWithPadding(fast)
    config = hf.AutoConfig.from_pretrained(work / "base", num_labels=len(LABELS))
    model = hf.AutoModelForSequenceClassification.from_config(config)
    hf.Trainer(model, arguments, data_collator=padded, train_dataset=found, callbacks=[Watch()]).train()
    half = len(points) // 2
    return 32 * (len(points) - 1 - half) / (points[-1] - points[half])


def write_base(workload: Workload, folder: Path) -> None:
    """An encoder of random weights, and a tokenizer of made-up words."""
    torch.manual_seed(17)
    config = hf.BertConfig(
        vocab_size=WORDS + 2,
        hidden_size=workload.hidden,
        num_hidden_layers=workload.layers,
        num_attention_heads=workload.heads,
        intermediate_size=4 * workload.hidden,
        max_position_embeddings=max(64, workload.tokens),
    )
    hf.BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    words = {PADDING: 0, UNKNOWN: 1, **{f"w{number}": number + 2 for number in range(WORDS)}}
    tokenizer = Tokenizer(WordLevel(words, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))


def read_tokenizer(folder: Path) -> Tokenizer:
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def write_rows(workload: Workload, folder: Path) -> None:
    """The data set of a job: texts of all lengths, and whether their first word has an even number."""
    folder.mkdir()
    random = np.random.default_rng(17)
    for split, count in (("train", workload.rows), ("validation", workload.rows // 10)):
        texts = [random.integers(0, WORDS, size) for size in random.integers(4, workload.tokens + 1, count)]
        rows = pd.DataFrame(
            {"text": [" ".join(f"w{number}" for number in text) for text in texts],
             "label": [LABELS[int(text[0]) % 2] for text in texts]}
        )  # fmt: skip
        rows.to_parquet(folder / f"{split}.parquet", index=False)
    (folder / "dataset.json").write_text(json.dumps({"digest": "d" * 64}))


def config_of(options: argparse.Namespace, workload: Workload, work: Path, method: str) -> JobConfig:
    section = Train.model_validate(
        {"base_model": "base", "method": method, "epochs": options.epochs, "patience": options.epochs,
         "batch_size": "auto", "max_tokens": workload.tokens}
    )  # fmt: skip
    return job_config(section, work, LABELS, base=work / "base")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
