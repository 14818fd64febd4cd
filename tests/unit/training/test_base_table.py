"""Each architecture that people use, with each method: it trains, or is refused, as the table says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lakeloop.base_model import BaseModel, find_base_model
from lakeloop.bases import fit
from lakeloop.bases.families import TESTED, Family
from lakeloop.errors import ConfigurationError
from lakeloop.inference.encoders.reading import embedding
from lakeloop.spec.methods import METHODS as SECTIONS
from lakeloop.spec.methods import kind_of
from lakeloop.tracking.tracker import NoopTracker
from tests.support.base_table import EVERYWHERE, METHODS, TABLE, TRAINS, config_of, outcome
from tests.support.tiny_bases import FAMILIES, POSITIONS
from tests.support.tiny_bert import make_rows
from tests.support.training_jobs import Folders, job_config
from training.attention import fuse_attention
from training.data import load_tokenizer, tokenise
from training.device import open_device
from training.frozen import can_replay
from training.job import open_job
from training.network import Network, load_encoder
from training.probe import fitting
from training.train import train

TOLD = json.loads(TABLE.read_text())
USABLE = [name for name in FAMILIES if TRAINS in TOLD[name].values()]
UNLIKE = ("albert", "bart", "deberta", "deberta-v2", "modernbert", "t5", "xlm")
"""Architectures whose second layer is not as the first, or that are not a stack of layers alone.

Of the others one layer is as good as two, and is traced in half the time.
"""


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, BaseModel]:
    folder = tmp_path_factory.mktemp("models")
    return {
        name: find_base_model(f"models/{name}", family.make(folder / name, layers=2 if name in UNLIKE else 1))
        for name, family in FAMILIES.items()
    }


@pytest.fixture
def folders(dataset_folder: Path, cache: Path, tmp_path: Path) -> Folders:
    return Folders(dataset_folder, cache, tmp_path / "journals")


def test_the_table_has_a_row_for_each_architecture_and_a_column_for_each_method() -> None:
    kinds = [kind_of(section) for section in SECTIONS]
    assert sorted(METHODS) == sorted(kinds), "add a row to METHODS in tests/support/base_table.py"
    assert set(TOLD) == TESTED, "name it in bases/families.py"
    assert sorted(TOLD) == sorted(FAMILIES), "run python -m tests.support.base_table"
    assert all(sorted(row) == sorted(kinds) for row in TOLD.values()), (
        "run python -m tests.support.base_table"
    )
    assert sum(found == TRAINS for row in TOLD.values() for found in row.values()) >= 60


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_an_architecture_trains_with_each_method_as_the_table_says(
    family: str, bases: dict[str, BaseModel], folders: Folders, tmp_path: Path
) -> None:
    found = {method: outcome(bases[family], method, folders, tmp_path / method) for method in EVERYWHERE}
    told = {method: TOLD[family][method] for method in EVERYWHERE}
    assert found == told, "run python -m tests.support.base_table"


REFUSED = [
    (name, method)
    for name in FAMILIES
    for method in (METHODS if name in USABLE else ["head"])
    if TOLD[name][method] != TRAINS
]


@pytest.mark.parametrize(("family", "method"), REFUSED)
def test_what_is_refused_by_name_would_not_work_either(
    family: str,
    method: str,
    bases: dict[str, BaseModel],
    folders: Folders,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fit, "family_of", lambda _config: Family())
    config = config_of(bases[family], method, folders)
    reasons = r"depends? on the texts beside it|no single stack|no biases|no linear layers that these"
    with pytest.raises(ConfigurationError, match=reasons):
        train(open_job(config, NoopTracker()))


@pytest.mark.parametrize("family", USABLE)
def test_an_encoder_runs_in_bfloat16_or_says_that_it_does_not(
    family: str, bases: dict[str, BaseModel], caplog: pytest.LogCaptureFixture
) -> None:
    base = bases[family]
    encoder = load_encoder(base, 24)
    tokens = tokenise(load_tokenizer(base.tokenizer, 24), make_rows(6, seed=5)["text"].to_pylist())
    batch = tokens.batch(torch.arange(6).numpy())
    with torch.inference_mode():
        exact = embedding(encoder, batch.input_ids, batch.attention_mask)
    fuse_attention(encoder)
    usual = replace(open_device(1), bf16=True)
    before = torch.random.get_rng_state()
    device = fitting(usual, encoder)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(weight.grad is None for weight in encoder.parameters())
    assert device.bf16 != ("does not run in bfloat16" in caplog.text)
    assert device.bf16 or family == "deberta", caplog.text
    with torch.inference_mode(), device.autocast():
        found = embedding(encoder, batch.input_ids, batch.attention_mask)
    torch.testing.assert_close(found, exact, atol=0.1 * float(exact.abs().max()), rtol=0.1)


LAYERED = [name for name in FAMILIES if TOLD[name]["top_layers"] == TRAINS]


@pytest.mark.parametrize("family", LAYERED)
def test_frozen_layers_are_replayed_where_that_gives_the_same(family: str, tmp_path: Path) -> None:
    base = find_base_model("models/deep", FAMILIES[family].make(tmp_path, layers=4))
    tokens = tokenise(load_tokenizer(base.tokenizer, 24), make_rows(6, seed=5)["text"].to_pylist())
    network = Network(load_encoder(base, 24), 3)
    for frozen in (1, 3):
        assert can_replay(network, frozen, tokens, open_device(1)) == (family != "t5")


@pytest.mark.parametrize("family", USABLE)
def test_texts_that_are_too_long_are_refused_with_the_number_that_would_do(
    family: str, bases: dict[str, BaseModel], folders: Folders
) -> None:
    base = bases[family]
    if family == "t5":  # without a table of positions
        assert load_encoder(base, 4 * POSITIONS) is not None
        return
    config = job_config(base, folders, "full", max_tokens=4 * POSITIONS)
    for refuse in (lambda: open_job(config, NoopTracker()), lambda: load_encoder(base, 4 * POSITIONS)):
        with pytest.raises(ConfigurationError, match="cannot read texts that long") as raised:
            refuse()
        assert (raised.value.where, raised.value.expected) == ("train.max_tokens", f"at most {POSITIONS}")
    assert load_encoder(base, POSITIONS) is not None
