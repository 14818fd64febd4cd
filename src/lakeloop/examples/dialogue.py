"""Word problems with worked answers that end in the number: the shape of gsm8k."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from lakeloop.examples.base import Example, Row
from lakeloop.examples.files import the_file

_NAMES = ("Ann", "Ben", "Carla", "Deniz", "Emil", "Fatou", "Goran", "Hana", "Ines", "Jonas", "Kim", "Lea")
_THINGS = ("loaves", "pens", "apples", "tickets", "books", "chairs", "cups", "bricks", "stamps", "bulbs")
_MISTAKES = 0.03


def _price(draw: random.Random) -> tuple[str, list[str], int]:
    name, thing = draw.choice(_NAMES), draw.choice(_THINGS)
    number, price = draw.randint(2, 12), draw.randint(2, 9)
    asked = f"{name} sells {number} {thing} at {price} euros each. How much does {name} take?"
    return (
        asked,
        [f"{number} {thing} at {price} euros are {number} * {price} = {number * price}."],
        number * price,
    )


def _left(draw: random.Random) -> tuple[str, list[str], int]:
    (name, other), thing = draw.sample(_NAMES, 2), draw.choice(_THINGS)
    had, gave = draw.randint(10, 40), draw.randint(2, 9)
    asked = f"{name} has {had} {thing} and gives {gave} of them to {other}. How many are left?"
    return asked, [f"{had} less {gave} is {had} - {gave} = {had - gave}."], had - gave


def _shared(draw: random.Random) -> tuple[str, list[str], int]:
    name, thing = draw.choice(_NAMES), draw.choice(_THINGS)
    boxes, each, more = draw.randint(2, 6), draw.randint(3, 9), draw.randint(1, 9)
    filled = f"{name} fills {boxes} boxes with {each} {thing} each, and has {more} more."
    asked = f"{filled} How many {thing} are there?"
    inside = boxes * each
    steps = [
        f"In the boxes are {boxes} * {each} = {inside} {thing}.",
        f"With the others there are {inside} + {more} = {inside + more}.",
    ]
    return asked, steps, inside + more


_KINDS: tuple[Callable[[random.Random], tuple[str, list[str], int]], ...] = (_price, _left, _shared)


def draw_row(draw: random.Random, _day: int) -> Row:
    """A question, and its answer step by step; a few end in a wrong number."""
    asked, steps, number = draw.choice(_KINDS)(draw)
    told = number + draw.choice((-1, 1)) if draw.random() < _MISTAKES else number
    return {"question": asked, "answer": " ".join([*steps, f"#### {told}"])}


def read(folder: Path) -> Iterator[Row]:
    """The rows of gsm8k's train.jsonl and test.jsonl."""
    for name in ("train.jsonl", "test.jsonl"):
        with the_file(folder, name).open(encoding="utf-8") as file:
            for line in file:
                row = json.loads(line)
                yield {"question": row["question"], "answer": row["answer"]}


EXAMPLE = Example(
    title="Dialogue: word problems, answered step by step",
    text="question",
    answer="answer",
    answers=(),
    draw=draw_row,
    answered="text",
    wanted="gsm8k: train.jsonl, test.jsonl",
    read=read,
)
