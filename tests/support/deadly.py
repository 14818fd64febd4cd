"""Checkpoints that kill the training which saves them."""

from __future__ import annotations

from dataclasses import dataclass, field

from training.checkpoint import Checkpoints, State


class Killed(BaseException):
    """In place of a signal: nothing that catches errors sees it."""


@dataclass
class Deadly(Checkpoints):
    """Checkpoints after every step, with a kill after some of them."""

    kills: set[int] = field(default_factory=set)

    @property
    def due(self) -> bool:
        return True

    def save(self, step: int, state: State) -> None:
        super().save(step, state)
        if step in self.kills:
            self.kills.remove(step)
            raise Killed
