"""One verified model artifact as a function: clean, tokenise, batch, run, answer.

What is judged is what is served: evaluation and the model server both answer through here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from lakeloop.artifact import TOKENIZER, ArtifactDescription, open_artifact
from lakeloop.cleaning.steps import clean_texts
from lakeloop.errors import ArtifactError
from lakeloop.inference.batches import length_batches, pad, pad_id_of
from lakeloop.inference.engines.onnx_encoder import REMEDY
from lakeloop.inference.engines.registry import open_engine
from lakeloop.tasks.base import Answer
from lakeloop.tasks.registry import task_class


class Predictor:
    """Answers with one artifact. Safe to call from several threads at once."""

    def __init__(self, folder: Path, threads: int = 1, expect: str = "") -> None:
        """Verify the artifact in `folder` and load it.

        Args:
            folder: an artifact folder (see `lakeloop.artifact`).
            threads: threads that the engine may use for one call.
            expect: digest of the artifact that is meant; empty: whichever is there.

        Raises:
            ArtifactError: the folder is not whole or not the one that is meant, or its network does not give
                what its description says.
        """
        artifact = open_artifact(folder, expect)
        self.folder = folder
        self.digest: str = artifact.digest
        self.description: ArtifactDescription = artifact.description
        self._tokenizer = _open_tokenizer(folder / TOKENIZER, artifact.description.max_tokens)
        self._pad = pad_id_of(self._tokenizer)
        # Padding is ours, by batch; a tokenizer.json may carry its own, to a fixed length.
        self._tokenizer.no_padding()
        self._engine = open_engine(folder, artifact.description, threads)
        self._decode = task_class(artifact.description.contract.kind).decode

    def predict(self, texts: Sequence[str]) -> list[Answer]:
        """Answers for `texts`, any number of them, in their order.

        Texts are cleaned like the texts of the training, and cut at `description.max_tokens` tokens.

        Raises:
            ArtifactError: the network fails on such texts, or gives something else than its contract says.
        """
        if not texts:
            return []
        cleaned = clean_texts(texts, self.description.clean, where=str(self.folder))
        rows = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(cleaned)]
        outputs = np.empty((len(rows), self.description.contract.width), dtype=np.float64)
        for batch in length_batches([len(ids) for ids in rows]):
            outputs[batch] = self._engine.run(pad([rows[index] for index in batch], self._pad))
        return self._decode(self.description.contract, outputs)


def _open_tokenizer(path: Path, max_tokens: int) -> Any:
    try:
        tokenizer = Tokenizer.from_file(str(path))
        tokenizer.enable_truncation(max_tokens)
    except Exception as error:  # tokenizers raises bare Exception, and nothing narrower
        raise ArtifactError(
            "tokenizer cannot be read", where=str(path), found=str(error), remedy=REMEDY
        ) from error
    return tokenizer
