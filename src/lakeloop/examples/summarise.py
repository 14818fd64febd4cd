"""Reports of a repair service, and what of them a colleague wants to know: one line."""

from __future__ import annotations

import random

from lakeloop.examples.base import Example, Row
from lakeloop.examples.grammar import Words, fill, sentence

_FAULTS: dict[str, tuple[str, ...]] = {
    "pump leaks": (
        "water came out below the pump",
        "the pump lost water all night",
        "the seal of the pump was torn",
    ),
    "heater cold": ("the heater stayed cold", "no warm water came", "the burner would not start"),
    "door stuck": ("the door did not open any more", "the door was jammed", "the lock of the door was bent"),
    "lamp dark": (
        "the lamp in the hall did not work",
        "the light in the hall was out",
        "there was no light at all",
    ),
}
_DONE: dict[str, tuple[str, ...]] = {
    "repaired": ("it could be repaired on the spot", "I could mend it at once", "it works again now"),
    "part ordered": ("a part had to be ordered", "I ordered what was broken", "the part will come next week"),
    "replaced": (
        "I put in a new one",
        "the old one was beyond repair, so I replaced it",
        "there is a new one now",
    ),
}
_WORDS: Words = {
    "when": (
        "in the morning",
        "at noon",
        "late in the evening",
        "on my way back",
        "before the shift",
        "at once",
    ),
    "who": ("the owner", "a neighbour", "the caretaker", "a tenant", "the nurse on duty", "nobody"),
    "met": ("let me in", "was there", "showed me the way", "had called twice", "waited at the gate"),
    "road": (
        "The road was closed and I lost half an hour. ",
        "",
        "",
        "It rained. ",
        "Parking was hard to find. ",
    ),
    "end": ("", " The cellar was dry when I left.", " They were glad.", " Please call them on Monday."),
    "place": ("Mill Lane", "Harbour Street", "the school", "the clinic", "Oak Square", "the old town hall"),
}


def draw_row(draw: random.Random, _day: int) -> Row:
    """A report, and what was wrong, where, and what was done."""
    fault, done = draw.choice(list(_FAULTS)), draw.choice(list(_DONE))
    place = draw.choice(_WORDS["place"])
    text = (
        f"{{road}}I came to {place} {{when}}, where {{who}} {{met}}. "
        f"{sentence(draw.choice(_FAULTS[fault]))}; {draw.choice(_DONE[done])}.{{end}}"
    )
    return {"text": sentence(fill(draw, text, _WORDS)), "summary": f"{place}: {fault}, {done}"}


EXAMPLE = Example(
    title="Summaries of repair reports",
    text="text",
    answer="summary",
    answers=(),
    draw=draw_row,
    answered="text",
)
