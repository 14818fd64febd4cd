"""Which rows a model got wrong most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def worst_places(errors: NDArray[Any], count: int) -> list[int]:
    """Places of the `count` largest of `errors`, float [rows], the largest first; none that is 0."""
    # Equal errors in the order of the rows, whatever the machine.
    order = np.argsort(-errors, kind="stable")[:count]
    return [int(number) for number in order if errors[number] > 0]
