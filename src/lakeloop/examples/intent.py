"""What a customer of a bank wants, in the words of a chat: the shape of banking77."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from pathlib import Path

from lakeloop.examples.base import Example, Row
from lakeloop.examples.files import the_file
from lakeloop.examples.grammar import Words, fill, mistaken, sentence

_CORES: dict[str, tuple[str, ...]] = {
    "card_not_here": (
        "my {new} card has not come in the post after {time}",
        "the card that I ordered {time} ago is still not here",
        "when will the {new} card be delivered to {place}",
        "can I track the envelope with my {new} card",
        "I moved to {place} and wait for my card since {time}",
    ),
    "card_lost": (
        "I left my card in {place} and cannot find it",
        "somebody took my wallet with the card in {place}",
        "please block my card, it was stolen {time} ago",
        "I have lost the {new} card, what should I do",
        "my bag is gone and the card was in it",
    ),
    "payment_declined": (
        "my card was refused at {shop}",
        "{shop} would not take the payment of {sum}",
        "why was a payment of {sum} at {shop} turned down",
        "the terminal at {shop} said no although I have {sum}",
        "I cannot pay online at {shop} with the {new} card",
    ),
    "refund": (
        "{shop} promised me {sum} back {time} ago",
        "where is the money that {shop} returned",
        "I sent the shoes back and want my {sum} from {shop}",
        "how long until a refund of {sum} shows in my account",
        "the refund from {shop} is missing after {time}",
    ),
    "exchange_rate": (
        "which rate do you use from {currency} to {currency}",
        "I got a bad rate for {sum} in {place}",
        "how many {currency} do I get for {sum}",
        "the rate for {currency} was another one when I paid at {shop}",
        "do you add a fee when I change {sum} into {currency}",
    ),
    "top_up": (
        "I sent {sum} to my account {time} ago and it is not there",
        "my top up of {sum} failed",
        "why can I not add {sum} from my other bank",
        "how do I put {currency} on my account",
        "the app took {sum} for a top up and the balance stayed",
    ),
    "pin": (
        "I forgot the code of my {new} card",
        "how can I choose another pin",
        "the machine in {place} says my code is blocked",
        "I typed the wrong pin three times at {shop}",
        "where in the app do I see my code",
    ),
    "close_account": (
        "I want to end my account after {time} with you",
        "please close everything and send the {sum} to my other bank",
        "how do I leave, I do not need the account any more",
        "delete my profile, I move to {place}",
        "I am not happy with the app and would like to cancel",
    ),
}
_WORDS: Words = {
    "new": ("", "new", "second", "replacement", "blue", "virtual"),
    "time": ("two days", "a week", "ten days", "three weeks", "a month", "an hour", "four days"),
    "place": ("Leeds", "Lisbon", "the station", "Graz", "a taxi", "Oslo", "the gym", "Turin", "Cork"),
    "shop": ("the bakery", "a petrol station", "the bookshop", "a web shop", "the chemist", "my hotel"),
    "sum": ("20 pounds", "75 euros", "300 dollars", "1200 kroner", "12.50", "fifty pounds", "90 francs"),
    "currency": ("pounds", "euros", "dollars", "kroner", "francs", "zloty"),
    "before": (
        "",
        "",
        "hi, ",
        "hello there, ",
        "sorry to ask, ",
        "once more: ",
        "quick question, ",
        "well, ",
    ),
    "after": ("", "", "", ", please help", ", thanks", ", what now", ", it is urgent", ", who can help"),
    "end": ("", ".", "?", "??", "!", "..."),
}
_MISTAKES = 0.03


def draw_row(draw: random.Random, _day: int) -> Row:
    """A question and what it is about; some mention another matter first."""
    wanted = draw.choice(list(_CORES))
    core = draw.choice(_CORES[wanted])
    if draw.random() < 0.08:
        before = draw.choice(("my card", "the rate", "my refund", "the pin"))
        core = f"thanks for the help with {before}, now {core}"
    text = sentence(fill(draw, f"{{before}}{core}{{after}}{{end}}", _WORDS))
    return {"text": text, "intent": mistaken(draw, wanted, list(_CORES), _MISTAKES)}


def read(folder: Path) -> Iterator[Row]:
    """The rows of banking77's train.csv and test.csv, which have the columns text and category."""
    for name in ("train.csv", "test.csv"):
        with the_file(folder, name).open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                yield {"text": row["text"], "intent": row["category"]}


EXAMPLE = Example(
    title="What a bank's customer wants: the intent of a question",
    text="text",
    answer="intent",
    answers=tuple(_CORES),
    draw=draw_row,
    wanted="banking77: train.csv, test.csv",
    read=read,
)
