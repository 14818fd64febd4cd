"""The processor of a job: in which type it computes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from training.device import faster_in_bfloat16, give_up_repeating, open_device
from training.memory import Passes
from training.plan import plan_of_cuda


@pytest.mark.parametrize(
    ("name", "capabilities", "faster"),
    [
        ("AMD EPYC 9R45", {"avx512_bf16": True, "amx_bf16": False}, True),
        ("AMD EPYC 7R13", {"avx512_bf16": False, "amx_bf16": False}, False),
        ("Intel Xeon", {"avx512_bf16": True, "amx_bf16": True}, True),
        ("Intel Xeon", {"avx512_bf16": True, "amx_bf16": False}, False),
        ("CPU", {}, False),
    ],
)
def test_a_cpu_computes_in_bfloat16_only_where_that_is_faster(
    name: str, capabilities: dict[str, Any], faster: bool
) -> None:
    assert faster_in_bfloat16(name, capabilities) == faster


@pytest.fixture
def modes() -> Iterator[None]:
    """What a test changes of torch goes back."""
    cudnn = torch.backends.cuda.cudnn_sdp_enabled()  # type: ignore[no-untyped-call]
    yield
    torch.backends.cuda.enable_cudnn_sdp(cudnn)
    torch.use_deterministic_algorithms(True, warn_only=True)


@pytest.mark.usefixtures("modes")
def test_on_cuda_kernels_must_be_repeatable_and_attention_makes_no_plans(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (10**10, 10**10))
    torch.backends.cuda.enable_cudnn_sdp(True)
    device = open_device(1)
    assert (device.target.type, device.plan) == ("cuda", plan_of_cuda(10**11))
    assert not torch.backends.cuda.cudnn_sdp_enabled()  # type: ignore[no-untyped-call]
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.is_deterministic_algorithms_warn_only_enabled()


@pytest.mark.usefixtures("modes")
def test_a_kernel_that_cannot_be_repeated_runs_after_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    torch.use_deterministic_algorithms(True)
    tries, forgotten = [], []

    def backward(rows: np.ndarray, _share: float) -> torch.Tensor:
        tries.append(len(rows))
        if not torch.is_deterministic_algorithms_warn_only_enabled():
            raise RuntimeError("cumsum_cuda_kernel does not have a deterministic implementation, but ...")
        return torch.zeros(())

    passes = Passes(4)
    passes.run(np.arange(4), backward, lambda: forgotten.append(True))
    assert (tries, forgotten, passes.halved) == ([4, 4], [True], 0)
    assert "cumsum_cuda_kernel" in caplog.text


@pytest.mark.usefixtures("modes")
def test_other_faults_do_not_end_the_repeating() -> None:
    torch.use_deterministic_algorithms(True)
    assert not give_up_repeating(RuntimeError("shapes do not fit"))
    assert not torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    assert not give_up_repeating(RuntimeError("no deterministic implementation"))
