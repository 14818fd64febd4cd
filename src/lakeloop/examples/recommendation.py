"""Whether a person opens an item: what the item is against what the person likes, both as text."""

from __future__ import annotations

import random

from lakeloop.examples.base import Example, Row
from lakeloop.examples.grammar import Words, fill, mistaken, sentence

_ITEMS: dict[str, tuple[str, ...]] = {
    "garden": ("{fine} seeds for a {small} garden", "growing tomatoes on a balcony", "a {one} spade of ash"),
    "cooking": ("{fine} soups for a {small} kitchen", "a pan for {small} stoves", "baking bread with rye"),
    "football": ("the {fine} goals of the season", "boots for {small} pitches", "tickets for the cup"),
    "travel": ("{fine} night trains of Europe", "a {small} guide to the islands", "hiking in the Alps"),
    "music": ("a {one} record for the evening", "learning the cello at home", "a {small} jazz festival"),
    "computers": (
        "a {one} laptop for programmers",
        "writing {small} games in Python",
        "building a home server",
    ),
}
_LIKES: dict[str, tuple[str, ...]] = {
    "garden": ("plants and flowers", "gardening", "vegetables from the own bed"),
    "cooking": ("cooking for friends", "recipes and bread", "good food"),
    "football": ("football", "the league and its players", "sports on Saturdays"),
    "travel": ("travelling by train", "mountains and islands", "trips abroad"),
    "music": ("jazz and old records", "playing an instrument", "concerts"),
    "computers": ("programming", "computers and games", "new gadgets"),
}
_WORDS: Words = {
    "fine": ("the best", "ten fine", "some rare", "new", "simple", "famous"),
    "one": ("simple", "new", "famous", "rare", "light", "better"),
    "small": ("small", "tiny", "large", "modern", "city"),
    "before": ("", "now in the shop: ", "our tip: ", "this week ", "reviewed: "),
    "after": ("", " for beginners", " at half price", ", loved by thousands", " this month", " for two"),
    "likes": ("likes", "often reads about", "is into", "spends evenings with", "follows"),
}
_MISTAKES = 0.06


def draw_row(draw: random.Random, _day: int) -> Row:
    """An item, the interests of a person in words, and whether the person opened it."""
    about = draw.choice(list(_ITEMS))
    opened = draw.random() < 0.5
    others = [topic for topic in _ITEMS if topic != about]
    topics = draw.sample(others, 2)
    if opened:
        topics[draw.randrange(2)] = about
    liked = " and ".join(draw.choice(_LIKES[topic]) for topic in topics)
    item = sentence(fill(draw, f"{{before}}{draw.choice(_ITEMS[about])}{{after}}", _WORDS))
    return {
        "item": item,
        "interest": sentence(fill(draw, f"{{likes}} {liked}", _WORDS)),
        "outcome": mistaken(draw, "opened" if opened else "passed", ("opened", "passed"), _MISTAKES),
    }


EXAMPLE = Example(
    title="Recommendation: does this item suit that person's interests",
    text="item",
    answer="outcome",
    answers=("opened", "passed"),
    draw=draw_row,
    rows_a_day=400,
    identity=("interest",),
)
