"""Running texts through a network without training it: outputs, and embeddings that are kept in a cache."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import pad

from lakeloop.base_model import BaseModel
from lakeloop.durable import mark_used, write_atomically
from lakeloop.records import fingerprint
from training.data import Tokens, sorted_batches
from training.device import Device
from training.memory import Passes, unlearnt
from training.network import Network
from training.progress import Passage
from training.ranks import ALONE, Ranks
from training.steps import Feed, Forward, forward_of

log = logging.getLogger(__name__)


@torch.inference_mode()
def run(
    forward: Forward,
    tokens: Tokens,
    rows: NDArray[np.int64],
    device: Device,
    what: str,
    passes: Passes | None = None,
    ranks: Ranks = ALONE,
    between: Callable[[], object] = lambda: None,
) -> Any:
    """`forward` for the given rows, in their order; `what` names it in the log.

    Returns float32 [rows, width], or of each row [tokens, width] where `forward` gives [rows, tokens, width].

    `between` is called before each pass.

    With `passes` those of the run before: what it learnt of the device's memory holds for this one. Of
    several processes each computes a part, and all get all.

    Raises:
        RuntimeError: the device has no memory left, with a quarter of the texts at once, too.
    """
    passes = passes or unlearnt(device, f"batches in {what}")

    def outputs(picked: NDArray[np.int64]) -> torch.Tensor:
        between()
        found = forward(tokens.batch(rows[picked])).float()
        # Passes of one batch may be of several widths.
        return found if found.ndim == 2 else pad(found, (0, 0, 0, longest - found.shape[1]))

    lengths = tokens.lengths[rows]
    longest = tokens.width_of(int(lengths.max()))
    passage = Passage(what, len(rows), int(lengths.sum()))
    batches = list(sorted_batches(lengths, device.plan))
    own, results = ranks.own(batches), []
    for picked in own or batches[:1]:  # one at least, for the width
        results.append(passes.outputs(picked, outputs, forward.forget).numpy())
        passage.add(len(picked), int(lengths[picked].sum()))
    places = _places(lengths, per_token=results[0].ndim == 3)
    out = np.zeros((places[-1], results[0].shape[-1]), dtype=np.float32)
    for picked, part in zip(own, results, strict=False):
        for line, row in enumerate(picked):
            own_part = part[line] if part.ndim == 2 else part[line, : lengths[row]]
            out[places[row] : places[row + 1]] = own_part
    ranks.put_together(torch.from_numpy(out))
    return out if results[0].ndim == 2 else np.split(out, places[1:-1])


def _places(lengths: NDArray[np.int64], *, per_token: bool) -> NDArray[np.int64]:
    """Where the outputs of each row begin when they lie one behind another; the last is where they end."""
    return np.concatenate([[0], np.cumsum(lengths if per_token else np.ones_like(lengths))])


def embed_texts(network: Network, tokens: Tokens, device: Device) -> NDArray[np.float32]:
    """What `network` knows of every text, float32 [texts, hidden]; of each token where those are answered."""
    tokens, rows = replace(tokens, features=None), np.arange(len(tokens.ids))
    forward = forward_of(device, Feed(device.place), network.read, "embedding")
    found: NDArray[np.float32] = run(forward, tokens, rows, device, "embedding")
    return found


def cache_key(
    base: BaseModel, texts: Sequence[str | tuple[str, str]], max_tokens: int, device: Device
) -> str:
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
    mark_used(_path(folder, key))
    log.info("%s of %d texts come from the cache", what, rows)
    return np.asarray(found, dtype=np.float32)


def write_cached(folder: Path, key: str, embeddings: NDArray[np.float32]) -> None:
    """Keep `embeddings`, float32 [rows, hidden], for `read_cached`."""
    content = io.BytesIO()
    np.save(content, embeddings, allow_pickle=False)
    write_atomically(_path(folder, key), content.getvalue())


def _path(folder: Path, key: str) -> Path:
    return folder / f"{key[:32]}.npy"
