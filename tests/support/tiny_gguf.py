"""A tiny language model as a GGUF file, as llama.cpp writes them, with the tokenizer of the SmolLM models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
import transformers as hf
from gguf import GGMLQuantizationType as Packing

from tests.support.tiny_writers import _LLAMA, WORDS

SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
CHAT = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
_NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}  # fmt: skip
_SPACE, _LINE = "Ġ", "Ċ"
"""A space and an end of line, in the byte-level alphabet of GPT-2."""


def make_gguf(
    file: Path,
    *,
    packing: Packing = Packing.F32,
    seed: int = 7,
    pre: str = "smollm",
    without: str = "",
    **values: Any,
) -> hf.LlamaForCausalLM:
    """Write a random Llama to `file`; returns it, with its weights as they are before they are packed.

    Weights whose GGUF name has `without` in it are left out; `values` are keys of the file, `_` for `.`.
    """
    vocabulary, merges = _vocabulary()
    torch.manual_seed(seed)
    ids = {"bos_token_id": 1, "eos_token_id": 2, "vocab_size": len(vocabulary)}
    config = hf.LlamaConfig(**{**_LLAMA, **ids, "max_position_embeddings": 96})
    model = hf.LlamaForCausalLM(config).eval()
    file.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_vocab_size(len(vocabulary))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(vocabulary)
    writer.add_token_types([3] * len(SPECIALS) + [1] * (len(vocabulary) - len(SPECIALS)))
    writer.add_token_merges(merges)
    for add in (writer.add_bos_token_id, writer.add_eos_token_id, writer.add_pad_token_id):
        add(2 if add != writer.add_bos_token_id else 1)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT)
    for key, number in values.items():
        writer.add_uint16(key.replace("_", "."), number)
    for name, weight in _weights(model):
        if not without or without not in name:
            kind = packing if weight.ndim == 2 else Packing.F32
            writer.add_tensor(name, gguf.quants.quantize(weight, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model


def _vocabulary() -> tuple[list[str], list[str]]:
    """The 256 bytes, and words made of them by merges from the left; two spaces in a row are a token."""
    merges = [f"{_SPACE} {_SPACE}", f"{_LINE} {_LINE}"]
    tokens = [*SPECIALS, *_alphabet(), f"{_SPACE}{_SPACE}", f"{_LINE}{_LINE}"]
    for word in WORDS:
        for spelled in (word, f"{_SPACE}{word}"):
            for end in range(2, len(spelled) + 1):
                if spelled[:end] not in tokens:
                    tokens.append(spelled[:end])
                    merges.append(f"{spelled[: end - 1]} {spelled[end - 1]}")
    return tokens, merges


def _alphabet() -> list[str]:
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    shown = dict.fromkeys(plain)
    moved = (chr(256 + number) for number in range(256))
    return [chr(byte) if byte in shown else next(moved) for byte in range(256)]


def _weights(model: hf.LlamaForCausalLM) -> list[tuple[str, np.ndarray[Any, Any]]]:
    """Name in the file -> its numbers; queries and keys in the order in which llama.cpp turns them."""
    heads = {"attn_q": model.config.num_attention_heads, "attn_k": model.config.num_key_value_heads}
    found = []
    for name, weight in model.named_parameters():
        numbers = weight.detach().numpy()
        if name.startswith("model.layers."):
            _, _, layer, inner = name.removesuffix(".weight").split(".", 3)
            own = _NAMES[inner]
            if own in heads:
                turned = numbers.reshape(heads[own], 2, -1, numbers.shape[1]).swapaxes(1, 2)
                numbers = np.ascontiguousarray(turned.reshape(numbers.shape))
            found.append((f"blk.{layer}.{own}.weight", numbers))
        else:
            own = "token_embd" if "embed_tokens" in name else "output_norm"
            found.append((f"{own}.weight", numbers))
    return found
