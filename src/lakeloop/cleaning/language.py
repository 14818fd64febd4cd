"""The language that a text is written in: by its script where that has one language, else by py3langid."""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING

import pyarrow as pa

from lakeloop.spec.languages import UNDETERMINED

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

_FEWEST_LETTERS = 20
_FEWEST_SIGNS = 2
_READ = 2000
"""Characters of a text that are looked at."""
_BY_SCRIPT = {
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "HANGUL": "ko",
    "CJK": "zh",
    "THAI": "th",
    "GREEK": "el",
    "GEORGIAN": "ka",
    "ARMENIAN": "hy",
    "KHMER": "km",
    "LAO": "lo",
    "TAMIL": "ta",
    "TELUGU": "te",
    "KANNADA": "kn",
    "MALAYALAM": "ml",
    "GUJARATI": "gu",
    "SINHALA": "si",
}
"""Script, as names of letters begin -> its language. A few signs tell it."""


def languages_of(texts: pa.Array) -> pa.Array:
    """The language of each of `texts` (Arrow strings), of `LANGUAGES`, or `UNDETERMINED`; nulls stay null."""
    told: dict[str, str] = {}
    found = []
    for text in texts.to_pylist():
        if text is not None and text not in told:
            told[text] = language_of(text)
        found.append(None if text is None else told[text])
    return pa.array(found, pa.string())


def language_of(text: str) -> str:
    """The language of one text."""
    read = text[:_READ]
    letters = [letter for letter in read if letter.isalpha()]
    scripts = Counter(_script(letter) for letter in letters if not letter.isascii())
    # Japanese is written in its own letters and in Chinese ones.
    if kana := scripts["HIRAGANA"] + scripts["KATAKANA"]:
        scripts["HIRAGANA"] = kana + scripts["CJK"]
    script, signs = scripts.most_common(1)[0] if scripts else ("", 0)
    if script in _BY_SCRIPT and signs >= max(_FEWEST_SIGNS, len(letters) / 3):
        return _BY_SCRIPT[script]
    if len(letters) < _FEWEST_LETTERS:
        return UNDETERMINED
    likeliest: str = _identifier().rank(read)[0][0]
    return likeliest


def _script(letter: str) -> str:
    return unicodedata.name(letter, "none").split(maxsplit=1)[0]


@cache
def _identifier() -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE)
