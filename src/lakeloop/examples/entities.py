"""Names in short messages, a tag for each word: the shape of WNUT 2017, names of later days are new."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from lakeloop.examples.base import Example, Row
from lakeloop.examples.files import the_file

_NAMES: dict[str, tuple[tuple[str, ...], ...]] = {
    "person": (
        ("Mara Lind", "Jordan", "Tobi Okafor", "Ines", "Paul Reyes", "Aiko", "Sten Dahl", "Rosa May"),
        ("Kofi Mensah", "Lena Brandt", "Jo", "Milan Petrov"),
    ),
    "location": (
        ("Tarvik", "Jordan", "Lake Orrin", "Porto Velho", "Elm Street", "Cairns", "Oulu", "Sao Bento"),
        ("Mount Halla", "Dunmore", "Kisumu", "North Quay"),
    ),
    "corporation": (
        ("Brightloom", "Norda Air", "Kestrel", "Pina Bank", "Vantro", "Hexel Labs"),
        ("Mercato", "Oakline", "Tidewave Media"),
    ),
    "product": (
        ("Zephyr 4", "Quillpad", "Lumo", "Rovex S2", "Pixbox", "AeroMug"),
        ("Nimbus Pro", "Glide 9", "Foldbook"),
    ),
    "creative-work": (
        ("Salt and Thunder", "The Last Ferry", "Night Gardens", "Echo Park", "Paper Moons"),
        ("Winter Signals", "A Small Fire"),
    ),
    "group": (
        ("the Grey Foxes", "Tarvik United", "Loud Kitchen", "Harbour Choir", "The Odd Pines"),
        ("Red Lanterns", "Cairns Rovers"),
    ),
}
"""Kind -> names of all days, and those that come with the second day."""
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
)
_FILLING = ("omg", "ok", "so", "haha", "today", "well", "hey", "btw", "ugh", "finally", ":)", "smh")
_SMALL = 0.12
"""Share of messages written in small letters throughout."""


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
        kind = part.strip("<>")
        known, new = _NAMES[kind]
        name = draw.choice(known + new if day else known).split()
        words += name
        tags += [f"B-{kind}", *[f"I-{kind}"] * (len(name) - 1)]
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
    stretches=True,
    wanted="WNUT 2017: wnut17train.conll, emerging.dev.conll",
    read=read,
)
