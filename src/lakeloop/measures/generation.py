"""Metrics of texts that were written, against the right ones.

Outcomes: `truth` and `answer` are arrays of objects [rows], texts; `outputs` is an array of objects
[rows, 2], what exact match compares of the two. All scores are 0..1.
"""

from __future__ import annotations

import functools
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from lakeloop.measures.base import Draws, MetricSpec, Outcomes
from lakeloop.measures.draws import mean_of, mean_score, sums_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sacrebleu.metrics.base import Metric

_HAN = "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_KANA = "\u3041-\u30ff\u31f0-\u31ff\uff66-\uff9f"
_BY_CHARACTER = re.compile(f"[{_HAN}{_KANA}]")
"""Scripts without blanks between words: Chinese, Japanese."""
_LARGEST_LOSS = 700
"""Nats, whose exp is still a number."""


@functools.cache
def _token() -> re.Pattern[str]:
    # Vowels of Hindi and Thai are marks, as are accents that stand for themselves: no letters by Unicode,
    # and no end of a word either.
    marks = "".join(chr(code) for code in range(0x10000) if unicodedata.category(chr(code))[0] == "M")
    return re.compile(rf"[{_HAN}{_KANA}]|(?:(?![{_HAN}{_KANA}])[^\W_][{marks}]*)+")


def tokens_of(text: str) -> list[str]:
    """Words of letters and digits in small letters; of Chinese and Japanese each character."""
    return _token().findall(text.lower())


def chrf(found: Outcomes) -> float:
    """chrF2 of all rows together (Popović 2015), as sacreBLEU has it: F2 of runs of 1 to 6 characters."""
    return float(_chrf(found).corpus_score(*_sides(found)).score) / 100


def bleu(found: Outcomes) -> float:
    """BLEU of all rows together (Papineni et al. 2002), as sacreBLEU has it.

    Chinese is counted by characters (its tokenizer `zh`), where a right answer has any, else words (`13a`).
    """
    return float(_bleu(found).corpus_score(*_sides(found)).score) / 100


def _chrf(found: Outcomes) -> Metric:  # noqa: ARG001 - one for all texts
    from sacrebleu.metrics.chrf import CHRF

    return CHRF()


def _bleu(found: Outcomes) -> Metric:
    from sacrebleu.metrics.bleu import BLEU

    by_character = any(_BY_CHARACTER.search(text) for text in found.truth)
    return BLEU(tokenize="zh" if by_character else "13a")


def rouge_1(found: Outcomes) -> float:
    """Mean F1 of single tokens (ROUGE-1, Lin 2004), of `tokens_of`."""
    return _mean(found, _rouge_1)


def rouge_2(found: Outcomes) -> float:
    """Mean F1 of pairs of neighbouring tokens (ROUGE-2)."""
    return _mean(found, _rouge_2)


def rouge_l(found: Outcomes) -> float:
    """Mean F1 of the longest common sequence of tokens (ROUGE-L)."""
    return _mean(found, _rouge_l)


def exact_match(found: Outcomes) -> float:
    """Share of the rows whose answer, or what is extracted of it, is the right one but for blanks."""
    return sum(_exact(found)) / found.rows


def _exact(found: Outcomes) -> list[bool]:
    return [bool(truth == answer) for truth, answer in found.outputs]


def longest_common(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest sequence of tokens that both have in this order, with others between."""
    row = [0] * (len(other) + 1)
    for token in one:
        before = 0
        for place, against in enumerate(other, 1):
            longer = before + 1 if token == against else max(row[place], row[place - 1])
            before, row[place] = row[place], longer
    return row[-1]


def perplexity_of(loss: float) -> float:
    """Exp of a mean loss of tokens, in nats; infinite where that is no number that can be written."""
    return math.exp(loss) if loss < _LARGEST_LOSS else math.inf


def perplexity(found: Outcomes) -> float:
    """Exp of the mean loss of the tokens of right answers: compares models with one tokenizer alone."""
    if found.losses is None:
        return math.nan
    return float(_perplexities(found.losses.sum(axis=0)[None])[0])


def _without_losses(found: Outcomes) -> str:
    return "the losses of right answers were not asked for" if found.losses is None else ""


def _losses(found: Outcomes) -> NDArray[Any]:
    assert found.losses is not None
    return found.losses


def _perplexities(sums: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    return np.asarray(np.exp(np.minimum(sums[:, 0] / np.maximum(sums[:, 1], 1.0), _LARGEST_LOSS)))


def _sides(found: Outcomes) -> tuple[list[str], list[list[str]]]:
    return [*found.answer], [[*found.truth]]


def _mean(found: Outcomes, score: Callable[[list[str], list[str]], float]) -> float:
    scores = [score(truth, answer) for truth, answer in _tokens(found)]
    return sum(scores) / len(scores)


def _rouge_1(truth: list[str], answer: list[str]) -> float:
    return _overlap(truth, answer, 1)


def _rouge_2(truth: list[str], answer: list[str]) -> float:
    return _overlap(truth, answer, 2)


def _rouge_l(truth: list[str], answer: list[str]) -> float:
    return _f1(longest_common(truth, answer), len(truth), len(answer))


def _tokens(found: Outcomes) -> Iterator[tuple[list[str], list[str]]]:
    for truth, answer in zip(found.truth, found.answer, strict=True):
        yield tokens_of(truth), tokens_of(answer)


def _overlap(truth: list[str], answer: list[str], size: int) -> float:
    there, claimed = (
        Counter(zip(*(side[first:] for first in range(size)), strict=False)) for side in (truth, answer)
    )
    return _f1((there & claimed).total(), there.total(), claimed.total())


def _f1(right: int, there: int, claimed: int) -> float:
    return 2 * right / (there + claimed) if there + claimed else 0.0


def _by_sacrebleu(made: Callable[[Outcomes], Metric]) -> Draws:
    """Draws of a score that sacreBLEU makes of counts of each text, as its own tests of significance do."""

    def prepare(found: Outcomes) -> Callable[[NDArray[Any]], NDArray[Any]]:
        import numpy as np

        metric = made(found)
        counts = np.array(metric._extract_corpus_statistics(*_sides(found)), np.float64)  # noqa: SLF001

        def scores(weights: NDArray[Any]) -> NDArray[Any]:
            sums = (weights @ counts).astype(np.int64)
            scored = map(metric._compute_score_from_stats, sums.tolist())  # noqa: SLF001
            return np.array([each.score for each in scored]) / 100

        return scores

    return Draws(prepare, lambda scores: scores)


def _mean_draws(score: Callable[[list[str], list[str]], float]) -> Draws:
    def values(found: Outcomes) -> NDArray[Any]:
        import numpy as np

        return np.array([score(truth, answer) for truth, answer in _tokens(found)])

    return Draws(mean_of(values), mean_score)


PERPLEXITY = MetricSpec(
    "perplexity", "perplexity", perplexity, better="lower", lowest=1.0, highest=None,
    evaluation_only=True, undefined=_without_losses, draws=Draws(sums_of(_losses), _perplexities),
)  # fmt: skip
"""What epochs are compared by, too: exp of the loss of the right answers, which no written text tells."""
GENERATION = (
    MetricSpec("chrf", "chrF", chrf, bar=0.2, draws=_by_sacrebleu(_chrf)),
    MetricSpec("bleu", "BLEU", bleu, draws=_by_sacrebleu(_bleu)),
    MetricSpec("rouge_1", "ROUGE-1", rouge_1, draws=_mean_draws(_rouge_1)),
    MetricSpec("rouge_2", "ROUGE-2", rouge_2, draws=_mean_draws(_rouge_2)),
    MetricSpec("rouge_l", "ROUGE-L", rouge_l, draws=_mean_draws(_rouge_l)),
    MetricSpec(
        "exact_match", "exact match", exact_match, of_right_rows=True,
        draws=Draws(mean_of(_exact), mean_score),
    ),
    PERPLEXITY,
)  # fmt: skip
