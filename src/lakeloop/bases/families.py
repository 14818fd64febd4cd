"""What is known of architectures: which cannot be base models, and which methods do not fit them.

A test trains one of each with each method and compares what it finds with this list. An architecture that is
not here is tried by the job, which refuses what does not work for the same reasons.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lakeloop.spec.methods import BIASES, LAYERS, TURNED_INPUTS


@dataclass(frozen=True)
class Family:
    """What is known of one."""

    refused: str = ""
    """Why it cannot be a base model at all; empty: it can."""
    lacks: Mapping[str, str] = field(default_factory=dict)
    """What it has not of what methods ask for (`MethodBase.needs`) -> why."""


_MIXED = "it mixes padding into a text: answers would depend on the texts beside it"
_PARTED = "its layers lie in several lists, by their parts"
_NO_BIASES = {BIASES: "its layers have no biases"}

FAMILIES: Mapping[str, Family] = {
    "albert": Family(lacks={LAYERS: "all its layers are one, run several times"}),
    "convbert": Family(refused=_MIXED),
    "flaubert": Family(lacks={LAYERS: _PARTED}),
    "fnet": Family(refused=_MIXED),
    "gpt2": Family(lacks={TURNED_INPUTS: "its layers keep their weights the other way round"}),
    "llama": Family(lacks=_NO_BIASES),
    "modernbert": Family(lacks=_NO_BIASES),
    "t5": Family(lacks=_NO_BIASES),
    "xlm": Family(lacks={LAYERS: _PARTED}),
}
"""Name of an architecture in a config (`model_type`) -> what is to be known of it."""

TESTED = frozenset(
    [
        "albert", "bart", "bert", "camembert", "convbert", "deberta", "deberta-v2", "distilbert", "electra",
        "fnet", "gpt2", "llama", "modernbert", "mpnet", "roberta", "t5", "xlm", "xlm-roberta",
    ]
)  # fmt: skip
"""Those that the test trains: of others a job tries first whether they can be exported at all."""

_READ_ONLY = frozenset(
    [
        "albert", "bert", "camembert", "convbert", "data2vec-text", "deberta", "deberta-v2", "distilbert",
        "electra", "ernie", "flaubert", "fnet", "funnel", "ibert", "longformer", "luke", "modernbert",
        "mpnet", "nystromformer", "roberta", "roberta-prelayernorm", "xlm", "xlm-roberta", "xlm-roberta-xl",
    ]
)  # fmt: skip
"""Encoders: they write no texts."""
_READ_APART = frozenset(
    [
        "bart", "blenderbot", "blenderbot-small", "led", "longt5", "m2m_100", "marian", "mbart", "mt5", "mvp",
        "pegasus", "pegasus_x", "plbart", "prophetnet", "switch_transformers", "t5", "umt5",
    ]
)  # fmt: skip
"""Encoders with a decoder; others say `is_encoder_decoder`."""
_AFTER_PADDING = frozenset(
    [
        "camembert", "data2vec-text", "ibert", "longformer", "luke", "mpnet", "roberta",
        "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod",
    ]
)  # fmt: skip
"""Those whose first position follows the id of padding; the positions before are never used."""
_DEPTH = ("num_hidden_layers", "n_layers", "n_layer", "encoder_layers", "num_layers")
_GIVE_BIASES = ("attention_bias", "mlp_bias", "norm_bias")
"""Settings that give biases to a model of an architecture that has none by default."""
_POSITIONS = ("max_position_embeddings", "n_positions")


def family_of(config: Mapping[str, Any]) -> Family:
    """What is known of the architecture of a config.json."""
    found = FAMILIES.get(str(config.get("model_type")), Family())
    if BIASES in found.lacks and any(config.get(key) is True for key in _GIVE_BIASES):
        return Family(lacks={need: why for need, why in found.lacks.items() if need != BIASES})
    return found


def cannot_write(config: Mapping[str, Any], kind: str) -> str:
    """Why a model of this config.json cannot write the answers of a `kind` of task; empty: it may."""
    found = str(config.get("model_type"))
    if found in _READ_ONLY:
        return "it reads texts and writes none"
    apart = found in _READ_APART or config.get("is_encoder_decoder") is True
    if kind == "seq2seq" and not apart:
        return "it goes on with texts, as kind causal_lm wants it, and reads none apart from writing"
    if kind == "causal_lm" and apart:
        return "it reads a text apart from writing, as kind seq2seq wants it"
    return ""


def positions_of(config: Mapping[str, Any]) -> int | None:
    """How many tokens a text may have; None where the config says no limit."""
    limit = _number(config, _POSITIONS)
    if limit is None:
        return None
    padding = config.get("pad_token_id", 1)
    if config.get("model_type") in _AFTER_PADDING and isinstance(padding, int):
        return limit - padding - 1
    return limit


def depth_of(config: Mapping[str, Any]) -> int | None:
    """How many layers the encoder has; None where the config does not say."""
    return _number(config, _DEPTH)


def _number(config: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    found = (config.get(name) for name in names)
    return next((number for number in found if isinstance(number, int) and number > 0), None)
