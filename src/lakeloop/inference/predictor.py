"""One verified model artifact as a function: clean, tokenise, batch, run, answer.

What is judged is what is served: evaluation and the model server both answer through here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tokenizers import Encoding, Tokenizer

from lakeloop.artifact import TOKENIZER, ArtifactDescription, open_artifact
from lakeloop.errors import ArtifactError
from lakeloop.inference.batches import length_batches, pad, pad_id_of
from lakeloop.inference.devices import Device, Wanted
from lakeloop.inference.engines.onnx_encoder import REMEDY
from lakeloop.inference.engines.registry import open_engine
from lakeloop.inference.engines.running import run_batches, run_pieces
from lakeloop.inference.instances import Read, clean_instances, encode, inputs_of, tokenised
from lakeloop.inference.pieces import Pieces, done, reading_parts
from lakeloop.inference.writing import Prompts
from lakeloop.tasks.base import Answer, Written
from lakeloop.tasks.reading import Instance, as_instances
from lakeloop.tasks.registry import task_class

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Predictor:
    """Answers with one artifact. Safe to call from several threads at once."""

    def __init__(self, folder: Path, threads: int = 1, expect: str = "", device: Wanted = "cpu") -> None:
        """Verify the artifact in `folder` and load it.

        Args:
            folder: an artifact folder (see `lakeloop.artifact`).
            threads: threads that the engine may use for one call.
            expect: digest of the artifact that is meant; empty: whichever is there.
            device: on which it shall run; `auto`: CUDA where it can be used.

        Raises:
            ArtifactError: the folder is not whole or not the one that is meant, or its network does not give
                what its description says.
            ConfigurationError: CUDA is wanted, and cannot be used here.
        """
        artifact = open_artifact(folder, expect)
        self.folder, self.threads = folder, threads
        self.digest: str = artifact.digest
        self.description: ArtifactDescription = artifact.description
        self._tokenizer = _open_tokenizer(folder / TOKENIZER, artifact.description.max_tokens)
        self.pad = pad_id_of(self._tokenizer)
        # Padding is ours, by batch; a tokenizer.json may carry its own, to a fixed length.
        self._tokenizer.no_padding()
        self._prompts: Prompts | None = None
        if writing := artifact.description.contract.writing:
            self._prompts = Prompts(self._tokenizer, writing, artifact.description.max_tokens)
        self._engine = open_engine(folder, artifact.description, threads, device)
        self._decode = task_class(artifact.description.contract.kind).decode

    @property
    def device(self) -> Device:
        """On which it runs."""
        return self._engine.device

    def predict(self, rows: Sequence[str] | Sequence[Instance]) -> list[Answer]:
        """Answers for `rows`, any number of them, in their order; a text alone stands for a row without more.

        Texts are cleaned like those of the training, and cut at `description.max_tokens` tokens; of two texts
        the longer one first.

        Raises:
            ArtifactError: the network fails on such texts, or gives something else than its contract says.
        """
        return done(self.pieces(rows))

    def pieces(self, rows: Sequence[str] | Sequence[Instance]) -> Pieces[list[Answer]]:
        """As `predict`, in pieces of about a tenth of a second for a small encoder on one core.

        A batch of texts that are written is one piece, however long they get.
        """
        read = yield from self.reading(rows)
        return (yield from self.answering(read))

    def reading(self, rows: Sequence[str] | Sequence[Instance]) -> Pieces[Read]:
        """The first half of `pieces`: `rows` as this model reads them.

        Nothing is yielded before the first part of them, which costs less than any call of a network.
        """
        sent = as_instances(rows)
        cleaned: list[Instance] = []
        encodings: list[Encoding] = []
        ids: list[list[int]] = []
        for number, (part, cost) in enumerate(reading_parts(sent)):
            if number:
                yield cost
            instances = self._cleaned(part)
            cleaned += instances
            if self._prompts is not None:
                ids += self._prompts.ids([each.text for each in instances])
            else:
                encoded = self._encoded(instances)
                encodings += encoded
                ids += [each.ids for each in encoded]
        return Read(sent, cleaned, ids, encodings)

    def answering(self, read: Read) -> Pieces[list[Answer]]:
        """The second half: the answers to rows that this model has read, of one request or of several."""
        if not read.sent:
            return []
        if self._prompts is not None:
            return (yield from self._writing(self._prompts, read.ids))
        contract = self.description.contract
        numbers = self.description.reads.numbers(read.cleaned)
        outputs = yield from run_pieces(self._engine, contract, read.ids, self.pad, numbers)
        if not contract.per_token:
            return self._decode(contract, outputs, ())
        texts = [
            tokenised(asked.text, row.text, each)
            for asked, row, each in zip(read.sent, read.cleaned, read.encodings, strict=True)
        ]
        return self._decode(contract, outputs, texts)

    def _writing(self, prompts: Prompts, ids: Sequence[Sequence[int]]) -> Pieces[list[Answer]]:
        found: dict[int, Written] = {}
        for batch in length_batches([len(row) for row in ids]):
            yield len(batch) * (len(ids[batch[-1]]) + prompts.most_written)
            written = self._engine.run(pad([ids[index] for index in batch], self.pad))
            found.update(zip(batch, map(prompts.written, written), strict=True))
        return self._decode(self.description.contract, [found[index] for index in range(len(ids))])

    def _cleaned(self, instances: Sequence[Instance]) -> list[Instance]:
        """`instances` as the rows of the mart are."""
        return clean_instances(
            instances, self.description.reads, self.description.clean, where=str(self.folder)
        )

    def _encoded(self, instances: Sequence[Instance]) -> Sequence[Encoding]:
        return encode(
            self._tokenizer,
            inputs_of(instances, self.description.reads),
            placed=self.description.contract.per_token,
        )

    def with_places(self, rows: Sequence[Instance]) -> list[tuple[Instance, Encoding]]:
        """`rows` after cleaning, each with the tokens that the network reads and where they stand."""
        cleaned = self._cleaned(rows)
        texts = inputs_of(cleaned, self.description.reads)
        return list(zip(cleaned, encode(self._tokenizer, texts, placed=True), strict=True))

    def numbers(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """What the network gives for `texts`, before answers are made of it, in a row: float64 [numbers].

        By them two devices are compared. Of a network that writes, the loss a token of each text itself.
        """
        sent = as_instances(texts)
        if (losses := self.losses(sent, texts)) is not None:
            return losses[:, 0] / losses[:, 1]
        read = done(self.reading(sent))
        beside = self.description.reads.numbers(read.cleaned)
        outputs = run_batches(self._engine, self.description.contract, read.ids, self.pad, beside)
        return np.concatenate([np.ravel(np.asarray(each, dtype=np.float64)) for each in outputs])

    def token(self, name: str) -> int | None:
        """The id of the token called `name`; None where there is none."""
        found: int | None = self._tokenizer.token_to_id(name)
        return found

    def losses(self, rows: Sequence[Instance], right: Sequence[str]) -> NDArray[np.float64] | None:
        """How unlikely the model takes the answers `right` to be: float64 [rows, 2].

        Summed loss of the tokens of each in nats, and their number; None for a model that writes no texts.
        """
        engine: Any = self._engine
        if self._prompts is None or not rows:
            return None
        asked = self._prompts.ids([each.text for each in self._cleaned(rows)])
        answers = self._prompts.right(right)
        found = np.empty((len(rows), 2))
        for batch in length_batches([len(a) + len(b) for a, b in zip(asked, answers, strict=True)]):
            found[batch] = engine.losses([asked[row] for row in batch], [answers[row] for row in batch])
        return found


def _open_tokenizer(path: Path, max_tokens: int) -> Any:
    try:
        tokenizer = Tokenizer.from_file(str(path))
        tokenizer.enable_truncation(max_tokens)
    except Exception as error:  # tokenizers raises bare Exception, and nothing narrower
        raise ArtifactError(
            "tokenizer cannot be read", where=str(path), found=str(error), remedy=REMEDY
        ) from error
    return tokenizer
