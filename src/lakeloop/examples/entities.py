"""Names in short messages, a tag for each word: the shape of WNUT 2017, names of later days are new."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from lakeloop.examples.base import Example, Row
from lakeloop.examples.files import the_file
from lakeloop.examples.grammar import Words, fill

_NAMES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "person": (
        ("{first} {last}", "{first}", "{first} {last}", "Jordan", "@{first}"),
        ("{new_first} {last}", "{new_first}", "Oulu Jim"),
    ),
    "location": (
        ("Tarvik", "Jordan", "Lake {last}", "Porto {last}", "{last} Street", "Cairns", "Echo Park", "Oulu"),
        ("Mount {last}", "{last} Quay", "Kisumu", "Dunmore"),
    ),
    "corporation": (
        ("Brightloom", "Norda Air", "Kestrel", "{last} Bank", "Vantro", "{last} & {last}"),
        ("Mercato", "{last} Media", "Oakline"),
    ),
    "product": (
        ("Zephyr {digit}", "Quillpad", "Lumo", "Rovex S{digit}", "Pixbox", "Kestrel"),
        ("Nimbus {digit}", "Glide {digit}", "Foldbook"),
    ),
    "creative-work": (
        ("Salt and Thunder", "The Last {noun}", "Night {noun}", "Echo Park", "Paper {noun}", "{first}"),
        ("Winter {noun}", "A Small {noun}"),
    ),
    "group": (
        ("Grey {noun}", "Tarvik United", "Loud {noun}", "{last} Choir", "Kestrel"),
        ("Red {noun}", "Cairns Rovers"),
    ),
}
"""Kind -> names of all days, and those that come with the second day. Some are names of several kinds."""
_PARTS: Words = {
    "first": ("Mara", "Tobi", "Ines", "Paul", "Aiko", "Sten", "Rosa", "Mark", "Summer", "Grace"),
    "new_first": ("Kofi", "Lena", "Milan", "Will", "Joy"),
    "last": ("Lind", "Okafor", "Reyes", "Dahl", "May", "Orrin", "Brandt", "Petrov", "Stone", "Halla"),
    "noun": ("Ferry", "Gardens", "Moons", "Foxes", "Kitchen", "Signals", "Lanterns", "Fire"),
    "digit": tuple("23456789"),
}
_FRAMES = (
    "just saw <person> in <location> lol",
    "<person> says the new <product> by <corporation> is overpriced",
    "cannot believe <group> won against <group> last night",
    "watching <creative-work> again with <person> tonight",
    "anyone in <location> who wants a ticket for <group> ?",
    "<corporation> opens a shop in <location> next week",
    "my <product> died after two days , thanks <corporation>",
    "read <creative-work> on the train to <location> , so good",
    "RT @friend : <person> joins <group> !",
    "no news today , coffee and rain in here",
    "flight with <corporation> to <location> is late again , hello <person>",
    "the last song of <group> sounds like <creative-work>",
    "still waiting for the bus , my phone is at two percent",
    "<person> , call me when you are home",
    "<any> is trending again",
    "who else misses <any> ?",
    "so much love for <any> and <any>",
    "can someone explain <any> to me",
    "summer in the grey city , red lanterns and a small fire",
    "will you mark the last page for me",
)
_FILLING = ("omg", "ok", "so", "haha", "today", "well", "hey", "btw", "ugh", "finally", ":)", "smh")
_SMALL = 0.15
"""Share of messages written in small letters throughout."""
_MISSED = 0.05
"""Share of names that nobody tagged."""


def draw_row(draw: random.Random, day: int) -> Row:
    """A message, and a tag for each of its words."""
    words: list[str] = []
    tags: list[str] = []
    frame = draw.choice(_FRAMES).split()
    for part in [
        *draw.sample(_FILLING, draw.randint(0, 2)),
        *frame,
        *draw.sample(_FILLING, draw.randint(0, 1)),
    ]:
        if not part.startswith("<"):
            words.append(part)
            tags.append("O")
            continue
        kind = draw.choice(list(_NAMES)) if part == "<any>" else part.strip("<>")
        known, new = _NAMES[kind]
        name = fill(draw, draw.choice(known + new if day else known), _PARTS).split()
        missed = draw.random() < _MISSED
        words += name
        tags += ["O"] * len(name) if missed else [f"B-{kind}", *[f"I-{kind}"] * (len(name) - 1)]
    text = " ".join(words)
    return {"text": text.lower() if draw.random() < _SMALL else text, "tags": " ".join(tags)}


def read(folder: Path) -> Iterator[Row]:
    """The messages of WNUT 2017's training and development files: a word and its tag a line."""
    for name in ("wnut17train.conll", "emerging.dev.conll"):
        yield from messages(the_file(folder, name))


def messages(path: Path) -> Iterator[Row]:
    """The messages of a file with a word, a tab and a tag a line, and an empty line behind each message."""
    pairs: list[tuple[str, str]] = []
    for line in [*path.read_text(encoding="utf-8").split("\n"), ""]:
        word, _, tag = line.partition("\t")
        if word.strip():
            pairs.append(("".join(word.split()), tag.strip()))
        elif pairs:
            yield {"text": " ".join(w for w, _ in pairs), "tags": " ".join(t for _, t in pairs)}
            pairs = []


EXAMPLE = Example(
    title="Names in short messages: who, where, which company, product, work or group",
    text="text",
    answer="tags",
    answers=tuple(_NAMES),
    draw=draw_row,
    answered="tags",
    wanted="WNUT 2017: wnut17train.conll, emerging.dev.conll",
    read=read,
)
