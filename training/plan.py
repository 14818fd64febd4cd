"""What suits a device: how many texts go through a network at once, and in which shapes.

A CPU is fastest with batches that stay in its caches, padded to their longest text. A GPU wants large
batches, and shapes that come again: what is prepared for a shape (kernels, memory) is used again then.
"""

from __future__ import annotations

from dataclasses import dataclass

_FREE_SHARE = 0.5
"""Share of the free memory that a batch may take where nothing is learnt."""
_A_TOKEN_BYTES = 1 << 16
"""What a token of such a batch takes, with room to spare: 16 values of a layer 1,024 wide, in float32."""
_NARROW = 8
"""Tokens: widths are a multiple of it, where they are rounded."""
_BATCHES = 2
"""Of how rounded batches are made up; another way has another number, for its last bits are others."""
_LATE = 8
"""Steps that a device may be behind what it was asked for: to be always busy two would do."""
_ANY = 1 << 30
"""More tokens than any width."""


@dataclass(frozen=True)
class Plan:
    """How a device is fed."""

    texts: int
    """Most texts of a batch where nothing is learnt: embeddings, frozen layers, validation."""
    tokens: int | None = None
    """Most tokens of such a batch, padding included; None: any number."""
    rounded: bool = False
    """Batches are padded to widths that come again, instead of to their longest text."""
    captured: bool = False
    """Passes are recorded for each of their shapes, and replayed."""

    compiled: bool = False
    """Layers of long trainings are compiled."""
    late: int = 0
    """Steps after which the loss of one is read, so that nobody waits for the device; 0: at once."""

    @property
    def marks(self) -> tuple[int, ...]:
        """What of it decides the last bits of embeddings; nothing on a CPU."""
        return () if self == ON_A_CPU else (self.texts, self.tokens or 0, _BATCHES * self.rounded)

    def width(self, longest: int, limit: int) -> int:
        """Tokens of a batch whose longest text has `longest`; at most `limit`, if that is enough for it.

        Rounded up to a multiple of an eighth of it, as a power of two: some twenty widths up to 512 tokens,
        and hardly more than an eighth of padding.
        """
        if not self.rounded:
            return longest
        grain = max(_NARROW, 1 << max(0, (longest - 1).bit_length() - 3))
        return max(longest, min(-(-longest // grain) * grain, limit))

    def texts_of(self, longest: int) -> int:
        """Texts of a batch where nothing is learnt, when the longest has `longest` tokens.

        As many for all that are padded to the same width, so that shapes come again.
        """
        if self.tokens is None:
            return self.texts
        return max(1, min(self.texts, self.tokens // self.width(max(1, longest), _ANY)))


ON_A_CPU = Plan(texts=32)
"""The fastest of 4 to 128 texts; larger batches fall out of the caches."""


def plan_of_cuda(free: int) -> Plan:
    """The plan of a CUDA device with `free` bytes of memory.

    Of what is free only powers of two count, and from 8 GB on it does not matter: batches of another size
    give other last bits.
    """
    most = 1 << max(10, (int(_FREE_SHARE * free) // _A_TOKEN_BYTES).bit_length() - 1)
    return Plan(texts=512, tokens=min(1 << 16, most), rounded=True, captured=True, compiled=True, late=_LATE)
