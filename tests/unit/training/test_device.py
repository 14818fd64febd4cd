"""The processor of a job: in which type it computes."""

from __future__ import annotations

from typing import Any

import pytest

from training.device import faster_in_bfloat16


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
