from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import numpy as np
import pytest
import torch

from lakeloop.base_model import BaseModel
from tests.support.tiny_bert import make_rows
from training import attention
from training.attention import fuse_attention, restore_attention
from training.data import load_tokenizer, tokenise
from training.network import Network, load_encoder


def test_fused_attention_is_the_usual_one_without_dropout(base: BaseModel) -> None:
    network = Network(load_encoder(base, 24), 3).eval()
    tokens = tokenise(load_tokenizer(base.tokenizer, 24), make_rows(8, seed=5)["text"].to_pylist())
    batch = tokens.batch(np.arange(8))

    def run(bf16: bool) -> tuple[torch.Tensor, torch.Tensor]:
        network.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            outputs = network(batch.input_ids, batch.attention_mask)
        outputs.logsumexp(dim=1).sum().backward()
        gradient = network.encoder.get_parameter("encoder.layer.0.attention.self.query.weight").grad
        assert gradient is not None
        return outputs.detach(), gradient.clone()

    usual = run(bf16=False)
    fuse_attention(network.encoder)
    assert network.encoder.config._attn_implementation != "sdpa"
    fused = run(bf16=False)
    torch.testing.assert_close(fused, usual, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(run(bf16=True)[0], usual[0], atol=0.1, rtol=0.1)

    restore_attention(network.encoder)
    assert network.encoder.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("around", [True, False])
def test_attention_on_a_device_computes_in_the_type_of_the_network(
    monkeypatch: pytest.MonkeyPatch, around: bool
) -> None:
    asked = []

    def autocast(device: str, *, dtype: torch.dtype, enabled: bool) -> AbstractContextManager[None]:
        asked.append((device, dtype, enabled))
        return nullcontext()

    monkeypatch.setattr(torch, "is_autocast_enabled", lambda _: around)
    monkeypatch.setattr(torch, "autocast", autocast)
    attention._autocast("cuda")
    attention._autocast("cpu")
    assert asked == [("cuda", torch.bfloat16, around), ("cpu", torch.bfloat16, False)]
