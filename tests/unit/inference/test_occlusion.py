"""Occlusion: the word that an answer hangs on is the one that a model of key words knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakeloop.inference.occlusion import MOST_PARTS, effects, parts_of, strongest
from lakeloop.inference.predictor import Predictor
from lakeloop.tasks.reading import Instance
from tests.support.artifacts import make_artifact, make_number_artifact
from tests.support.small_loop import LABELS


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return Predictor(make_artifact(tmp_path_factory.mktemp("model") / "a", LABELS).folder)


def test_the_key_word_has_the_largest_effect(predictor: Predictor) -> None:
    rows = [Instance("a story about sports, today"), Instance("tech"), Instance("tech for business")]
    answers = predictor.predict(rows)
    found = effects(predictor, rows, answers)
    assert [part.text for part in found[0]] == ["a", "story", "about", "sports", "today"]
    (best,) = strongest(found[0], 1)
    assert best.text == "sports"
    without = predictor.predict(["a story about , today"])[0]
    assert best.effect == pytest.approx(answers[0].score - without.scores["sports"])  # type: ignore[attr-defined]
    assert found[1] == ()  # without its only word there is nothing to ask
    effect = {part.text: part.effect for part in found[2]}
    assert effect["business"] < 0 < effect["tech"] or effect["tech"] < 0 < effect["business"]


def test_of_a_number_it_is_what_the_word_adds(tmp_path: Path) -> None:
    predictor = Predictor(make_number_artifact(tmp_path / "n", {"good": 2.0, "bad": -1.0}).folder)
    rows = [Instance("good and bad")]
    (parts,) = effects(predictor, rows, predictor.predict(rows))
    assert {part.text: round(part.effect, 4) for part in parts} == {"good": 2.0, "and": 0.0, "bad": -1.0}


def test_words_of_scripts_without_blanks_are_letters_and_long_texts_have_parts_of_several() -> None:
    text = "今天 it's fine, OK?"
    assert [text[a:b] for a, b in parts_of(text, 99)] == ["今", "天", "it's", "fine", "OK"]
    long = " ".join(f"w{number}" for number in range(1000))
    parts = [long[a:b] for a, b in parts_of(long, 1000)]
    assert len(parts) == MOST_PARTS
    assert " ".join(parts) == long
    assert [long[a:b] for a, b in parts_of(long, 3)] == ["w0", "w1", "w2"]
    assert parts_of("?! ...", 99) == []
