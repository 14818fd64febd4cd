"""Training texts in other words of the same meaning, from a WordNet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lakeloop.cleaning.wordnet import WORD, read_wordnet
from lakeloop.spec import extras as spec
from training.job import Job


def synonyms(section: spec.Synonyms, job: Job) -> Synonyms:
    return Synonyms(read_wordnet(job.config.beside["augment.folder"], "train.augment.folder"), section.share)


class Synonyms:
    """Replaces a share of the words that have a synonym, one at least."""

    def __init__(self, known: Mapping[str, Sequence[str]], share: float) -> None:
        self._known, self._share = known, share

    def texts(self, texts: Sequence[str], random: np.random.Generator) -> Sequence[str]:
        return [self._other(text, random) for text in texts]

    def _other(self, text: str, random: np.random.Generator) -> str:
        found = [word for word in WORD.finditer(text) if word[0].lower() in self._known]
        if not found:
            return text
        count = max(1, round(self._share * len(found)))
        picked = sorted(random.choice(len(found), size=count, replace=False), reverse=True)
        for number in picked:
            word = found[number]
            others = self._known[word[0].lower()]
            other = others[int(random.integers(len(others)))]
            other = other.capitalize() if word[0][0].isupper() else other
            text = f"{text[: word.start()]}{other}{text[word.end() :]}"
        return text
