"""Which language a text is told to be in, and when that is not told."""

from __future__ import annotations

import pyarrow as pa
import pytest
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from lakeloop.cleaning.language import language_of, languages_of
from lakeloop.spec.languages import LANGUAGES, UNDETERMINED


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The quick brown fox jumps over the lazy dog", "en"),
        ("Ich habe gestern meine Karte verloren", "de"),
        ("Mi tarjeta no funciona en el cajero", "es"),
        ("\u8bf7\u8054\u7cfb\u6211 please", "zh"),
        ("\u3053\u3093\u306b\u3061\u306f\u4e16\u754c", "ja"),
        ("\uc548\ub155\ud558\uc138\uc694", "ko"),
        ("I love \u5bff\u53f8 and ramen very much indeed", "en"),
        ("ok thx", UNDETERMINED),
        ("GBP 20 refund ATM", UNDETERMINED),
        ("12345 ...", UNDETERMINED),
        ("", UNDETERMINED),
    ],
)
def test_a_text_is_told_by_its_script_or_its_words_unless_it_is_short(text: str, language: str) -> None:
    assert language_of(text) == language


def test_texts_of_a_column_are_told_each_and_nulls_stay() -> None:
    texts = pa.array([None, "ok", "ok", "Mi tarjeta no funciona en el cajero"])
    assert languages_of(texts).to_pylist() == [None, "und", "und", "es"]


def test_a_loop_file_can_name_what_can_be_told() -> None:
    assert frozenset(LanguageIdentifier.from_model_file(MODEL_FILE).labels) == LANGUAGES
