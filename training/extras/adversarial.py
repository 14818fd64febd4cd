"""Learning against small moves of the texts: FGM (Miyato et al. 2017), PGD (Madry et al. 2018).

What is moved is what the first trained layer reads: the word vectors' output, which is there where the table
of them is frozen, or the output of the last frozen layer. The length of a move is a share of the text's own,
so that it means the same for each base model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import nn

from lakeloop.inference.encoders.layers import layers_of
from lakeloop.spec.extras import Fgm, Off, Pgd
from training.network import Network

Compute = Callable[[], torch.Tensor]
"""The loss, a scalar that can be followed back to the weights."""


class Learner(Protocol):
    """Adds up the gradients of a loss."""

    def learn(self, compute: Compute) -> torch.Tensor:
        """The loss without a history; its gradients are added to those that there are."""


class Plain:
    """Learns from texts as they are."""

    def learn(self, compute: Compute) -> torch.Tensor:
        loss = compute()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()


class Adversary:
    """Learns half from texts as they are, half from the same ones moved against the network."""

    def __init__(self, module: nn.Module, epsilon: float, steps: int, step_size: float) -> None:
        """`module`: what it gives is moved; each of `steps` goes `step_size` far, a share of `epsilon`."""
        self._epsilon, self._steps, self._step_size = epsilon, steps, step_size
        self._at_work = False
        self._move: torch.Tensor | None = None
        self._read = torch.empty(0)
        module.register_forward_hook(self._moved)

    def learn(self, compute: Compute) -> torch.Tensor:
        self._at_work, self._move = True, None
        try:
            clean = compute() / 2
            clean.backward()  # type: ignore[no-untyped-call]
            gradient = self._leaf.grad
            assert gradient is not None
            reach = self._epsilon * _length(self._read)
            move = _towards(torch.zeros_like(gradient), gradient, reach * self._step_size, reach)
            for _ in range(self._steps - 1):
                self._move = move
                (gradient,) = torch.autograd.grad(compute(), self._leaf)
                move = _towards(move, gradient, reach * self._step_size, reach)
            self._move = move
            moved = compute() / 2
            moved.backward()  # type: ignore[no-untyped-call]
            return (clean + moved).detach()
        finally:
            self._at_work, self._move = False, None

    def _moved(self, _module: nn.Module, _inputs: Any, output: Any) -> Any:
        """A hook: the output of the module, with the move that is set."""
        if not self._at_work:
            return output
        hidden = output[0] if isinstance(output, tuple) else output
        self._read = hidden.detach()
        start = torch.zeros_like(self._read) if self._move is None else self._move
        self._leaf = start.detach().requires_grad_()
        moved = hidden + self._leaf
        return (moved, *output[1:]) if isinstance(output, tuple) else moved


def learner_of(section: Off | Fgm | Pgd, network: Network, frozen_layers: int) -> Learner:
    """How `network`, whose first `frozen_layers` layers are not trained, learns from a batch."""
    if isinstance(section, Off):
        return Plain()
    encoder = network.encoder
    reads = layers_of(encoder)[frozen_layers - 1] if frozen_layers else encoder.get_input_embeddings()
    if isinstance(section, Fgm):
        return Adversary(reads, section.epsilon, 1, 1.0)
    return Adversary(reads, section.epsilon, section.steps, section.step_size)


def _length(hidden: torch.Tensor) -> torch.Tensor:
    """Of each row of [rows, ...], its shape [rows, 1, ...]."""
    over = tuple(range(1, hidden.ndim))
    length: torch.Tensor = torch.linalg.vector_norm(hidden, dim=over, keepdim=True)
    return length


def _towards(
    move: torch.Tensor, gradient: torch.Tensor, step: torch.Tensor, reach: torch.Tensor
) -> torch.Tensor:
    """`move`, a step on along `gradient`, but for each row no longer than `reach`."""
    move = move + step * gradient / _length(gradient).clamp_min(1e-12)
    return move * (reach / _length(move).clamp_min(1e-12)).clamp_max(1.0)
