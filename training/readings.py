"""Loss and gradient norm of each step, read so late that nobody waits for the device.

A GPU computes what it was asked for meanwhile: who reads a number at once waits until all before it is done,
and asks for the next step only then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch


@dataclass(frozen=True)
class Reading:
    """What is told of one step."""

    loss: float
    """Mean over the rows of its batch."""
    norm: float
    """Of the gradient, before it was cut."""
    learning_rate: float
    rows: int


@dataclass
class Readings:
    """The steps that were asked for and not told yet, oldest first."""

    late: int = 0
    """Steps that may wait; 0: each is read at once."""
    _waiting: deque[Callable[[], Reading]] = field(default_factory=deque)

    def __len__(self) -> int:
        return len(self._waiting)

    def add(
        self, loss: torch.Tensor, norm: torch.Tensor, learning_rate: float, rows: int
    ) -> Iterator[Reading]:
        """One more step, `loss` and `norm` are scalars; gives those that have waited long enough."""
        read = _copied(loss, norm) if self.late else lambda: (loss.item(), norm.item())
        self._waiting.append(lambda: Reading(*read(), learning_rate, rows))
        return self._read(self.late)

    def rest(self) -> Iterator[Reading]:
        """All that wait: before anything is kept that follows from them."""
        return self._read(0)

    def _read(self, left: int) -> Iterator[Reading]:
        while len(self._waiting) > left:
            # First out: a step that is told is one that is done.
            yield self._waiting.popleft()()


def _copied(loss: torch.Tensor, norm: torch.Tensor) -> Callable[[], tuple[float, float]]:
    """Have both numbers copied from the device; the result waits for the copy and for nothing after it."""
    both = torch.stack([loss.detach().float(), norm.detach().float()])
    copy, done = both.to("cpu", non_blocking=True), None
    if both.is_cuda:
        done = torch.cuda.Event()  # type: ignore[no-untyped-call]
        done.record()

    def read() -> tuple[float, float]:
        if done is not None:
            done.synchronize()
        first, second = copy.tolist()
        return first, second

    return read
