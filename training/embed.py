"""Running texts through a network without training it: outputs, and embeddings that are kept in a cache."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lakeloop.base_model import BaseModel
from lakeloop.durable import write_atomically
from lakeloop.records import fingerprint
from training.data import Batch, Tokens, sorted_batches
from training.device import Device
from training.memory import Passes, unlearnt
from training.network import Network
from training.progress import Passage
from training.ranks import ALONE, Ranks

log = logging.getLogger(__name__)


@torch.inference_mode()
def run(
    compute: Callable[[Batch], torch.Tensor],
    tokens: Tokens,
    rows: NDArray[np.int64],
    device: Device,
    what: str,
    passes: Passes | None = None,
    ranks: Ranks = ALONE,
) -> NDArray[np.float32]:
    """`compute` for the given rows, float32 [rows, width], in their order; `what` names it in the log.

    With `passes` those of the run before: what it learnt of the device's memory holds for this one. Of
    several processes each computes a part, and all get all.

    Raises:
        RuntimeError: the device has no memory left, with a quarter of the texts at once, too.
    """
    passes = passes or unlearnt(device, f"batches in {what}")

    def outputs(picked: NDArray[np.int64]) -> torch.Tensor:
        with device.autocast():
            return compute(tokens.batch(rows[picked])).float()

    lengths = tokens.lengths[rows]
    passage = Passage(what, len(rows), int(lengths.sum()))
    batches = list(sorted_batches(lengths, device.plan))
    own, results = ranks.own(batches), []
    for picked in own or batches[:1]:  # one at least, for the width
        results.append(passes.outputs(picked, outputs).numpy())
        passage.add(len(picked), int(lengths[picked].sum()))
    out = np.zeros((len(rows), results[0].shape[1]), dtype=np.float32)
    for picked, part in zip(own, results, strict=False):
        out[picked] = part
    ranks.put_together(torch.from_numpy(out))
    return out


def embed_texts(network: Network, tokens: Tokens, device: Device) -> NDArray[np.float32]:
    """What the last layer of `network` reads of every text, float32 [texts, hidden]."""
    rows = np.arange(len(tokens.ids))
    return run(lambda batch: network.embed(*device.place(batch)), tokens, rows, device, "embedding")


def cache_key(base: BaseModel, texts: Sequence[str], max_tokens: int, device: Device) -> str:
    """Names embeddings by all that decides their bits."""
    return fingerprint(
        base=base.digest,
        texts=list(texts),
        max_tokens=max_tokens,
        device=[device.name, device.dtype, device.threads, *device.plan.marks],
        torch=torch.__version__,
    )


def read_cached(folder: Path, key: str, rows: int, what: str = "embeddings") -> NDArray[np.float32] | None:
    """Embeddings, or `what` else, float32 [rows, hidden]; None when not in the cache, or not whole."""
    try:
        found = np.load(_path(folder, key), allow_pickle=False)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError) as error:
        log.warning("cached %s cannot be read, computing them again: %s", what, error)
        return None
    if found.dtype != np.float32 or found.ndim != 2 or len(found) != rows:
        log.warning("cached %s have another shape, computing them again: %s", what, found.shape)
        return None
    log.info("%s of %d texts come from the cache", what, rows)
    return np.asarray(found, dtype=np.float32)


def write_cached(folder: Path, key: str, embeddings: NDArray[np.float32]) -> None:
    """Keep `embeddings`, float32 [rows, hidden], for `read_cached`."""
    content = io.BytesIO()
    np.save(content, embeddings, allow_pickle=False)
    write_atomically(_path(folder, key), content.getvalue())


def _path(folder: Path, key: str) -> Path:
    return folder / f"{key[:32]}.npy"
