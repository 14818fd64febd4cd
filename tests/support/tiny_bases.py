"""Base models of the architectures that people use: random, of some thousand weights.

Each has a tokenizer as its kind has: how many special tokens, at which ids, at which end of a text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from tests.support.tiny_bert import WORDS

HIDDEN, LAYERS, HEADS = 32, 2, 4
POSITIONS = 48
"""Of those that have a table of them; what is not for texts comes on top."""

_SIZES = {
    "hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": 64,
    "max_position_embeddings": POSITIONS,
}  # fmt: skip
_RELATIVE = {
    "relative_attention": True, "pos_att_type": ["p2c", "c2p"], "type_vocab_size": 0,
    "position_biased_input": False,
}  # fmt: skip


@dataclass(frozen=True)
class Specials:
    """The special tokens of a kind of tokenizer."""

    tokens: tuple[str, ...]
    """Their ids are their places."""
    template: str
    unknown: str | None


_BERT = Specials(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"), "[CLS] $A [SEP]", "[UNK]")
_ROBERTA = Specials(("<s>", "<pad>", "</s>", "<unk>", "<mask>"), "<s> $A </s>", "<unk>")
_T5 = Specials(("<pad>", "</s>", "<unk>"), "$A </s>", "<unk>")
_LLAMA = Specials(("<unk>", "<s>", "</s>"), "<s> $A", "<unk>")
_GPT = Specials(("<|endoftext|>",), "$A", "<|endoftext|>")


@dataclass(frozen=True)
class Family:
    """An architecture."""

    config: type[Any]
    specials: Specials = _BERT
    more: Mapping[str, Any] | None = None
    """Settings of the config that are not those of `_SIZES`."""
    sizes: bool = True
    """Whether its config has the names of `_SIZES`."""

    def make(self, folder: Path, layers: int = LAYERS) -> Path:
        """Write config, weights and tokenizer into `folder`, as they are published."""
        ids = {name: number for number, name in enumerate((*self.specials.tokens, *WORDS))}
        settings = {**(_SIZES if self.sizes else {}), "vocab_size": len(ids), "initializer_range": 0.2}
        for kind, names in _ROLES.items():
            settings[kind] = next((ids[name] for name in names if name in self.specials.tokens), None)
        settings |= self.more or {}
        settings |= {name: layers for name in _DEPTH if name in settings}
        torch.manual_seed(5)
        config = self.config(**settings)
        hf.AutoModel.from_config(config).save_pretrained(folder)
        tokenizer = Tokenizer(WordLevel(ids, unk_token=self.specials.unknown))
        tokenizer.pre_tokenizer = Whitespace()
        used = [(name, ids[name]) for name in self.specials.template.split() if name in ids]
        if used:
            tokenizer.post_processor = TemplateProcessing(single=self.specials.template, special_tokens=used)
        tokenizer.save(str(folder / "tokenizer.json"))
        return folder


_DEPTH = ("num_hidden_layers", "n_layers", "n_layer", "encoder_layers", "num_layers")
_ROLES = {
    "pad_token_id": ("[PAD]", "<pad>"),
    "bos_token_id": ("<s>", "[CLS]", "<cls>"),
    "eos_token_id": ("</s>", "[SEP]", "<sep>"),
}


def _after_padding(config: type[Any], **more: Any) -> Family:
    """A family that counts positions from the id of padding on, and keeps those before for itself."""
    return Family(config, _ROBERTA, {"max_position_embeddings": POSITIONS + 2, **more})


_SHAPES: Mapping[str, Mapping[str, Any]] = {
    "bart": {
        "d_model": HIDDEN, "encoder_layers": LAYERS, "decoder_layers": 2, "encoder_ffn_dim": 64,
        "encoder_attention_heads": HEADS, "decoder_attention_heads": HEADS, "decoder_ffn_dim": 64,
        "max_position_embeddings": POSITIONS, "decoder_start_token_id": 2, "init_std": 0.2,
    },
    "deberta-v2": {
        **_RELATIVE, "position_buckets": 16, "norm_rel_ebd": "layer_norm", "share_att_key": True,
        "conv_kernel_size": 3,
    },
    "distilbert": {
        "dim": HIDDEN, "n_layers": LAYERS, "n_heads": HEADS, "hidden_dim": 64,
        "max_position_embeddings": POSITIONS,
    },
    "gpt2": {"n_embd": HIDDEN, "n_layer": LAYERS, "n_head": HEADS, "n_positions": POSITIONS},
    "modernbert": {
        "global_attn_every_n_layers": 2, "local_attention": 8, "cls_token_id": 2, "sep_token_id": 3,
    },
    "t5": {
        "d_model": HIDDEN, "d_kv": 8, "d_ff": 64, "num_layers": LAYERS, "num_heads": HEADS,
        "decoder_start_token_id": 0,
    },
    "xlm": {"emb_dim": HIDDEN, "n_layers": LAYERS, "n_heads": HEADS, "max_position_embeddings": POSITIONS},
}  # fmt: skip

FAMILIES: Mapping[str, Family] = {
    "albert": Family(hf.AlbertConfig, more={"embedding_size": 16}),
    "bart": Family(hf.BartConfig, _ROBERTA, _SHAPES["bart"], sizes=False),
    "bert": Family(hf.BertConfig),
    "camembert": _after_padding(hf.CamembertConfig),
    "convbert": Family(hf.ConvBertConfig, more={"embedding_size": HIDDEN}),
    "deberta": Family(hf.DebertaConfig, more=_RELATIVE),
    "deberta-v2": Family(hf.DebertaV2Config, more=_SHAPES["deberta-v2"]),
    "distilbert": Family(hf.DistilBertConfig, more=_SHAPES["distilbert"], sizes=False),
    "electra": Family(hf.ElectraConfig, more={"embedding_size": 16}),
    "fnet": Family(hf.FNetConfig),
    "gpt2": Family(hf.GPT2Config, _GPT, _SHAPES["gpt2"], sizes=False),
    "llama": Family(hf.LlamaConfig, _LLAMA, {"num_key_value_heads": 2}),
    "modernbert": Family(hf.ModernBertConfig, more=_SHAPES["modernbert"]),
    "mpnet": _after_padding(hf.MPNetConfig),
    "roberta": _after_padding(hf.RobertaConfig),
    "t5": Family(hf.T5Config, _T5, _SHAPES["t5"], sizes=False),
    "xlm": Family(hf.XLMConfig, _ROBERTA, _SHAPES["xlm"], sizes=False),
    "xlm-roberta": _after_padding(hf.XLMRobertaConfig),
}
"""Name of the architecture in a config (`model_type`) -> how a tiny one is made."""
