"""Which method trains which architecture: each pair is trained for real, or refused with the reason.

`python -m tests.support.base_table [METHOD ...]` writes what a test compares, and what `docs/build.py` makes
a page of.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from lakeloop.artifact import TOKENIZER, Artifact, open_artifact
from lakeloop.base_model import BaseModel, find_base_model, misfits_of
from lakeloop.bases.files import SEALED_CONFIG
from lakeloop.errors import ConfigurationError
from lakeloop.inference.predictor import Predictor
from lakeloop.spec.train import CHAMPION
from lakeloop.tasks.registry import task_class, task_of
from tests.support.tiny_bases import FAMILIES
from tests.support.tiny_bert import make_dataset
from tests.support.training_jobs import Folders, job_config
from training.data import load_tokenizer, read_dataset, tokenise
from training.export import compare
from training.job import run
from training.job_config import JobConfig
from training.network import Network, TokenNetwork, load_encoder
from training.train import train
from training.words import WordCounts

METHODS: Mapping[str, Mapping[str, Any]] = {
    "head": {},
    "zero_shot": {},
    "classical": {},
    "few_shot": {},
    "top_layers": {"layers": 1},
    "frozen": {"lowest": 1},
    "lora": {},
    "dora": {},
    "adalora": {},
    "ia3": {},
    "vera": {"rank": 32},
    "oft": {"block": 8},
    "bitfit": {},
    "adapter": {"size": 16},
    "prompt": {"tokens": 5},
    "p_tuning": {"tokens": 5},
    "prefix": {"tokens": 5},
    "full": {},
}
"""Kind of a method -> its keys, for networks of two layers. One more method is one more row."""
WITHOUT_EPOCHS = ("head", "zero_shot", "classical", "few_shot")
"""Methods that do not move weights step by step from a beginning to an end, or judge steps by themselves."""
UNTAUGHT = ("zero_shot",)
"""Methods that learn nothing; random weights know nothing either."""
EVERYWHERE = ("head", "top_layers", "lora", "full")
"""Methods that are trained on all architectures in every run of the tests."""
RATES: Mapping[str, float] = {
    "adalora": 1e-2, "ia3": 3e-2, "vera": 3e-2, "bitfit": 1e-2, "adapter": 1e-2, "prompt": 1e-1,
    "p_tuning": 1e-2, "prefix": 1e-1,
}  # fmt: skip
"""Learning rates of methods that move few weights: the same steps do less."""

TABLE = Path(__file__).resolve().parents[2] / "docs" / "base-models.json"
TRAINS = "trains"
Table = dict[str, dict[str, str]]
"""Architecture -> method -> `TRAINS`, or why it is refused."""


def outcome(base: BaseModel, method: str, folders: Folders, work: Path) -> str:
    """What becomes of a training of `base` by `method` in the folder `work`.

    A pair that is not refused beforehand must learn; what it leaves must be the same when it is loaded again,
    by torch and by ONNX Runtime, and answer.
    """
    config = config_of(base, method, folders)
    work.mkdir()
    path = work / "config.json"
    path.write_text(config.model_dump_json())
    for _, refusal in misfits_of(config.train, base.folder, [config.candidate]):
        with pytest.raises(ConfigurationError, match=re.escape(refusal.message)):
            run(path, train)
        return f"refused: {refusal.message}"
    run(path, train)
    if method not in UNTAUGHT:
        _require_learnt(json.loads((work / "result.json").read_text()))
    _require_same_answers(open_artifact(work / "artifact"), config)
    return TRAINS


def config_of(base: BaseModel, method: str, folders: Folders) -> JobConfig:
    """A job on `base` by `method`, with the keys that suit such a network."""
    rate = {"learning_rate": RATES[method]} if method in RATES else {}
    return job_config(base, folders, {"kind": method, **METHODS[method]}, **rate)


def _require_learnt(result: Mapping[str, Any]) -> None:
    epochs = result["details"].get("epochs")
    if epochs:
        assert epochs[-1]["loss"] < epochs[0]["loss"], epochs
    assert result["metrics"]["loss"] < torch.tensor(3.0).log().item(), "guessing one of three is as good"


def _require_same_answers(artifact: Artifact, config: JobConfig) -> None:
    contract = artifact.description.contract
    network = _loaded(artifact, config.train.max_tokens).eval()
    tokenizer = load_tokenizer(artifact.folder / TOKENIZER, config.train.max_tokens)
    dataset = read_dataset(config.dataset, task_of(config.task), artifact.description.clean)
    texts = dataset.validation.instances
    tokens = tokenise(tokenizer, texts)
    compare(network, artifact.folder / "model.onnx", tokens)
    rows = [tokens.batch(torch.tensor([row]).numpy()) for row in range(len(texts))]
    with torch.inference_mode():
        outputs = torch.cat([network(row.input_ids, row.attention_mask) for row in rows]).double().numpy()
    wanted = task_class(contract.kind).decode(contract, outputs)
    found = Predictor(artifact.folder).predict(texts)
    assert [answer.label for answer in found] == [answer.label for answer in wanted]


def _loaded(artifact: Artifact, max_tokens: int) -> TokenNetwork:
    """The network of an artifact: an encoder, or words, and a linear layer."""
    saved = load_file(artifact.folder / "model.safetensors")
    head = nn.Linear(*reversed(saved["head.weight"].shape))
    head.load_state_dict({key: saved[f"head.{key}"] for key in ("weight", "bias")})
    if not (artifact.folder / SEALED_CONFIG).exists():
        return WordCounts(saved["column"].numpy(), saved["rarity"].numpy(), head)
    sealed = BaseModel(CHAMPION, artifact.folder, artifact.digest)
    network = Network(load_encoder(sealed, max_tokens), head.out_features)
    network.head = head
    return network


def table(folder: Path, methods: Collection[str], found: Table) -> Table:
    """`found` with what becomes of `methods`; bases and trainings lie below `folder`."""
    folders = Folders(make_dataset(folder / "rows"), folder / "cache", folder / "journals")
    for name, family in FAMILIES.items():
        base = find_base_model(f"models/{name}", family.make(folder / "models" / name))
        row = {m: outcome(base, m, folders, folder / f"{name}-{m}") for m in methods}
        row = {**found.get(name, {}), **row}
        found[name] = {method: row[method] for method in METHODS if method in row}
        sys.stdout.write(f"{name}: {found[name]}\n")
    return found


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as work:
        chosen = sys.argv[1:]
        told = json.loads(TABLE.read_text()) if chosen else {}
        TABLE.write_text(json.dumps(table(Path(work), chosen or METHODS, told), indent=2) + "\n")
