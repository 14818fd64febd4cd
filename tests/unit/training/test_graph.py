from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import transformers as hf

from lakeloop.base_model import BaseModel
from lakeloop.errors import ConfigurationError
from lakeloop.inference.encoders import reading
from training import graph
from training.graph import graph_of
from training.network import Network, load_encoder
from training.probe import keep_nothing, require_own_answers

pytestmark = pytest.mark.slow  # tracing takes seconds, whatever the size

IDS = torch.tensor([[2, 5, 9, 3], [2, 7, 3, 0]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])


class Folding(Network):
    """A network of whose weights one stands in no graph: it is a factor of another."""

    def __init__(self, base: BaseModel) -> None:
        super().__init__(load_encoder(base, 24), 3)
        self.factor = torch.nn.Parameter(torch.tensor(2.0))

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        embedded = self.embed(input_ids, attention_mask)
        return torch.nn.functional.linear(embedded, self.head.weight * self.factor, self.head.bias)


def network(base: BaseModel, seed: int, width: int = 3) -> Network:
    torch.manual_seed(seed)
    made = Network(load_encoder(base, 24), width).eval()
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(torch.randn_like(weight) * 0.05)
    return made


def assert_alike(proto: onnx.ModelProto, wanted: Network) -> None:
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    (found,) = session.run(["outputs"], {"input_ids": IDS.numpy(), "attention_mask": MASK.numpy()})
    with torch.inference_mode():
        np.testing.assert_allclose(found, wanted(IDS, MASK), atol=1e-5)


@pytest.fixture(scope="module")
def cache(base: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the graph of `network(base, ...)` lies."""
    shared = Path(os.environ["LAKELOOP_CACHE"]) / "graphs"  # other tests may have traced it
    made = network(base, 1)
    assert_alike(graph_of(made, shared), made)
    folder = tmp_path_factory.mktemp("graphs")
    shutil.copy(shared / f"{graph._key(made)}.onnx", folder)
    return folder


def refuse(_network: Network) -> onnx.ModelProto:
    raise AssertionError("it was traced again")


def test_another_training_of_the_architecture_traces_nothing_and_has_its_own_weights(
    base: BaseModel, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph, "traced", refuse)
    for seed, width in ((1, 3), (2, 3), (3, 1), (4, 5)):
        other = network(base, seed, width)
        proto = graph_of(other, cache)
        onnx.checker.check_model(proto, full_check=True)
        assert_alike(proto, other)


def test_a_damaged_file_is_traced_again_to_the_same_bytes_and_the_network_stays_as_it_is(
    base: BaseModel, cache: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trained = network(base, 3)
    before = {name: weight.clone() for name, weight in trained.state_dict().items()}
    (path,) = cache.iterdir()
    (tmp_path / path.name).write_bytes(path.read_bytes()[:100])
    again, kept = (graph_of(trained, folder).SerializeToString() for folder in (tmp_path, cache))
    assert again == kept
    assert "cannot be read, tracing it again" in caplog.text
    assert (tmp_path / path.name).read_bytes() == path.read_bytes()
    assert all(torch.equal(before[name], weight) for name, weight in trained.state_dict().items())


def test_another_setting_has_another_graph(base: BaseModel) -> None:
    other = network(base, 1)
    other.encoder.config.hidden_act = "relu"
    alike = {graph._key(made) for made in (network(base, 1), network(base, 2), network(base, 1, width=5))}
    assert len(alike) == 1, "neither the weights themselves nor the number of outputs count"
    assert graph._key(other) not in alike


def test_a_kept_graph_holds_no_weights(cache: Path) -> None:
    (path,) = cache.iterdir()
    assert path.stat().st_size < 100_000
    sizes = [len(item.raw_data) for item in onnx.load(path).graph.initializer]
    assert max(sizes) < 1000, "the largest weight has 8 KB"


def test_where_a_weight_is_folded_into_others_the_network_itself_is_traced(
    base: BaseModel, tmp_path: Path
) -> None:
    folding = Folding(base).eval()
    with torch.no_grad():
        folding.factor.fill_(3.0)
    assert_alike(graph_of(folding, tmp_path), folding)
    assert list(tmp_path.iterdir()) == []


def test_an_architecture_that_reckons_with_its_mask_as_numbers_is_written_as_a_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """XLNet subtracts its mask from 1: torch takes whole numbers there, torch.onnx does not."""
    torch.manual_seed(7)
    config = hf.XLNetConfig(
        vocab_size=40, d_model=32, n_layer=1, n_head=4, d_inner=64, initializer_range=0.2, pad_token_id=0
    )
    encoder = hf.XLNetModel(config).eval()
    keep_nothing(encoder)
    require_own_answers(encoder, "xlnet")
    wanted = Network(encoder, 3).eval()
    assert_alike(graph_of(wanted, tmp_path), wanted)
    monkeypatch.setattr(reading, "_FLOAT_MASK", frozenset())
    with pytest.raises(ConfigurationError, match="cannot be written as ONNX"):
        graph.traced(wanted)
