"""Artifacts of language models without training."""

from __future__ import annotations

from pathlib import Path

from lakeloop.artifact import WRITER, Artifact, ArtifactDescription
from lakeloop.base_model import find_base_model
from lakeloop.spec.tasks.writing import WritingTask
from lakeloop.tasks.registry import task_of
from tests.support.tiny_writers import ASKED, make_writer
from training.data import load_tokenizer
from training.generation.export import export_writer
from training.generation.network import Writer, load_model
from training.generation.prompts import with_writing, writing_of

MAX_TOKENS = 24


def make_writing_artifact(
    folder: Path, number: int, *, kind: str = "llama", task: WritingTask = ASKED
) -> Artifact:
    """A random model, another one for each `number`."""
    base = find_base_model("models/own", make_writer(folder.parent / f"base-{number}", kind, seed=number))
    tokenizer = load_tokenizer(base.tokenizer, MAX_TOKENS)
    writing = writing_of(base, tokenizer, task, ["red"])
    found = task_of(task)  # type: ignore[arg-type]
    profile = found.profile(["red", "blue red"])
    description = ArtifactDescription(
        loop="dialogue",
        candidate="finetune",
        method="lora",
        engine=WRITER,
        contract=with_writing(found.contract(profile), writing, base),
        max_tokens=MAX_TOKENS,
        base_model=base.name,
        base_digest=base.digest,
        dataset_digest="d" * 64,
        seed=number,
        profile=profile,
        validation_metrics={"chrf": 0.5},
    )
    network = Writer(load_model(base, writing), writing)
    return export_writer(
        network, tokenizer, description, ["red blue"], rows={"train": 2}, into=folder, base=base
    )
