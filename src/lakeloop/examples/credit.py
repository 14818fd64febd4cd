"""Whether a credit is paid back, from numbers, codes and a sentence: the shape of german_credit."""

from __future__ import annotations

import csv
import math
import random
from collections.abc import Iterator
from pathlib import Path

from lakeloop.examples.base import Example, Row, Value
from lakeloop.examples.files import the_file

_PURPOSE = {
    "A40": "a new car", "A41": "a used car", "A42": "furniture", "A43": "a television",
    "A44": "a kitchen stove", "A45": "repairs", "A46": "education", "A48": "retraining",
    "A49": "a business", "A410": "something else",
}  # fmt: skip
_EMPLOYED = {
    "A71": "without work", "A72": "employed for less than a year", "A73": "employed for one to four years",
    "A74": "employed for four to seven years", "A75": "employed for more than seven years",
}  # fmt: skip
_WORK = {
    "A171": "unskilled and from elsewhere", "A172": "unskilled", "A173": "skilled",
    "A174": "a manager or with a firm of their own",
}  # fmt: skip
_CODES = {
    "account": ("A11", "A12", "A13", "A14"),
    "history": ("A30", "A31", "A32", "A33", "A34"),
    "savings": ("A61", "A62", "A63", "A64", "A65"),
    "guarantor": ("A101", "A102", "A103"),
    "property": ("A121", "A122", "A123", "A124"),
    "plans": ("A141", "A142", "A143"),
    "housing": ("A151", "A152", "A153"),
}
_RISK = {
    "A11": 0.9, "A12": 0.4, "A14": -0.9, "A30": 0.9, "A31": 0.8, "A34": -0.7, "A61": 0.4, "A64": -0.6,
    "A65": -0.4, "A103": -0.8, "A121": -0.3, "A124": 0.5, "A141": 0.5, "A151": 0.4, "A41": -0.8,
    "A46": 0.6, "A40": 0.4, "A71": 0.6, "A72": 0.6, "A74": -0.5,
}  # fmt: skip
"""What a code adds to the log of the odds that a generated credit is not paid back."""
_SHARPNESS = 2.0
_MISSING = 0.02


def sentence_of(purpose: str, employed: str, work: str) -> str:
    """The three codes in words, as a clerk would write them."""
    what = _PURPOSE.get(purpose, "something else")
    return f"Needs money for {what}. {_EMPLOYED[employed].capitalize()}, {_WORK[work]}."


def draw_row(draw: random.Random, _day: int) -> Row:
    """A request for a credit and what became of it."""
    codes = {name: draw.choice(among) for name, among in _CODES.items()}
    purpose, employed, work = (draw.choice(list(each)) for each in (_PURPOSE, _EMPLOYED, _WORK))
    months = draw.choice((6, 9, 12, 15, 18, 24, 30, 36, 48))
    amount = round(draw.lognormvariate(7.7, 0.7))
    share = draw.randint(1, 4)
    odds = sum(_RISK.get(code, 0.0) for code in (*codes.values(), purpose, employed))
    odds += (months - 20) / 20 + (amount - 3000) / 6000 + (share - 3) / 5 - 0.6
    risky = draw.random() < 1 / (1 + math.exp(-_SHARPNESS * odds))
    numbers: dict[str, Value] = {"months": months, "amount": amount, "rate": share}
    numbers |= {"residence": draw.randint(1, 4), "credits": draw.choice((1, 1, 1, 2, 2, 3))}
    if draw.random() < _MISSING:
        numbers[draw.choice(list(numbers))] = None
    text = sentence_of(purpose, employed, work)
    return {"text": text, **numbers, **codes, "outcome": "unpaid" if risky else "paid"}


def read(folder: Path) -> Iterator[Row]:
    """The rows of german.csv: 20 columns and the outcome, without a header.

    Left out are sex, age, family, telephone and where a person comes from: a bank may not decide by most of
    them.
    """
    with the_file(folder, "german.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.reader(file):
            yield {
                "text": sentence_of(row[3], row[6], row[16]),
                **{name: int(row[n]) for name, n in _NUMBERS.items()},
                **{name: row[n] for name, n in _PLACES.items()},
                "outcome": "paid" if row[20] == "1" else "unpaid",
            }


_NUMBERS = {"months": 1, "amount": 4, "rate": 7, "residence": 10, "credits": 15}
_PLACES = {
    "account": 0, "history": 2, "savings": 5, "guarantor": 9, "property": 11, "plans": 13, "housing": 14,
}  # fmt: skip
"""Column -> its number in german.csv, from 0."""

EXAMPLE = Example(
    title="Credit risk from numbers, codes and a sentence",
    text="text",
    answer="outcome",
    answers=("paid", "unpaid"),
    draw=draw_row,
    format="csv",
    rows_a_day=300,
    identity=tuple(_NUMBERS),
    wanted="german_credit: german.csv",
    read=read,
)
