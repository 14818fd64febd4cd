"""The ONNX graph of a network: traced once for each architecture, filled with the weights of each training.

Tracing takes seconds whatever the size of the network, and sees no weight: what it gives depends on the
architecture alone, and not on how many outputs there are. It is done on a copy whose weights are random, so
that no two are alike and each is found again in the graph, as it is or turned; the graph without these
numbers is kept in a folder. A network whose weights do not all stand in its graph so (some were folded into
others) is traced itself, each time.
"""

from __future__ import annotations

import copy
import importlib.metadata
import json
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
import transformers
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import numpy_helper

from lakeloop.bases.files import WHERE
from lakeloop.durable import mark_used, write_atomically
from lakeloop.errors import ConfigurationError
from lakeloop.records import fingerprint
from training.network import Network, TokenNetwork

log = logging.getLogger(__name__)

OPSET = 18
INPUTS = ("input_ids", "attention_mask", "features")
"""Of a graph; the last one where the network reads features."""
_FORMAT = 3
"""Of a kept graph; another number leaves those that are kept unread."""
_WIDTH = 2
"""Outputs of the network that is traced: another number of them makes no other graph."""
_HEAD = "head."
"""Begins the names of the last layer's weights, whose shape the number of outputs decides."""
_WEIGHTS = "weights"
"""Where a kept graph says which of its initializers are weights: name -> (name of the weight, turned)."""


def graph_of(
    network: TokenNetwork, cache: Path, beside: Callable[[], None] = lambda: None
) -> onnx.ModelProto:
    """`network` (on the CPU, float32) as ONNX: `INPUTS` -> float32 [batch, width].

    The axes of batch and tokens are free. The graph comes from the folder `cache`, or is traced and kept
    there; the same weights give the same bytes either way. Where it is not there, `beside` waits for who may
    be tracing it.
    """
    if not isinstance(network, Network):
        return traced(network)
    path = cache / f"{_key(network)}.onnx"
    if (found := _read(path)) is None:
        beside()
        found = _read(path)
    if found is None:
        if (found := _empty_graph(network)) is None:
            return traced(network)
        write_atomically(path, found.SerializeToString(deterministic=True))
    return _filled(found, network)


def traced(network: TokenNetwork) -> onnx.ModelProto:
    """The same, from the network itself: nothing is kept."""
    mask = torch.ones(2, 8, dtype=torch.int64)
    mask[0, 5:] = 0
    given = [torch.ones_like(mask), mask]
    batch = torch.export.Dim("batch")
    text = {0: batch, 1: torch.export.Dim("tokens")}
    shapes: list[dict[int, Any]] = [text, text]
    if network.features:
        given.append(torch.zeros(2, network.features))
        shapes.append({0: batch})
    # Without gradients: with them, attention over T5's biases is laid out as no graph can say.
    with warnings.catch_warnings(), torch.no_grad():
        # About torch's own internals, and about axes named once for two inputs, which is meant.
        warnings.simplefilter("ignore")
        program = _exported(network, given, shapes)
    assert program is not None
    proto: onnx.ModelProto = program.model_proto
    _forget_origin(proto)
    return proto


def _exported(
    network: TokenNetwork, given: Sequence[torch.Tensor], shapes: Sequence[dict[int, Any]]
) -> torch.onnx.ONNXProgram | None:
    try:
        return torch.onnx.export(
            network,
            tuple(given),
            input_names=INPUTS[: len(given)],
            output_names=["outputs"],
            dynamic_shapes=tuple(shapes),
            opset_version=OPSET,
            external_data=False,
            dynamo=True,
            verbose=False,
        )
    except torch.onnx.OnnxExporterError as error:
        raise ConfigurationError(
            f"{_name_of(network)} cannot be written as ONNX, by which models are served",
            where=WHERE,
            expected="an architecture that torch.onnx exports",
            found=str(error.__cause__ or error).strip().splitlines()[0][:200],
            remedy="choose a base model of another architecture, see docs/base-models.md",
        ) from error


def _name_of(network: TokenNetwork) -> str:
    return type(getattr(network, "encoder", network)).__name__


def _forget_origin(proto: onnx.ModelProto) -> None:
    """Drop notes on the source lines a node came from: paths of this machine, which change the digest."""
    graph = proto.graph
    for item in (proto, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        del item.metadata_props[:]
        item.doc_string = ""
    # Shapes that only hold for the traced call; quantisation stumbles over them.
    del graph.value_info[:]


def _key(network: Network) -> str:
    """Names a graph by all that decides it."""
    config = network.encoder.config.to_dict()
    return fingerprint(
        format=_FORMAT,
        opset=OPSET,
        config={key: value for key, value in config.items() if key != "_name_or_path"},
        modules=[f"{name} {type(module).__qualname__}" for name, module in network.named_modules()],
        weights={
            name: [str(weight.dtype), *(weight.shape[1:] if name.startswith(_HEAD) else weight.shape)]
            for name, weight in network.state_dict().items()
        },
        versions=versions(),
    )


def versions() -> list[str]:
    """Of the libraries that make a graph what it is."""
    # Not imported for it: that takes half a second, and a graph that is kept is filled without it.
    onnxscript = importlib.metadata.version("onnxscript")
    return [torch.__version__, transformers.__version__, onnx.__version__, onnxscript]


def _read(path: Path) -> onnx.ModelProto | None:
    if not path.exists():
        return None
    try:
        proto = onnx.load_model_from_string(path.read_bytes())
        _weights_of(proto)
    except (OSError, DecodeError, ValueError, KeyError) as error:
        log.warning("a kept graph cannot be read, tracing it again: %s", error)
        return None
    mark_used(path)
    log.info("the graph of this architecture was traced before")
    return proto


def _empty_graph(network: Network) -> onnx.ModelProto | None:
    """The graph, its weights left out; None where a weight of `network` does not stand in it by itself."""
    other = copy.deepcopy(network)
    other.head = torch.nn.Linear(network.head.in_features, _WIDTH)
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in other.parameters():
            weight.copy_(torch.randn(weight.shape, generator=random) * 0.02)
    proto, places = traced(other), _places(dict(other.named_parameters()))
    weights: dict[str, tuple[str, bool]] = {}
    for initializer in proto.graph.initializer:
        place = places.get(_digest(numpy_helper.to_array(initializer)))
        if place:
            weights[initializer.name] = place
            initializer.ClearField("raw_data")
    if absent := {name for name, _ in other.named_parameters()} - {name for name, _ in weights.values()}:
        log.info("the graph of this architecture is not kept: %s is folded into others", min(absent))
        return None
    entry = proto.metadata_props.add()
    entry.key, entry.value = _WEIGHTS, json.dumps(weights)
    return proto


def _places(weights: Mapping[str, torch.nn.Parameter]) -> dict[str, tuple[str, bool]]:
    """Digest of a weight's bytes -> its name, and whether it is turned."""
    found: dict[str, tuple[str, bool]] = {}
    for name, weight in weights.items():
        array = weight.detach().numpy()
        if array.ndim == 2:
            found[_digest(array.T)] = (name, True)
        found[_digest(array)] = (name, False)
    return found


def _digest(array: NDArray[np.generic]) -> str:
    return blake2b(np.ascontiguousarray(array).tobytes(), digest_size=16).hexdigest()


def _weights_of(proto: onnx.ModelProto) -> dict[str, tuple[str, bool]]:
    (text,) = (entry.value for entry in proto.metadata_props if entry.key == _WEIGHTS)
    return {name: (weight, turned) for name, (weight, turned) in json.loads(text).items()}


def _filled(empty: onnx.ModelProto, network: Network) -> onnx.ModelProto:
    weights, values = _weights_of(empty), dict(network.named_parameters())
    for initializer in empty.graph.initializer:
        if initializer.name in weights:
            name, turned = weights[initializer.name]
            array = values[name].detach().numpy()
            array = np.ascontiguousarray(array.T if turned else array)
            if name.startswith(_HEAD):  # as wide as there are outputs; others may stand in another shape
                initializer.dims[:] = array.shape
            initializer.raw_data = array.tobytes()
    empty.graph.output[0].type.tensor_type.shape.dim[-1].dim_value = network.head.out_features
    del empty.metadata_props[:]
    return empty
