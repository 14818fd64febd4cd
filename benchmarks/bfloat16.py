"""Whether this CPU multiplies faster in bfloat16 than in float32, beside what a training here would choose.

    python -m benchmarks.bfloat16

Products of the sizes that a small encoder has, both types in turns; prints the best of each and their ratio.
"""

from __future__ import annotations

import sys
import time

import torch

from training.device import open_device

SIZES = ((2048, 384, 1536), (4096, 384, 384), (4096, 768, 3072))
"""Rows, inputs, outputs."""
TURNS = 5
SECONDS = 0.3


def speed(rows: int, inputs: int, outputs: int, dtype: torch.dtype) -> float:
    """Floating-point operations in a second, in 1e9, of a linear layer."""
    values, weight = torch.randn(rows, inputs).to(dtype), torch.randn(outputs, inputs).to(dtype)
    torch.nn.functional.linear(values, weight)
    began, products = time.perf_counter(), 0
    while (passed := time.perf_counter() - began) < SECONDS:
        torch.nn.functional.linear(values, weight)
        products += 1
    return 2 * rows * inputs * outputs * products / passed / 1e9


@torch.inference_mode()
def main() -> None:
    device = open_device(17)
    sys.stdout.write(f"{device.name}, {device.threads} thread(s); a training computes in {device.dtype}\n")
    for size in SIZES:
        turns = [(speed(*size, torch.float32), speed(*size, torch.bfloat16)) for _ in range(TURNS)]
        exact, short = (max(turn) for turn in zip(*turns, strict=True))
        sys.stdout.write(
            f"{'x'.join(map(str, size)):>15}  float32 {exact:6.0f}  bfloat16 {short:6.0f} GFLOP/s  "
            f"ratio {short / exact:.2f}\n"
        )


if __name__ == "__main__":
    main()
