"""Scores of written texts, by hand, for languages with and without blanks between words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from lakeloop.measures.base import Outcomes
from lakeloop.measures.generation import longest_common, perplexity_of, tokens_of
from lakeloop.measures.registry import learning_metrics_of, metric_of
from tests.unit.measures.outcomes import texts


def outcomes(truth: Sequence[str], answer: Sequence[str]) -> Outcomes:
    sides = [np.array([*side, None], dtype=object)[:-1] for side in (truth, answer)]
    return Outcomes(*sides, np.array([*zip(truth, answer, strict=True)], dtype=object).reshape(-1, 2))


def score(name: str, truth: Sequence[str], answer: Sequence[str]) -> float:
    return metric_of("causal_lm", name).compute(outcomes(truth, answer))


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("The cat, 3 cats.", ["the", "cat", "3", "cats"]),
        ("Crème brûlée", ["crème", "brûlée"]),
        ("今天GPU很快", ["今", "天", "gpu", "很", "快"]),
        ("カタカナ word", ["カ", "タ", "カ", "ナ", "word"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("snake_case …", ["snake", "case"]),
    ],
)
def test_tokens_are_words_and_characters_where_there_are_no_blanks(text: str, tokens: list[str]) -> None:
    assert tokens_of(text) == tokens


def test_rouge_of_a_hand_worked_example() -> None:
    truth, answer = ["police killed the gunman"], ["police kill the gunman"]
    assert score("rouge_1", truth, answer) == pytest.approx(3 / 4)
    assert score("rouge_2", truth, answer) == pytest.approx(1 / 3)
    assert score("rouge_l", truth, answer) == pytest.approx(3 / 4)
    assert score("rouge_l", truth, ["the gunman police killed"]) == pytest.approx(2 / 4)


def test_repeating_a_word_is_counted_as_often_as_it_is_right() -> None:
    assert score("rouge_1", ["the cat"], ["the the the"]) == pytest.approx(2 * 1 / 5)


def test_the_same_chinese_text_is_right_and_half_of_it_is_half_right() -> None:
    same = ["今天天气很好"]
    for metric in learning_metrics_of("seq2seq"):
        assert metric.compute(outcomes(same, same)) == pytest.approx(1.0), metric.name
    assert score("rouge_1", same, ["今天天"]) == pytest.approx(2 * 3 / 9)
    assert score("rouge_2", same, ["今天天"]) == pytest.approx(2 * 2 / 7)
    assert score("rouge_l", same, ["今天天"]) == pytest.approx(2 * 3 / 9)
    assert score("bleu", ["今天天气很好啊"], ["今天天气很好"]) > 0.8, "by characters"


def test_bleu_and_chrf_are_those_of_a_hand_worked_example() -> None:
    # 1- to 4-grams: 5/6, 3/5, 2/4, 1/3, and no shorter than the right one.
    truth, answer = ["the cat sat on a mat"], ["the cat sat on the mat"]
    assert score("bleu", truth, answer) == pytest.approx((5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25)
    assert score("chrf", ["ab"], ["ab"]) == 1
    assert score("chrf", ["ab"], ["cd"]) == 0


def test_exact_match_is_of_what_was_extracted() -> None:
    found = Outcomes(
        *(np.empty(3, dtype=object) for _ in range(2)), np.array([["4", "4"], ["5", "6"], ["7", None]])
    )
    assert metric_of("causal_lm", "exact_match").compute(found) == pytest.approx(1 / 3)


def test_an_empty_answer_scores_nothing_and_fails_nothing() -> None:
    assert [
        metric.compute(outcomes(["a right one"], [""])) for metric in learning_metrics_of("causal_lm")
    ] == [0] * 6


def test_the_longest_common_sequence_keeps_the_order() -> None:
    assert longest_common("ABCBDAB", "BDCABA") == 4
    assert longest_common("", "x") == 0


def test_perplexity_is_the_exponential_of_the_loss() -> None:
    assert perplexity_of(0.0) == 1
    assert perplexity_of(math.log(8)) == pytest.approx(8)
    assert perplexity_of(1e6) == math.inf


def test_perplexity_is_of_all_tokens_together_and_left_out_where_no_loss_was_asked_for() -> None:
    perplexity = metric_of("causal_lm", "perplexity")
    found = replace(outcomes(["a", "b"], ["a", "c"]), losses=np.array([[2.0, 1.0], [4.0, 5.0]]))
    assert perplexity.compute(found) == pytest.approx(math.e)
    assert perplexity.undefined is not None
    assert perplexity.undefined(found) == ""
    assert "not asked for" in perplexity.undefined(outcomes(["a"], ["a"]))
    hopeless = replace(found, losses=np.array([[1e6, 1.0]]))
    assert math.isfinite(perplexity.compute(hopeless))


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("ภาษาไทยที่ดี", ["ภาษาไทยที่ดี"]),
        ("cafe\u0301s noirs", ["cafe\u0301s", "noirs"]),
        ("مَرْحَبًا", ["مَرْحَبًا"]),
        ("が word", ["が", "word"]),
    ],
)
def test_marks_belong_to_the_letter_before_them(text: str, tokens: list[str]) -> None:
    assert tokens_of(text) == tokens


def test_bleu_and_chrf_of_random_texts_are_those_of_sacrebleu() -> None:
    import sacrebleu

    found = texts(60, seed=5)
    hypotheses, references = [*found.answer], [[*found.truth]]
    chrf = sacrebleu.corpus_chrf(hypotheses, references).score / 100
    bleu = sacrebleu.corpus_bleu(hypotheses, references, tokenize="zh").score / 100
    assert metric_of("seq2seq", "chrf").compute(found) == pytest.approx(chrf)
    assert metric_of("seq2seq", "bleu").compute(found) == pytest.approx(bleu)
