"""How a pass through a network is run: kernel by kernel, or recorded for its shape and replayed.

A GPU does a pass of a small encoder in a tenth of the time that a CPU takes to ask for its kernels one by
one. A recorded pass is asked for at once. It reads and writes the same memory each time: its inputs are
copied to where they were when it was recorded, and gradients stay where they are from step to step. A pass of
a training is forward, loss and backward; where nothing is learnt it is forward alone.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import torch

from training.data import Batch
from training.device import Device

log = logging.getLogger(__name__)

MOST_RECORDED = 64
"""Shapes that are recorded; each keeps what it reads, and a share of what it computes."""
_ALIKE = 0.25
"""How far loss and gradients of a recorded pass may be from the right ones, to these: by other dropout."""
_WARM_UPS = 2
"""Passes until libraries have chosen their kernels and taken the memory that they work in."""

WORTH_RECORDING = 5
"""Passes of a shape before it is recorded, where nothing is learnt: as many as recording takes, so that all
take twice the time at most. A training, which has each shape in every epoch, records the second."""

Work = Callable[[Sequence[torch.Tensor], float | torch.Tensor], torch.Tensor]
"""Tensors, a factor -> loss times the factor, a scalar; its gradients are added to those that there are.

Or what a network gives, where nothing is learnt: any shape, without a factor or gradients.
"""
Shape = tuple[tuple[torch.Size, torch.dtype], ...]


@dataclass(frozen=True)
class Feed:
    """How the tokens of a batch come into a network."""

    tensors: Callable[[Batch], tuple[torch.Tensor, ...]]
    """All that the network reads of a batch, on the device."""
    bind: Callable[..., tuple[torch.Tensor, ...]] = lambda *tensors: tensors
    """These tensors -> the arguments of a call; what is no argument is put where the network finds it."""

    def __call__(self, batch: Batch) -> tuple[torch.Tensor, ...]:
        """The arguments for one call of the network."""
        return self.bind(*self.tensors(batch))


class Runner(Protocol):
    """Runs passes."""

    keeps_gradients: ClassVar[bool]
    """Gradients have to stay in their memory: they are set to zero, and not dropped."""

    def run(self, tensors: Sequence[torch.Tensor], factor: float) -> torch.Tensor:
        """What the work gives, without a history; adds up its gradients."""

    def forget(self) -> None:
        """Free all that was recorded; gradients may be dropped with it, and not else."""


@dataclass(frozen=True)
class Eager:
    """Runs a pass kernel by kernel."""

    work: Work
    keeps_gradients: ClassVar[bool] = False

    def run(self, tensors: Sequence[torch.Tensor], factor: float) -> torch.Tensor:
        return self.work(tensors, factor)

    def forget(self) -> None:
        """Nothing was recorded."""


class Recorder(Protocol):
    """Records work on a device."""

    def record(self, work: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
        """What does `work` again, on the memory that `work` uses; it has not been done when this returns.

        Raises:
            Exception: it cannot be recorded; gradients and random numbers are as they were.
        """

    def forget(self) -> None:
        """Nothing that was recorded is used again."""


@dataclass(frozen=True)
class _Recorded:
    """A pass of one shape."""

    tensors: Sequence[torch.Tensor]
    """What it reads."""
    factor: torch.Tensor
    replay: Callable[[], torch.Tensor]

    def run(self, tensors: Sequence[torch.Tensor], factor: float) -> torch.Tensor:
        for place, tensor in zip(self.tensors, tensors, strict=True):
            place.copy_(tensor)
        self.factor.fill_(factor)
        # A copy: the next pass, of this shape or another, may use the same memory.
        return self.replay().clone()


@dataclass
class Captured:
    """Replays passes of a shape that came before; runs others kernel by kernel, and all if recording fails.

    The first pass of a shape makes the gradients that later ones add to.
    """

    work: Work
    recorder: Recorder
    what: str = "steps"
    """What the passes are, for the log."""
    first: int = 1
    """Passes of a shape that are run before it is recorded."""
    seen: Counter[Shape] = field(default_factory=Counter)
    recorded: dict[Shape, _Recorded] = field(default_factory=dict)
    failed: bool = False
    keeps_gradients: ClassVar[bool] = True

    def run(self, tensors: Sequence[torch.Tensor], factor: float) -> torch.Tensor:
        shape = tuple((tensor.shape, tensor.dtype) for tensor in tensors)
        if (found := self.recorded.get(shape) or self._record(shape, tensors)) is None:
            return self.work(tensors, factor)
        return found.run(tensors, factor)

    def forget(self) -> None:
        self.recorded.clear()
        self.seen.clear()
        self.recorder.forget()

    def _record(self, shape: Shape, tensors: Sequence[torch.Tensor]) -> _Recorded | None:
        """The pass of this shape; None where it is not time, or not possible."""
        self.seen[shape] += 1
        if self.failed or self.seen[shape] <= self.first or len(self.recorded) == MOST_RECORDED:
            return None
        own = [tensor.clone() for tensor in tensors]
        factor = torch.ones((), device=own[0].device)
        try:
            replay = self.recorder.record(lambda: self.work(own, factor))
        except Exception as error:  # noqa: BLE001 - whatever cannot be recorded can still be run
            self.failed = True
            why = (str(error).splitlines() or [type(error).__name__])[0]
            log.warning(
                "%s cannot be recorded (%s): they run kernel by kernel, which is slower", self.what, why
            )
            return None
        self.recorded[shape] = _Recorded(own, factor, replay)
        return self.recorded[shape]


class CudaRecorder:
    """Records CUDA graphs, which share the memory for what comes and goes."""

    def __init__(self, parameters: Sequence[torch.Tensor]) -> None:
        self._parameters = parameters
        self._pool: Any = None

    def record(self, work: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
        self._warm_up(work)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            loss = work()
        self._pool = graph.pool()

        def replay() -> torch.Tensor:
            graph.replay()
            return loss

        require_alike(work, replay, self._parameters)
        return replay

    def forget(self) -> None:
        self._pool = None  # it goes with the last graph

    def _warm_up(self, work: Callable[[], torch.Tensor]) -> None:
        """Do `work` beside, and take back what it did to gradients and random numbers."""
        kept = [None if weights.grad is None else weights.grad.clone() for weights in self._parameters]
        random = torch.cuda.get_rng_state()
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        try:
            with torch.cuda.stream(side):
                for _ in range(_WARM_UPS):
                    work()
        finally:
            torch.cuda.current_stream().wait_stream(side)
            torch.cuda.set_rng_state(random)
            put_back(kept, self._parameters)


def require_alike(
    work: Callable[[], torch.Tensor], replay: Callable[[], torch.Tensor], parameters: Sequence[torch.Tensor]
) -> None:
    """Return when `replay` gives what `work` gives, and its gradients; both leave no trace.

    Not bit for bit: dropout may draw other numbers. What is recorded wrongly would learn nothing in silence.

    Raises:
        RuntimeError: it does not.
    """
    wanted, found = _measured(work, parameters), _measured(replay, parameters)
    if not all(_are_near(*pair) for pair in zip(wanted, found, strict=True)):
        gave, should = (
            f"{float(values.norm()):.4g} and gradients of norm {norm:.4g}" for values, norm in (found, wanted)
        )
        raise RuntimeError(f"a recorded pass gives {gave} instead of {should}")


def _are_near(one: torch.Tensor, other: torch.Tensor) -> bool:
    scale = float(torch.maximum(one.abs().max(), other.abs().max()))
    return float((one - other).abs().max()) <= max(_ALIKE * scale, 1e-4)


def _measured(
    work: Callable[[], torch.Tensor], parameters: Sequence[torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """What a pass gives, and the norm of its own gradients."""
    kept = [None if weights.grad is None else weights.grad.clone() for weights in parameters]
    random = torch.random.get_rng_state()
    on_device = torch.cuda.get_rng_state() if torch.cuda.is_available() else None
    put_back([None] * len(parameters), parameters)
    try:
        values = work().float().clone()
        own = [weights.grad.norm() for weights in parameters if weights.grad is not None]
        return values, torch.stack(own).norm() if own else torch.zeros(())
    finally:
        torch.random.set_rng_state(random)
        if on_device is not None:
            torch.cuda.set_rng_state(on_device)
        put_back(kept, parameters)


@torch.no_grad()
def put_back(gradients: Sequence[torch.Tensor | None], parameters: Sequence[torch.Tensor]) -> None:
    """Give `parameters` these values of their gradients, in the memory that they have; zero for None."""
    for gradient, weights in zip(gradients, parameters, strict=True):
        if weights.grad is not None and gradient is not None:
            weights.grad.copy_(gradient)
        elif weights.grad is not None:
            weights.grad.zero_()


def runner_of(device: Device, work: Work, parameters: Sequence[torch.Tensor]) -> Runner:
    """What suits `device`; `work` moves gradients of `parameters`."""
    return Captured(work, CudaRecorder(parameters)) if device.plan.captured else Eager(work)


@dataclass(frozen=True)
class Forward:
    """Runs texts through a network of which nothing is learnt."""

    feed: Feed
    runner: Runner

    def __call__(self, batch: Batch) -> torch.Tensor:
        """What the network gives for `batch`, on the device."""
        return self.runner.run(self.feed.tensors(batch), 1.0)

    def forget(self) -> None:
        """Free all that was recorded."""
        self.runner.forget()


def forward_of(device: Device, feed: Feed, compute: Callable[..., torch.Tensor], what: str) -> Forward:
    """What suits `device`; `compute` is given the arguments that `feed` makes, `what` names it in the log."""

    def work(tensors: Sequence[torch.Tensor], _: float | torch.Tensor) -> torch.Tensor:
        with device.autocast():
            return compute(*feed.bind(*tensors))

    if not device.plan.captured:
        return Forward(feed, Eager(work))
    return Forward(feed, Captured(work, CudaRecorder(()), f"passes of {what}", WORTH_RECORDING))
