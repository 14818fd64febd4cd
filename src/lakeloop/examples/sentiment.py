"""How news of a company sound to who owns its shares: the shape of sentences with one of three judgements."""

from __future__ import annotations

import random
import zipfile
from collections.abc import Iterator
from pathlib import Path

from lakeloop.examples.base import Example, Row
from lakeloop.examples.files import the_file
from lakeloop.examples.grammar import Words, fill, mistaken, sentence

_CORES: dict[str, tuple[str, ...]] = {
    "negative": (
        "{who} cut its outlook after {thing} fell by {rate} in the {time}",
        "{thing} of {who} dropped to EUR {sum} mn from EUR {sum} mn",
        "{who} will lay off {count} people as {thing} declined",
        "shares of {who} slid {rate} when {thing} missed estimates",
        "{who} posted a loss of EUR {sum} mn for the {time}, hurt by weak {thing}",
    ),
    "neutral": (
        "{who} will publish {thing} for the {time} on Thursday",
        "{who} has its offices in {place} and employs {count} people",
        "the value of the order from {place} was not disclosed by {who}",
        "{who} said that {thing} stood at EUR {sum} mn in the {time}, unchanged from a year ago",
        "the board of {who} named a new head of its unit in {place}",
    ),
    "positive": (
        "{who} raised its outlook after {thing} grew by {rate} in the {time}",
        "{thing} of {who} rose to EUR {sum} mn from EUR {sum} mn",
        "{who} won an order worth EUR {sum} mn from {place}",
        "shares of {who} gained {rate} when {thing} beat estimates",
        "{who} will hire {count} people in {place} to meet strong demand",
    ),
}
_WORDS: Words = {
    "who": ("Norvik", "Halden Oyj", "the shipyard Brae", "Tessin Foods", "Kaarna", "Ostrand", "Mill & Marsh"),
    "thing": ("net sales", "operating profit", "orders", "earnings per share", "cash flow", "traffic"),
    "time": ("first quarter", "second quarter", "third quarter", "full year", "half year"),
    "place": ("Tampere", "Riga", "northern Spain", "Hamburg", "Chile", "Gdansk"),
    "rate": ("{digit} %", "{digit}.{digit} %", "1{digit} %", "2{digit} pct"),
    "sum": ("{digit}.{digit}", "1{digit}.{digit}", "{digit}{digit}", "{digit}0{digit}.{digit}"),
    "count": ("{digit}0", "{digit}50", "{digit}00", "1 {digit}00"),
    "digit": tuple("23456789"),
    "after": ("", "", ", it said", ", the company said on Monday", " , according to its report"),
}
_MISTAKES = 0.05
_BOTH = 0.05
"""Share of rows that say both, and are judged by the last part."""


def draw_row(draw: random.Random, _day: int) -> Row:
    """A sentence of the news and its judgement."""
    tone = draw.choice(list(_CORES))
    core = draw.choice(_CORES[tone])
    if tone != "neutral" and draw.random() < _BOTH:
        other = "positive" if tone == "negative" else "negative"
        core = f"although {draw.choice(_CORES[other])}, {core}"
    text = sentence(fill(draw, f"{core}{{after}} .", _WORDS))
    return {"text": text, "sentiment": mistaken(draw, tone, list(_CORES), _MISTAKES)}


def read(folder: Path) -> Iterator[Row]:
    """Lines `sentence@judgement` of the Financial PhraseBank, or the two files of sentence_polarity.zip."""
    phrases = sorted(folder.glob("Sentences_*.txt"))
    if phrases:
        for line in phrases[0].read_text(encoding="latin-1").splitlines():
            text, _, tone = line.rpartition("@")
            yield {"text": text, "sentiment": tone}
        return
    with zipfile.ZipFile(the_file(folder, "sentence_polarity.zip")) as packed:
        for name in sorted(packed.namelist()):
            if judged := _POLARITY.get(name.rpartition(".")[2]):
                for line in packed.read(name).decode("latin-1").splitlines():
                    yield {"text": line.strip(), "sentiment": judged}


_POLARITY = {"neg": "negative", "pos": "positive"}

EXAMPLE = Example(
    title="Financial news in English: negative, neutral or positive",
    text="text",
    answer="sentiment",
    answers=tuple(_CORES),
    draw=draw_row,
    format="csv",
    wanted="Financial PhraseBank: Sentences_*.txt; or sentence_polarity.zip",
    read=read,
)
