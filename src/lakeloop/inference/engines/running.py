"""Rows of any lengths through an engine, in batches with little padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lakeloop.inference.batches import cheapest_batches, pad
from lakeloop.inference.engines.base import Engine
from lakeloop.inference.pieces import Pieces, done
from lakeloop.tasks.base import OutputContract

if TYPE_CHECKING:
    from lakeloop.tasks.base import Outputs


def run_batches(
    engine: Engine,
    contract: OutputContract,
    ids: Sequence[Sequence[int]],
    pad_id: int,
    features: NDArray[np.float32] | None,
) -> Outputs:
    """As `run_pieces`, at once."""
    return done(run_pieces(engine, contract, ids, pad_id, features))


def run_pieces(
    engine: Engine,
    contract: OutputContract,
    ids: Sequence[Sequence[int]],
    pad_id: int,
    features: NDArray[np.float32] | None,
) -> Pieces[Outputs]:
    """What the network of `contract` gives for rows of token `ids`, in their order, batch by batch.

    `features` [rows, width] are read beside them, where the network reads any.

    Raises:
        ArtifactError: the network fails, or does not keep its contract.
    """
    lengths = [len(row) for row in ids]
    whole = np.empty((0 if contract.per_token else len(ids), contract.width), dtype=np.float64)
    each: list[NDArray[np.float64]] = [whole] * len(ids)
    for batch in cheapest_batches(lengths):
        yield len(batch) * lengths[batch[-1]]
        padded = pad([ids[index] for index in batch], pad_id)
        if features is not None:
            padded = replace(padded, features=features[batch])
        found = engine.run(padded)
        if not contract.per_token:
            whole[batch] = found
            continue
        for line, index in enumerate(batch):
            each[index] = found[line, : lengths[index]]
    return each if contract.per_token else whole
