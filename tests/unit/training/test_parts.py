"""What a method leaves in an encoder: it is saved and loaded with it, exported, and trained on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from lakeloop.base_model import BaseModel, find_base_model, misfits_of
from lakeloop.bases.parts import KEY
from lakeloop.errors import ConfigurationError
from lakeloop.inference.encoders.layers import layers_of
from lakeloop.inference.encoders.parts import Prompt, add, before_texts, parts_in
from lakeloop.spec.methods import ADAPTER, PREFIX, PROMPT
from lakeloop.spec.train import CHAMPION, Train
from tests.support.sealed import sealed
from tests.support.tiny_bases import FAMILIES
from tests.support.tiny_bert import MAX_POSITIONS
from training.graph import graph_of
from training.job import Job
from training.network import Network, load_encoder
from training.train import train

IDS = torch.tensor([[5, 6, 7, 8, 9], [9, 6, 5, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
SIZES = {ADAPTER: 8, PROMPT: 3, PREFIX: 3}


def outputs(network: Network, rows: slice = slice(None), tokens: int = 5) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = network.eval()(IDS[rows, :tokens], MASK[rows, :tokens])
    return found


def with_parts(base: BaseModel, *kinds: str) -> Network:
    """A network with these parts, whose weights were moved."""
    torch.manual_seed(2)
    network = Network(load_encoder(base, 24), 3)
    for kind in kinds:
        add(network.encoder, kind, SIZES[kind])
    with torch.no_grad():
        for name, weight in network.encoder.named_parameters():
            if "added" in name or "before_texts" in name:
                weight.add_(0.3 * torch.randn_like(weight))
    return network.eval()


@pytest.mark.parametrize("kind", SIZES)
def test_a_part_changes_answers_and_is_loaded_with_the_encoder(
    kind: str, base: BaseModel, tmp_path: Path
) -> None:
    network = with_parts(base, kind)
    plain = Network(load_encoder(base, 24), 3)
    plain.head = network.head
    assert float((outputs(network) - outputs(plain)).abs().max()) > 1e-2
    champion = sealed(network, base.tokenizer, tmp_path / "artifact")
    again = Network(load_encoder(champion, 24), 3)
    again.head = network.head
    assert parts_in(again.encoder) == {kind: SIZES[kind]}
    torch.testing.assert_close(outputs(again), outputs(network), atol=0, rtol=0)


@pytest.mark.parametrize("kind", SIZES)
def test_an_answer_does_not_depend_on_the_texts_beside(kind: str, base: BaseModel) -> None:
    network = with_parts(base, kind)
    alone = outputs(network, slice(1, 2), tokens=3)
    torch.testing.assert_close(outputs(network)[1:], alone, atol=1e-5, rtol=1e-4)


def test_new_adapters_change_nothing(base: BaseModel) -> None:
    torch.manual_seed(2)
    network = Network(load_encoder(base, 24), 3)
    before = outputs(network)
    add(network.encoder, ADAPTER, 8)
    assert torch.equal(outputs(network), before)


def test_each_layer_reads_its_own_prefix_and_not_what_the_layer_below_made_of_one(base: BaseModel) -> None:
    network = with_parts(base, PREFIX)
    read: list[torch.Tensor] = []
    first, second = layers_of(network.encoder)
    second.register_forward_hook(lambda *given: read.append(given[2]))
    before = outputs(network)
    with torch.no_grad():  # seen by nobody: it stands where the vectors of the second layer are put
        first.register_forward_hook(lambda _layer, _inputs, out: out.index_fill(1, torch.arange(3), 7.0))
    torch.testing.assert_close(outputs(network), before, atol=0, rtol=0)
    assert read[0].shape[1] == 3 + IDS.shape[1]


@pytest.mark.slow
@pytest.mark.parametrize(("family", "kinds"), [("bert", (ADAPTER, PREFIX)), ("t5", (ADAPTER, PROMPT))])
def test_graphs_of_two_architectures_with_parts_compute_the_same_in_onnx_runtime(
    family: str, kinds: tuple[str, ...], tmp_path: Path
) -> None:
    network = with_parts(find_base_model("models/tiny", FAMILIES[family].make(tmp_path / family)), *kinds)
    proto = graph_of(network, Path(os.environ["LAKELOOP_CACHE"]) / "graphs")
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    for rows, tokens in ((slice(0, 2), 5), (slice(1, 2), 3)):
        given = {"input_ids": IDS[rows, :tokens].numpy(), "attention_mask": MASK[rows, :tokens].numpy()}
        (found,) = session.run(["outputs"], given)
        np.testing.assert_allclose(found, outputs(network, rows, tokens), atol=1e-5)


def test_p_tuning_leaves_the_vectors_and_not_what_made_them(make_job: Callable[..., Job]) -> None:
    job = make_job({"kind": "p_tuning", "tokens": 4}, learning_rate=1e-2)
    before = load_encoder(job.base, 24)
    torch.manual_seed(job.config.train.seed)
    trained = train(job).network
    assert isinstance(before_texts(trained.encoder), Prompt)
    names = {f"encoder.{name}" for name in before.state_dict()}
    assert set(trained.state_dict()) - names == {
        "encoder.before_texts.vectors", "head.weight", "head.bias",
    }  # fmt: skip


def test_a_champions_adapters_are_trained_on(
    base: BaseModel, make_job: Callable[..., Job], tmp_path: Path
) -> None:
    champion = sealed(with_parts(base, ADAPTER), base.tokenizer, tmp_path / "artifact")
    there = load_encoder(champion, 24).state_dict()
    for method, moved in (({"kind": "adapter", "size": 8}, True), ("lora", True), ("bitfit", True)):
        job = make_job(method, learning_rate=1e-2, epochs=1)
        job.base = champion
        trained = train(job).network.encoder
        assert set(trained.state_dict()) == set(there), "no second one"
        assert parts_in(trained) == {ADAPTER: 8}
        name = "encoder.layer.0.added_adapter.up.bias"
        assert torch.equal(trained.state_dict()[name], there[name]) != (moved and method != "lora")


def test_vectors_before_texts_and_frozen_layers_go_together(
    base: BaseModel, make_job: Callable[..., Job], tmp_path: Path
) -> None:
    champion = sealed(with_parts(base, PROMPT), base.tokenizer, tmp_path / "artifact")
    job = make_job({"kind": "top_layers", "layers": 1})
    job.base = champion
    losses = [epoch["loss"] for epoch in train(job).details["epochs"]]
    assert losses[-1] < losses[0]


def refusals(folder: Path, **keys: object) -> list[ConfigurationError]:
    section = Train.model_validate({"base_model": CHAMPION, "max_tokens": 24, **keys})
    return [error for _, error in misfits_of(section, folder, section.all_candidates[1:])]


def test_parts_of_a_champion_that_another_method_cannot_have_beside_are_refused(
    base: BaseModel, tmp_path: Path
) -> None:
    folder = sealed(with_parts(base, ADAPTER, PROMPT), base.tokenizer, tmp_path / "artifact").folder
    for fine in ({"kind": "adapter", "size": 8}, {"kind": "p_tuning", "tokens": 3}, "lora", "full"):
        assert refusals(folder, method=fine) == []
    (size,) = refusals(folder, method={"kind": "adapter", "size": 9})
    assert (size.message, size.expected, size.found) == (
        "champion has a adapter of another size, which is trained on", "8", "9",
    )  # fmt: skip
    (kind,) = refusals(folder, method={"kind": "prefix", "tokens": 3})
    assert kind.message == "champion has a prompt before its texts, and there is room for one"
    (longer,) = refusals(folder, method="full", max_tokens=MAX_POSITIONS - 2)
    assert longer.expected == f"at most {MAX_POSITIONS - 3}"
    with pytest.raises(ConfigurationError, match="cannot read texts that long"):
        load_encoder(find_base_model(CHAMPION, folder), MAX_POSITIONS - 2)


def test_vectors_that_leave_no_room_for_texts_are_refused_with_the_numbers_that_would_do(
    base: BaseModel,
) -> None:
    def found(tokens: int) -> ConfigurationError:
        section = Train.model_validate(
            {"base_model": "models/tiny", "max_tokens": 24, "method": {"kind": "prompt", "tokens": tokens}}
        )
        ((key, error),) = misfits_of(section, base.folder, section.all_candidates)
        assert key == ("method",)
        return error

    most = MAX_POSITIONS - 24
    assert found(most + 1).remedy.startswith(f"max_tokens: {MAX_POSITIONS - most - 1} or tokens: {most}, or")
    assert found(100).remedy.startswith(f"tokens: {most}, or")
    assert found(100).expected == f"at most {MAX_POSITIONS} together"


def test_a_folder_as_models_are_published_has_no_parts(base: BaseModel) -> None:
    assert KEY not in load_encoder(base, 24).config.to_dict()
