"""Mails day by day; what spam sells changes with the days, as it does."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from lakeloop.examples.base import AT, Example, Row
from lakeloop.examples.files import the_file
from lakeloop.examples.grammar import Words, fill, mistaken

_SOLD = (
    ("watches", "cheap software", "a mortgage at {rate}"),
    ("a mortgage at {rate}", "slimming tea", "a degree without exams"),
    ("coins that only rise", "slimming tea", "tickets to the final"),
)
"""For each day what spam sells; a later day sells what the last one does."""
_SPAM = (
    "{hurry} {name}, get {goods} today. {click} {trust}",
    "You have been chosen for {goods}! {trust} {click}",
    "Re: your request. We offer {goods} at half the price, {hurry}. {click}",
    "Dear friend, my late uncle left {sum} and I need your help to move it. {trust}",
    "Hi {name}, your order of {thing} waits for your account data, see {site}. {bye}",
    "On {time} {name} wrote about {goods}. I tried it, and so should you: {site}. {bye}",
    "{trust} Thousands already have {goods}. {click} To leave this list reply REMOVE.",
)
_HAM = (
    "Hi {name}, the build failed again on {thing}. Could you look at it before {time}? {bye}",
    "{name}, can we move the meeting about {thing} to {time}? {bye}",
    "On {time} {name} wrote about {thing}. I agree, but the patch should come first. {bye}",
    "Your order of {thing} has been sent and should arrive by {time}. {bye}",
    "The minutes on {thing} are attached, corrections until {time} please. {bye}",
    "{name}, did you get that mail about {goods}, too? {hurry}, it says. Delete it. {bye}",
    "{hurry}: the survey about {thing} closes on {time}. {click} {bye}",
    "Half price for members of the club: {thing}, only until {time}. See you there! {bye}",
)
_WORDS: Words = {
    "name": ("Ana", "Tom", "Priya", "Lars", "Mei", "Joao", "Olga", "Sam"),
    "hurry": ("Act now", "Last chance", "Only today", "Do not miss this", "Limited offer"),
    "click": ("Click here.", "Visit our site now!", "Order at {site}.", "Reply with your account."),
    "site": ("best-{digit}{digit}.example", "deal{digit}.example", "win-{digit}.example"),
    "trust": ("No risk at all.", "100% guaranteed.", "This is no joke.", "Your data are safe with us.", ""),
    "sum": ("{digit} million dollars", "{digit}{digit} million", "{digit}00,000 pounds"),
    "rate": ("{digit}.{digit} percent", "{digit} percent"),
    "digit": tuple("23456789"),
    "thing": ("the parser", "release 2.{digit}", "the kitchen rota", "row {digit}{digit} of the budget",
              "the mail filter", "chapter {digit}", "the new printer", "two lamps", "the cache"),
    "time": ("Monday", "tomorrow", "Friday noon", "the 1{digit}th", "next week", "Tuesday"),
    "bye": ("Cheers, {name}", "Best, {name}", "Thanks", "{name}", "Regards, {name}"),
}  # fmt: skip
_SPAM_BY_DAY = (0.5, 0.4, 0.25)
_MISTAKES = 0.03


def draw_row(draw: random.Random, day: int) -> Row:
    """A mail and whether it is spam."""
    day = min(day, len(_SOLD) - 1)
    spam = draw.random() < _SPAM_BY_DAY[day]
    template = draw.choice(_SPAM if spam else _HAM)
    text = fill(draw, template, {**_WORDS, "goods": _SOLD[day]})
    verdict = mistaken(draw, "spam" if spam else "ham", ("ham", "spam"), _MISTAKES)
    return {"text": " ".join(text.split()), "verdict": verdict}


def read(folder: Path) -> Iterator[Row]:
    """The mails of spamassassin.jsonl.gz, whose moment is that at which the mailbox received them.

    Where that is not known it is the moment that the mail itself says, if that is of the same years; else
    there is none, and the day's check quarantines the mail.
    """
    with gzip.open(the_file(folder, "spamassassin.jsonl.gz"), "rt", encoding="utf-8") as lines:
        mails = [json.loads(line) for line in lines]
    received = sorted(mail["mbox_received"] for mail in mails if mail["mbox_received"])
    for mail in mails:
        moment = mail["mbox_received"] or _in_utc(mail["header_date"])
        known = moment if moment and received[0][:10] <= moment[:10] <= received[-1][:10] else None
        body = mail["text"].partition("\n\n")[2]
        yield {
            AT: f"{known}Z" if known else None,
            "text": f"{mail['subject'] or ''}\n{body}".strip(),
            "verdict": mail["label"],
        }


def _in_utc(moment: str | None) -> str | None:
    """A moment with its zone, as one of UTC that names none."""
    if not moment:
        return None
    said = datetime.fromisoformat(moment)
    with_zone = said if said.tzinfo else said.replace(tzinfo=UTC)
    return with_zone.astimezone(UTC).replace(tzinfo=None).isoformat()


EXAMPLE = Example(
    title="Spam among the mails of each day",
    text="text",
    answer="verdict",
    answers=("ham", "spam"),
    draw=draw_row,
    wanted="mails of SpamAssassin with their dates: spamassassin.jsonl.gz",
    read=read,
)
