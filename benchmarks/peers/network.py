"""A classifier as another server would hold it: its tokenizer and its network, without our library.

    python network.py MODEL TEXTS.json

answers the texts without any server: sorted by length, in batches of at most 32, and then a few hundred of
them one at a time. Printed: texts a CPU second, and the milliseconds of single ones.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

BATCH = 32
MOST_TOKENS = 512
"""In one call, with padding, as our server has it: more leave the cache of a core."""
_LONGER = 1.5
_SINGLES = 300


class Network:
    """The model in one folder: `model.onnx`, `tokenizer.json`, `peer.json` with labels and most tokens."""

    def __init__(self, folder: Path) -> None:
        said = json.loads((folder / "peer.json").read_text())
        self.labels: list[str] = said["labels"]
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(said["max_tokens"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        return [each.ids for each in self._tokenizer.encode_batch_fast(list(texts))]

    def probabilities(self, rows: Sequence[Sequence[int]]) -> Any:
        """Of each label, float [rows, labels]; the rows are padded to the longest."""
        width = max(map(len, rows))
        ids = np.zeros((len(rows), width), dtype=np.int64)
        mask = np.zeros((len(rows), width), dtype=np.int64)
        for line, row in enumerate(rows):
            ids[line, : len(row)] = row
            mask[line, : len(row)] = 1
        (logits,) = self._session.run(None, {"input_ids": ids, "attention_mask": mask})
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def answers(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """As our server tells them: the label, its probability, and those of all labels."""
        found = self.probabilities(self.tokens(texts))
        return [
            {
                "label": self.labels[int(row.argmax())],
                "score": float(row.max()),
                "scores": dict(zip(self.labels, row.tolist(), strict=True)),
            }
            for row in found
        ]


def batches(lengths: Sequence[int]) -> list[list[int]]:
    """Places of texts of these lengths, the shortest first, in batches with little padding."""
    found: list[list[int]] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        last = found[-1] if found else []
        fits = last and len(last) < BATCH and lengths[place] * (len(last) + 1) <= MOST_TOKENS
        if fits and lengths[place] <= _LONGER * lengths[last[0]]:
            last.append(place)
        else:
            found.append([place])
    return found


def main() -> None:
    network = Network(Path(sys.argv[1]))
    texts: list[str] = json.loads(Path(sys.argv[2]).read_text())
    network.answers(texts[:BATCH])
    began = time.process_time()
    rows = network.tokens(texts)
    for batch in batches([len(row) for row in rows]):
        network.probabilities([rows[place] for place in batch]).argmax(axis=1)
    taken = time.process_time() - began
    singles = []
    for text in texts[:_SINGLES]:
        began = time.perf_counter()
        network.answers([text])
        singles.append((time.perf_counter() - began) * 1000)
    print(json.dumps({"texts_a_cpu_second": len(texts) / taken, "single_ms": singles}))


if __name__ == "__main__":
    main()
