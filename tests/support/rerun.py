"""A recorder of passes for machines without a GPU, and plans of a CPU that is fed as a GPU is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from training.plan import ON_A_CPU

FEW_WIDTHS = replace(ON_A_CPU, rounded=True)
CAPTURED = replace(FEW_WIDTHS, captured=True)


@dataclass
class Rerun:
    """Takes the place of a recorder: to replay is to run the same work on the same memory again."""

    parameters: Sequence[torch.Tensor] = ()
    recorded: int = 0
    replayed: int = 0
    forgotten: int = 0

    def record(self, work: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
        self.recorded += 1
        places = [weights.grad for weights in self.parameters]

        def replay() -> torch.Tensor:
            self.replayed += 1
            now = [weights.grad for weights in self.parameters]
            assert all(one is other for one, other in zip(places, now, strict=True)), "gradients were moved"
            return work()

        return replay

    def forget(self) -> None:
        self.forgotten += 1
