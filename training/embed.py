"""Running texts through a network without training it: embeddings (kept in a cache) and logits."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lakeloop.durable import write_atomically
from lakeloop.records import fingerprint
from training.base_model import BaseModel
from training.data import Tokens, sorted_batches
from training.device import Device
from training.model import TextClassifier

log = logging.getLogger(__name__)

BATCH_SIZE = 64


@torch.inference_mode()
def run_sorted(
    compute: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], tokens: Tokens, width: int, device: Device
) -> NDArray[np.float32]:
    """`compute(input_ids, attention_mask)` for all rows, float32 [rows, width], in the order of the rows."""
    out = np.empty((len(tokens.ids), width), dtype=np.float32)
    for rows in sorted_batches(tokens.lengths, BATCH_SIZE):
        batch = tokens.batch(rows)
        with device.autocast():
            result = compute(batch.input_ids.to(device.torch), batch.attention_mask.to(device.torch))
        out[rows] = result.float().cpu().numpy()
    return out
