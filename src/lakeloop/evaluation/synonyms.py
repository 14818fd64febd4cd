"""Texts in other words: groups of words of one meaning from a file of the loop, or those of a WordNet."""

from __future__ import annotations

import csv
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from lakeloop.cleaning.wordnet import read_wordnet
from lakeloop.errors import ConfigurationError
from lakeloop.inference.occlusion import WORD
from lakeloop.records import fingerprint
from lakeloop.settings import Settings
from lakeloop.spec.paths import confine
from lakeloop.spec.quoting import quote
from lakeloop.spec.release import Evaluate

KEY = "evaluate.synonyms"
_COMMENT = "#"
_OF_WORDNET = 0.2
"""Share of the words with a synonym that are replaced, where nobody has looked at the synonyms."""
_FEWEST = 2

Words = tuple[str, ...]
"""A word, or several that stand together, in small letters."""


class Edit(NamedTuple):
    """What stood from character `begin` up to `end` of a text, and has `size` characters now."""

    begin: int
    end: int
    size: int


class Rewritten(NamedTuple):
    """A text in other words."""

    text: str
    edits: tuple[Edit, ...] = ()
    """In the order of the text."""

    def back(self, begin: int, end: int) -> tuple[int, int]:
        """Where in the text before a stretch of this one stood; one that cuts a new word has all of it."""
        return self._place(begin, inside=0), self._place(end, inside=1)

    def _place(self, place: int, inside: int) -> int:
        moved = 0
        for edit in self.edits:
            if place <= edit.begin + moved:
                break
            if place < edit.begin + moved + edit.size:
                return edit[inside]
            moved += edit.size - (edit.end - edit.begin)
        return place - moved


@dataclass(frozen=True)
class Synonyms:
    """Words and those of the same meaning."""

    known: Mapping[Words, Sequence[str]]
    share: float = 1.0
    """Of the places with such words that are replaced, one at least."""
    same_meaning: bool = True
    """For a person a text says what it said: somebody has put these words together for these texts."""

    @property
    def fingerprint(self) -> str:
        """Of all of it."""
        known = [[list(words), list(others)] for words, others in sorted(self.known.items())]
        return fingerprint(known=known, share=self.share)

    def rewritten(self, text: str, kept: Sequence[tuple[int, int]] = ()) -> Rewritten:
        """`text` with other words, the same each time; what is `kept`, from and up to a character, stays."""
        found = [
            (begin, end, words)
            for begin, end, words in self._found(text)
            if all(end <= first or begin >= last for first, last in kept)
        ]
        if not found:
            return Rewritten(text)
        draw = random.Random(text)  # noqa: S311 - no secret
        picked = sorted(draw.sample(found, max(1, round(self.share * len(found)))))
        pieces, edits, read = [], [], 0
        for begin, end, words in picked:
            other = in_case_of(text[begin:end], draw.choice(self.known[words]))
            pieces += [text[read:begin], other]
            edits.append(Edit(begin, end, len(other)))
            read = end
        return Rewritten("".join([*pieces, text[read:]]), tuple(edits))

    def _found(self, text: str) -> list[tuple[int, int, Words]]:
        """From which and up to which character known words stand; the longest first, none in another."""
        words = list(WORD.finditer(text))
        longest = max(map(len, self.known), default=0)
        found, at = [], 0
        while at < len(words):
            for count in range(min(longest, len(words) - at), 0, -1):
                part = words[at : at + count]
                key = tuple(word[0].lower() for word in part)
                together = all(not text[a.end() : b.start()].strip() for a, b in pairwise(part))
                if key in self.known and together:
                    found.append((part[0].start(), part[-1].end(), key))
                    at += count
                    break
            else:
                at += 1
        return found


def in_case_of(word: str, other: str) -> str:
    """`other` in capitals where `word` is, or with the first letter as a capital one."""
    if len(word) > 1 and word.isupper():
        return other.upper()
    return other[:1].upper() + other[1:] if word[:1].isupper() else other


def synonyms_of(evaluate: Evaluate, settings: Settings) -> Synonyms | None:
    """What `evaluate.synonyms` names; None where it names nothing.

    Raises:
        ConfigurationError: it may not be read, is not there, or has a line that is no group of words.
    """
    if evaluate.synonyms is None:
        return None
    path = confine(evaluate.synonyms, settings, KEY)
    if path.is_dir():
        known: dict[Words, Sequence[str]] = {
            (word,): others for word, others in read_wordnet(path, KEY).items()
        }
        return Synonyms(known, _OF_WORDNET, same_meaning=False)
    return Synonyms(read_groups(path))


def read_groups(file: Path) -> dict[Words, tuple[str, ...]]:
    """Words -> the others of their groups: a group on each line, with commas between, as CSV has it.

    Raises:
        ConfigurationError: the file cannot be read, or a line is no group; says which.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        found = f"{file}: {error}"
        raise ConfigurationError(
            "cannot read it", where=KEY, expected="a file of UTF-8 text, or a folder of WordNet", found=found
        ) from None
    known: dict[Words, list[str]] = {}
    for number, line in enumerate(lines, start=1):
        if line.strip() and not line.lstrip().startswith(_COMMENT):
            for key, others in _group(line, f"{file}, line {number}").items():
                known.setdefault(key, []).extend(others)
    if not known:
        raise ConfigurationError(
            "no words in it", where=KEY, expected="a group on each line", found=str(file)
        )
    return {key: tuple(dict.fromkeys(others)) for key, others in known.items()}


def _group(line: str, place: str) -> dict[Words, list[str]]:
    try:
        (cells,) = csv.reader([line], skipinitialspace=True, strict=True)
    except csv.Error as error:
        raise _wrong(place, f"{quote(line)} ({error})") from None
    words = {tuple(found.lower() for found in WORD.findall(cell)): " ".join(cell.split()) for cell in cells}
    if () in words or len(words) < _FEWEST:
        raise _wrong(place, quote(line))
    return {key: [other for at, other in words.items() if at != key] for key in words}


def _wrong(place: str, found: str) -> ConfigurationError:
    return ConfigurationError(
        "not a group of synonyms",
        where=KEY,
        expected="two words or more of one meaning, with commas between, such as: car, automobile",
        found=f"{place}: {found}",
    )
