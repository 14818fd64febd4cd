"""Texts as other people would have typed them: what changes nothing for a person, and for a model may.

Changed texts are asked of the same model again, of some of the rows; what becomes of the answers is
`probes.robustness`.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from lakeloop.inference.occlusion import WORD

if TYPE_CHECKING:
    from lakeloop.evaluation.synonyms import Synonyms
    from lakeloop.inference.predictor import Predictor
    from lakeloop.tasks.base import Answer
    from lakeloop.tasks.reading import Instance

_MOST_ROWS = 200
"""Rows that are asked again with one change."""
_FEWEST_ROWS = 10
_SECONDS = 25.0
"""Time for all changes together: of a slow model fewer rows are asked, or none."""
_WORD = re.compile(r"[^\W\d_]{4,}")
_FEWER = 4
"""Of texts that may say something else, a quarter is asked."""
_FEWEST_WORDS = 4
NOTHING_KEPT: Mapping[int, Sequence[tuple[int, int]]] = {}
_TYPOS = 0.1
"""Share of the words with four letters or more that get a typo; one at least."""


class Change(NamedTuple):
    """One way to write a text differently."""

    name: str
    apply: Callable[[str], str]
    keeps_places: bool = True
    """Every character stays where it was."""
    same_meaning: bool = True
    """For a person the text says what it said."""


class Again(NamedTuple):
    """What a model answers where texts are changed."""

    change: str
    places: tuple[int, ...]
    """Of the rows, in their table."""
    answers: tuple[Answer, ...]
    same_meaning: bool = True
    """For a person the texts say what they said."""


def with_typos(text: str) -> str:
    """Two neighbouring letters inside a word change places; the same text always has the same typos."""
    words = list(_WORD.finditer(text))
    if not words:
        return text
    draw = random.Random(text)  # noqa: S311 - no secret
    letters = list(text)
    for word in draw.sample(words, max(1, round(_TYPOS * len(words)))):
        at = draw.randrange(word.start() + 1, word.end() - 2)
        letters[at], letters[at + 1] = letters[at + 1], letters[at]
    return "".join(letters)


def in_capitals(text: str) -> str:
    """Capital letters, of those that have one."""
    return "".join(each.upper() if len(each.upper()) == 1 else each for each in text)


def in_small_letters(text: str) -> str:
    """Small letters, of those that have one."""
    return "".join(each.lower() if len(each.lower()) == 1 else each for each in text)


def without_punctuation(text: str) -> str:
    """Without marks of punctuation; those within a word or number leave a blank."""
    kept = "".join(" " if unicodedata.category(each).startswith("P") else each for each in text)
    return text if kept == text else " ".join(kept.split())


def without_a_word(text: str) -> str:
    """Without one of its words, where there are four or more; the same text always lacks the same one."""
    words = list(WORD.finditer(text))
    if len(words) < _FEWEST_WORDS:
        return text
    left_out = random.Random(text).choice(words)  # noqa: S311 - no secret
    return " ".join(f"{text[: left_out.start()]} {text[left_out.end() :]}".split())


CHANGES = (
    Change("typos", with_typos),
    Change("capital letters", in_capitals),
    Change("small letters", in_small_letters),
    Change("no punctuation", without_punctuation, keeps_places=False),
    Change("a word left out", without_a_word, keeps_places=False, same_meaning=False),
)


def asked_again(
    predictor: Predictor,
    asked: Sequence[Instance],
    seconds: float,
    synonyms: Synonyms | None = None,
    kept: Mapping[int, Sequence[tuple[int, int]]] = NOTHING_KEPT,
) -> tuple[Again, ...]:
    """What `predictor` answers to some of the rows `asked` with each change; a row took it `seconds`.

    Rows that a change leaves as they are say nothing, and rows that it leaves without a text cannot be asked.
    Of a model whose answers are places in the text, only changes that keep these are asked, and `synonyms`:
    what is `kept` of a row, from and up to a character, they leave, and its answers are put back to where
    they stand in the text before.
    """
    in_time = int(_SECONDS / len(CHANGES) / max(seconds, 1e-9))
    if in_time < min(_FEWEST_ROWS, len(asked)):
        return ()
    places_matter = predictor.description.contract.per_token
    changes = [each for each in CHANGES if each.keeps_places or not places_matter]
    most = min(in_time, _MOST_ROWS)
    found = _asked(predictor, asked, changes, most)
    if synonyms is None:
        return tuple(found)
    return (*found, *_in_other_words(predictor, asked, synonyms, kept, most))


def _asked(
    predictor: Predictor, asked: Sequence[Instance], changes: Sequence[Change], most: int
) -> Iterator[Again]:
    for change in changes:
        changed = {place: change.apply(row.text) for place, row in enumerate(asked)}
        told = [place for place, text in changed.items() if text.strip() and text != asked[place].text]
        if picked := _spread(told, most if change.same_meaning else most // _FEWER):
            answers = predictor.predict([asked[place]._replace(text=changed[place]) for place in picked])
            yield Again(change.name, tuple(picked), tuple(answers), change.same_meaning)


def _in_other_words(
    predictor: Predictor,
    asked: Sequence[Instance],
    synonyms: Synonyms,
    kept: Mapping[int, Sequence[tuple[int, int]]],
    most: int,
) -> Iterator[Again]:
    changed = {place: synonyms.rewritten(row.text, kept.get(place, ())) for place, row in enumerate(asked)}
    told = [place for place, found in changed.items() if found.text != asked[place].text]
    if picked := _spread(told, most if synonyms.same_meaning else most // _FEWER):
        answers = predictor.predict([asked[place]._replace(text=changed[place].text) for place in picked])
        placed = [answer.moved(changed[place].back) for place, answer in zip(picked, answers, strict=True)]
        yield Again("synonyms", tuple(picked), tuple(placed), synonyms.same_meaning)


def _spread(places: Sequence[int], most: int) -> list[int]:
    """`most` of `places`, evenly: neighbours are of one day."""
    count = min(most, len(places))
    return [places[number * len(places) // count] for number in range(count)]
