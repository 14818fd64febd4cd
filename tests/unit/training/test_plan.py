"""How a device is fed: large batches in few shapes on CUDA, and on a CPU what it always was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.embed import cache_key, embed_texts
from training.job import Job
from training.memory import HALVINGS, unlearnt
from training.network import Network, load_encoder
from training.plan import ON_A_CPU, plan_of_cuda
from training.train import train

MakeJob = Callable[..., Job]
ON_CUDA = replace(plan_of_cuda(80 * 10**9), captured=False)


@given(longest=st.integers(1, 8192), more=st.integers(0, 8192))
def test_a_width_holds_the_longest_text_with_little_padding(longest: int, more: int) -> None:
    assert ON_A_CPU.width(longest, longest + more) == longest
    width = ON_CUDA.width(longest, longest + more)
    assert longest <= width <= longest + more
    assert width < longest + max(8, longest / 4)


def test_widths_are_few() -> None:
    assert len({ON_CUDA.width(longest, 128) for longest in range(1, 129)}) == 12
    assert len({ON_CUDA.width(longest, 512) for longest in range(1, 513)}) == 20
    shapes = {(ON_CUDA.texts_of(longest), ON_CUDA.width(longest, 512)) for longest in range(1, 513)}
    assert len(shapes) == 20, "texts are as many for all lengths of a width"


@pytest.mark.parametrize(
    ("free", "tokens"), [(10**12, 1 << 16), (9 * 10**9, 1 << 16), (6 * 10**9, 1 << 15), (0, 1 << 10)]
)
def test_a_batch_where_nothing_is_learnt_fits_into_what_is_free(free: int, tokens: int) -> None:
    plan = plan_of_cuda(free)
    assert plan.tokens == tokens
    assert plan.texts_of(16) == min(512, tokens // 16)
    assert plan.texts_of(1 << 20) == 1
    assert all(plan.texts_of(length) * plan.width(length, 512) <= tokens for length in range(1, 513))
    assert ON_A_CPU.texts_of(8192) == 32


def test_large_batches_are_halved_until_they_are_a_quarter_of_those_of_a_cpu(make_job: MakeJob) -> None:
    device = make_job().device
    usual, large = unlearnt(device, "batches"), unlearnt(replace(device, plan=ON_CUDA), "batches")
    assert usual.texts >> (HALVINGS - usual.halved) == large.texts >> (HALVINGS - large.halved) == 8


def test_embeddings_are_the_same_but_for_rounding(make_job: MakeJob) -> None:
    job = make_job()
    network = Network(load_encoder(job.base, 24), 3).eval()
    usual = embed_texts(network, job.tokenise(), job.device)
    key = cache_key(job.base, [], 24, job.device)
    job.device = replace(job.device, plan=ON_CUDA)
    tokens = job.tokenise()
    assert tokens.batch(np.arange(9)).input_ids.shape[1] % 8 == 0
    np.testing.assert_allclose(embed_texts(network, tokens, job.device), usual, atol=1e-5)
    assert cache_key(job.base, [], 24, job.device) != key


@pytest.mark.parametrize("method", ["full", {"kind": "top_layers", "layers": 1}])
def test_a_training_with_rounded_widths_learns(make_job: MakeJob, method: str) -> None:
    job = make_job(method)
    job.device = replace(job.device, plan=ON_CUDA)
    first, *_, last = (epoch["loss"] for epoch in train(job).details["epochs"])
    assert last < 0.8 * first
