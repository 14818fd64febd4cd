"""From the rows that a model is asked for to what its tokenizer and its network take; in training, too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Encoding, Tokenizer

from lakeloop.cleaning.steps import clean_texts
from lakeloop.tasks.base import Tokenised
from lakeloop.tasks.features import CategoricalFeature, Feature, as_value
from lakeloop.tasks.reading import Instance, Reading


@dataclass(frozen=True)
class Read:
    """Rows that were cleaned and tokenised, for one model to answer."""

    sent: Sequence[Instance]
    cleaned: Sequence[Instance]
    ids: Sequence[Sequence[int]]
    """Of the tokens of each row."""
    encodings: Sequence[Encoding] = ()
    """Of each row, where an encoder reads them: where each token stands in its text."""

    @property
    def longest(self) -> int:
        """Tokens of the longest row."""
        return max(map(len, self.ids), default=0)

    @staticmethod
    def joined(parts: Sequence[Read]) -> Read:
        """The rows of all `parts`, one after the other."""
        return Read(
            sent=[row for part in parts for row in part.sent],
            cleaned=[row for part in parts for row in part.cleaned],
            ids=[row for part in parts for row in part.ids],
            encodings=[row for part in parts for row in part.encodings],
        )


def clean_instances(
    instances: Sequence[Instance], reads: Reading, steps: Sequence[str], where: str = ""
) -> list[Instance]:
    """`instances` after the cleaning `steps`, as the rows of the mart went through them.

    Raises:
        ArtifactError: this version knows no such step; `where` names the artifact or file that asks for it.
    """
    texts = clean_texts([each.text for each in instances], steps, where)
    if reads.text_alone:
        return [Instance(text) for text in texts]
    pairs: list[str | None] = [None] * len(texts)
    if reads.text_pair:
        pairs = [*clean_texts([each.text_pair or "" for each in instances], steps, where)]
    columns = {feature.name: _values(instances, feature, steps, where) for feature in reads.features}
    return [
        Instance(text, pair, {name: values[row] for name, values in columns.items()})
        for row, (text, pair) in enumerate(zip(texts, pairs, strict=True))
    ]


def inputs_of(instances: Sequence[Instance], reads: Reading) -> list[str] | list[tuple[str, str]]:
    """What a tokenizer is given of `instances`: texts, or pairs of them."""
    if reads.text_pair:
        return [(each.text, each.text_pair or "") for each in instances]
    return [each.text for each in instances]


def encode(
    tokenizer: Tokenizer, texts: Sequence[str] | Sequence[tuple[str, str]], *, placed: bool
) -> Sequence[Encoding]:
    """The tokens of each of `texts`, and for `placed` where they stand in it, which takes longer."""
    found: Sequence[Encoding] = (
        tokenizer.encode_batch(list(texts)) if placed else tokenizer.encode_batch_fast(list(texts))
    )
    return found


def tokenised(sent: str, text: str, encoding: Encoding) -> Tokenised:
    """Where the tokens of `text`, which was `sent` and cleaned, stand in it.

    Blanks that some tokenizers count to a token are left out.
    """
    offsets = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)
    words = np.array([-1 if word is None else word for word in encoding.word_ids], dtype=np.int64)
    for place in offsets:
        while place[0] < place[1] and text[place[0]].isspace():
            place[0] += 1
    words[offsets[:, 0] == offsets[:, 1]] = -1
    return Tokenised(sent, text, offsets, words)


def _values(
    instances: Sequence[Instance], feature: Feature, steps: Sequence[str], where: str
) -> list[float | str | None]:
    values = [as_value(each.features.get(feature.name), feature) for each in instances]
    if isinstance(feature, CategoricalFeature):
        words = clean_texts(["" if value is None else str(value) for value in values], steps, where)
        return [word or None for word in words]
    return values
