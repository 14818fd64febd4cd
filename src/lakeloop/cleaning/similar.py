"""Which texts are much like an earlier one: MinHash over pairs of neighbouring words, in bounded memory.

Signatures and bands as in Broder, "On the resemblance and containment of documents" (1997), and Leskovec,
Rajaraman, Ullman, "Mining of Massive Datasets", chapter 3; hashes are multiply-shift. Two texts that share a
band are compared word pair by word pair: what is called similar is so exactly.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import pairwise
from math import comb
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from lakeloop.cleaning.text import normalise

Numbers = npt.NDArray[np.uint64]

_HASHES = 64
_MISSED = 0.01
"""Of pairs of texts that are as similar as is asked for, how many may share too few bands."""
_SHARED_BANDS = 2
"""Pairs that share fewer are not looked at: one band is shared by many that are hardly alike."""
_CHUNK = 20_000
_TOGETHER = r"([\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}])"
"""Letters that are written without blanks between words: each counts as a word."""
_PARTS_WORDS = r"[^\p{L}\p{M}\p{N}]+"
_SEED = 20_261_129


def similar(texts: pa.ChunkedArray | pa.Array, least: float) -> npt.NDArray[np.bool_]:
    """Whether a text is like an earlier one, bool [texts].

    Two texts are when the pairs of neighbouring words that they share are at least the share `least` of all
    pairs in them (Jaccard); case and punctuation do not count. A text of one word has that as its only pair.

    Args:
        texts: strings, the earliest first; nulls are like no other.
        least: above 0, up to 1. Of pairs just as similar one of a hundred may be missed, of others fewer.
    """
    found = np.zeros(len(texts), dtype=np.bool_)
    found[pairs_alike(texts, least)[:, 1]] = True
    return found


def pairs_alike(texts: pa.ChunkedArray | pa.Array, least: float) -> npt.NDArray[np.int64]:
    """The places of an earlier text and of one that is like it, int64 [pairs, 2]; see `similar`.

    A text stands beside the earliest that it may be like, not beside all.
    """
    if not len(texts):
        return np.zeros((0, 2), np.int64)
    rows = _rows_of_band(least)
    with tempfile.TemporaryDirectory(prefix="lakeloop-similar-") as folder:
        bands = _banded(texts, rows, Path(folder) / "bands")
        sharing = np.concatenate([_sharing(band) for band in bands])
        del bands
    pairs, times = np.unique(sharing, return_counts=True)
    pairs = pairs[times >= _SHARED_BANDS]
    places = np.stack(np.divmod(pairs, len(texts)), axis=1)
    return places[_are_alike(texts, places, least)]


def _rows_of_band(least: float) -> int:
    """Hashes of a band: as many as `_MISSED` allows, so that few pairs share one by chance."""
    return max((rows for rows in range(1, 9) if _missed(least, rows) <= _MISSED), default=1)


def _missed(share: float, rows: int) -> float:
    """How likely texts that share so much have too few bands of `rows` hashes in common."""
    bands, one = _HASHES // rows, share**rows
    return sum(
        comb(bands, times) * one**times * (1 - one) ** (bands - times) for times in range(_SHARED_BANDS)
    )


def _banded(texts: pa.ChunkedArray | pa.Array, rows: int, file: Path) -> npt.NDArray[np.uint64]:
    """The key of each band of each text, uint64 [bands, texts], in `file`; 0 where a text has no word."""
    count = _HASHES // rows
    keys = np.lib.format.open_memmap(file, mode="w+", dtype=np.uint64, shape=(count, len(texts)))
    factors = np.random.default_rng(_SEED).integers(1, 2**63, _HASHES, dtype=np.uint64) * np.uint64(
        2
    ) + np.uint64(1)
    for start in range(0, len(texts), _CHUNK):
        pairs, offsets = _word_pairs(texts.slice(start, _CHUNK))
        lengths = np.diff(offsets)
        filled = np.flatnonzero(lengths)
        if not len(filled):
            continue
        begins = offsets[:-1][filled]
        for band in range(count):
            key = np.zeros(len(filled), np.uint64)
            for factor in factors[band * rows : (band + 1) * rows]:
                least_of_row = np.minimum.reduceat((pairs * factor) >> np.uint64(32), begins)
                key = _mixed(key ^ least_of_row)
            keys[band, start + filled] = key
    return keys


def _word_pairs(texts: pa.ChunkedArray | pa.Array) -> tuple[Numbers, npt.NDArray[np.int64]]:
    """Hashes of the pairs of all texts, text behind text, and where those of each begin (and the end)."""
    lowered = pc.utf8_lower(normalise(pc.fill_null(pc.cast(texts, pa.large_string()), "")))
    apart = pc.replace_substring_regex(lowered, pattern=_TOGETHER, replacement=r" \1 ")
    plain = pc.utf8_trim(pc.replace_substring_regex(apart, pattern=_PARTS_WORDS, replacement=" "), " ")
    lists = pc.split_pattern(plain, " ")
    lists = lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
    words = lists.flatten().dictionary_encode()
    known = words.dictionary.cast(pa.large_binary()).to_pylist()
    hashes = np.array([xxhash.xxh3_64_intdigest(word) for word in known], np.uint64)
    numbers = hashes[words.indices.to_numpy(zero_copy_only=False)]
    starts = np.asarray(lists.offsets.to_numpy(), dtype=np.int64)
    starts = starts - starts[0]
    lengths = np.diff(starts)
    blank = np.asarray(pc.equal(plain, "").to_numpy(zero_copy_only=False), dtype=np.bool_)
    behind = np.append(numbers[1:], np.uint64(0))
    pairs = _mixed(numbers * np.uint64(0x9E3779B97F4A7C15) ^ _mixed(behind))
    # The last word of a text begins no pair, unless the text is that word alone.
    keep = np.ones(len(numbers), dtype=np.bool_)
    keep[starts[1:][lengths > 1] - 1] = False
    single = starts[:-1][lengths == 1]
    pairs[single] = _mixed(numbers[single])
    keep[single[blank[lengths == 1]]] = False
    offsets = np.zeros(len(lengths) + 1, np.int64)
    offsets[1:] = np.cumsum(np.where(blank, 0, np.maximum(lengths - 1, 1)))
    return pairs[keep], offsets


def _mixed(values: Numbers) -> Numbers:
    """Every bit of a number spread over all of it (the finaliser of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _sharing(band: Numbers) -> npt.NDArray[np.int64]:
    """Each text beside the earliest with the same key, as earliest * texts + text, int64 [pairs]."""
    order = np.argsort(band, kind="stable")
    keys = band[order]
    begins = np.append(True, keys[1:] != keys[:-1])
    first = order[np.maximum.accumulate(np.where(begins, np.arange(len(keys)), 0))]
    asked = ~begins & (keys != 0)
    pairs: npt.NDArray[np.int64] = first[asked] * len(band) + order[asked]
    return pairs


def _are_alike(
    texts: pa.ChunkedArray | pa.Array, pairs: npt.NDArray[np.int64], least: float
) -> npt.NDArray[np.bool_]:
    """Which of the pairs of texts are as similar as is asked for, bool [pairs]."""
    alike = np.zeros(len(pairs), dtype=np.bool_)
    for start in range(0, len(pairs), _CHUNK):
        some = pairs[start : start + _CHUNK]
        rows, places = np.unique(some, return_inverse=True)
        sets = list(_sets(texts.take(pa.array(rows))))
        for number, (one, other) in enumerate(places.reshape(-1, 2)):
            shared = len(sets[one] & sets[other])
            alike[start + number] = shared >= least * (len(sets[one]) + len(sets[other]) - shared)
    return alike


def _sets(texts: pa.ChunkedArray | pa.Array) -> Iterator[frozenset[int]]:
    pairs, offsets = _word_pairs(texts)
    for start, end in pairwise(offsets.tolist()):
        yield frozenset(pairs[start:end].tolist())
