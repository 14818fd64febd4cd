"""Which weights a gradient method opens, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter

from lakeloop.base_model import BaseModel, find_base_model
from lakeloop.errors import ConfigurationError
from lakeloop.inference.encoders.layers import layers_of
from lakeloop.spec.methods import Method
from tests.support.tiny_bases import FAMILIES
from training.gradient import Gradient
from training.methods.base import Opener
from training.methods.registry import method_of
from training.methods.top_layers import TopLayers
from training.network import Network, load_encoder

MERGED = ("lora", "dora", "adalora", "ia3", "vera", "oft")
IN_BLOCKS = {"oft": {"block": 8}, "vera": {"rank": 16}}


def opener(kind: str, **keys: Any) -> Opener:
    method = method_of(TypeAdapter(Method).validate_python({"kind": kind, **keys}))
    assert isinstance(method, Gradient)
    return method.opener


@pytest.fixture
def network(base: BaseModel) -> Network:
    torch.manual_seed(1)
    return Network(load_encoder(base, 24), 3).eval()


BATCH = (torch.tensor([[5, 6, 7, 8, 9], [9, 6, 5, 0, 0]]), torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]))
"""Token ids and mask of two texts."""


def outputs(network: Network) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = network.eval()(*BATCH)
    return found


@pytest.mark.parametrize(
    ("kind", "keys", "frozen_layers", "trained"),
    [
        ("top_layers", {"layers": 1}, 1, {"layer.1"}),
        ("top_layers", {"layers": 2}, 0, {"layer.0", "layer.1"}),
        ("frozen", {"lowest": 1}, 1, {"layer.1"}),
        ("frozen", {"lowest": 1, "names": "*.bias *LayerNorm*"}, 1, {"layer.1"}),
        ("full", {}, 0, {"position_embeddings", "LayerNorm", "layer.0", "layer.1"}),
        ("lora", {"rank": 2}, 0, {"lora_A", "lora_B"}),
        ("dora", {"rank": 2}, 0, {"lora_A", "lora_B", "lora_magnitude_vector"}),
        ("adalora", {"rank": 2}, 0, {"lora_A", "lora_B", "lora_E"}),
        ("ia3", {}, 0, {"ia3_l"}),
        ("vera", {"rank": 4}, 0, {"vera_lambda_b", "vera_lambda_d"}),
        ("oft", {"block": 8}, 0, {"oft_R"}),
        ("bitfit", {}, 0, {"bias"}),
        ("adapter", {"size": 4}, 0, {"added_adapter"}),
        ("prompt", {"tokens": 3}, 0, {"before_texts.vectors"}),
        ("p_tuning", {"tokens": 3}, 0, {"before_texts.prompt", "before_texts.change"}),
        ("prefix", {"tokens": 3}, 0, {"added_prefix"}),
    ],
)  # fmt: skip
def test_a_method_opens_its_weights_and_the_head(
    network: Network, kind: str, keys: dict[str, Any], frozen_layers: int, trained: set[str]
) -> None:
    opened = opener(kind, **keys).open(network)
    assert opened.frozen_layers == frozen_layers
    assert [id(p) for p in opened.parameters] == [id(p) for p in network.parameters() if p.requires_grad]
    names = [name for name, p in network.encoder.named_parameters() if p.requires_grad]
    for part in trained:
        assert any(part in name for name in names)
    assert not any("word_embeddings" in name for name in names)
    assert all(p.requires_grad for p in network.head.parameters())
    if "position_embeddings" not in trained:
        assert all(any(part in name for part in trained) for name in names)


def test_frozen_names_stay_as_they_are_and_without_any_all_is_trained(network: Network) -> None:
    opener("frozen", lowest=0, names="embeddings.* *.attention.*").open(network)
    names = {name for name, p in network.encoder.named_parameters() if p.requires_grad}
    assert names
    assert not any("embeddings" in name or "attention" in name for name in names)
    opener("frozen", lowest=0).open(network)
    assert all(p.requires_grad for p in network.parameters())
    with pytest.raises(ConfigurationError, match="no weight of the base model has such a name") as raised:
        opener("frozen", lowest=0, names="encoder.block.*").open(network)
    assert (raised.value.where, raised.value.found) == ("train.method.names", "encoder.block.*")


@pytest.mark.parametrize(("layers", "modes"), [(1, [False, True]), (2, [True, True])])
def test_layers_below_the_trained_ones_see_no_dropout(
    network: Network, layers: int, modes: list[bool]
) -> None:
    TopLayers(layers).open(network).train_mode(network)
    assert [layer.training for layer in layers_of(network.encoder)] == modes
    assert network.encoder.get_submodule("embeddings").training == (layers == 2)
    assert network.training


@pytest.mark.parametrize(("kind", "key", "most"), [("top_layers", "layers", 2), ("frozen", "lowest", 1)])
def test_more_layers_than_there_are_is_a_configuration_error(
    network: Network, kind: str, key: str, most: int
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        opener(kind, **{key: most + 1}).open(network)
    assert (raised.value.where, raised.value.expected) == (f"train.method.{key}", f"at most {most}")


def test_adapters_for_layers_that_there_are_not_name_one_that_there_is(network: Network) -> None:
    opener("lora", targets="query value").open(network)
    names = {name for name, p in network.encoder.named_parameters() if p.requires_grad}
    assert {name.split(".lora_")[0].rsplit(".", 1)[1] for name in names} == {"query", "value"}


def test_targets_that_no_layer_has_are_a_configuration_error(network: Network) -> None:
    with pytest.raises(ConfigurationError, match="no linear layers that these adapters fit") as raised:
        opener("lora", targets="Wqkv").open(network)
    assert "encoder.layer.0.attention.self.query" in raised.value.expected


@pytest.mark.parametrize("method", MERGED)
@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_merged_adapters_compute_what_the_adapters_computed(
    family: str, method: str, make_network: Callable[[str], Network]
) -> None:
    if (family, method) == ("gpt2", "oft"):
        pytest.skip("refused, see bases/families.py")
    network = make_network(family)
    plain = set(network.state_dict())
    untouched = outputs(network)
    way = opener(method, **IN_BLOCKS.get(method, {}))
    way.open(network)
    torch.testing.assert_close(outputs(network), untouched, atol=1e-5, rtol=1e-4)
    with torch.no_grad():
        for parameter in network.encoder.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    before = outputs(network)
    assert float((before - untouched).abs().max()) > 1e-3
    way.close(network)
    torch.testing.assert_close(outputs(network), before, atol=1e-4, rtol=1e-3)
    assert set(network.state_dict()) == plain
    assert len(layers_of(network.encoder)) == 2


@pytest.fixture(scope="module")
def make_network(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Network]:
    def make(family: str) -> Network:
        folder = FAMILIES[family].make(tmp_path_factory.mktemp(family))
        torch.manual_seed(1)
        return Network(load_encoder(find_base_model("models/tiny", folder), 24), 3).eval()

    return make


def test_adalora_takes_rank_away_and_goes_on_from_where_it_was(network: Network) -> None:
    way = opener("adalora", rank=2, spare=4)
    opened = way.open(network)
    ranks = {n: p for n, p in network.encoder.named_parameters() if "lora_E" in n}
    assert {len(rank) for rank in ranks.values()} == {6}
    optimiser = torch.optim.SGD(opened.parameters, lr=1e-2)
    for step in range(1, 11):
        network.train()(*BATCH).square().sum().backward()
        opened.beside.before(step, 10)
        optimiser.step()
        opened.beside.after(step)
        optimiser.zero_grad()
        if step == 5:
            halfway = opened.beside.state_dict()
            assert halfway["exp_avg_ipt"]
    left = sum(int((rank != 0).sum()) for rank in ranks.values())
    assert left == 2 * len(ranks), "on average, as many as are asked for"
    assert opened.beside.state_dict()["ranks"] is not None
    opened.beside.load_state_dict(halfway)
    assert opened.beside.state_dict()["ranks"] == halfway["ranks"]
