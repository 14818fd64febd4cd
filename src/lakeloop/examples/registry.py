"""The one list of examples: a line for each, in the order in which they are shown."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path
from string import Template

import yaml

from lakeloop.durable import write_atomically
from lakeloop.errors import ConfigurationError, DataError
from lakeloop.examples import (
    credit,
    dialogue,
    entities,
    intent,
    recommendation,
    sentiment,
    sentiment_zh,
    spam,
    summarise,
)
from lakeloop.examples.base import Example, Row
from lakeloop.examples.drops import generated, spread
from lakeloop.spec.quoting import quote

EXAMPLES: dict[str, Example] = {
    "intent": intent.EXAMPLE,
    "sentiment": sentiment.EXAMPLE,
    "sentiment_zh": sentiment_zh.EXAMPLE,
    "spam": spam.EXAMPLE,
    "entities": entities.EXAMPLE,
    "recommendation": recommendation.EXAMPLE,
    "credit": credit.EXAMPLE,
    "summarise": summarise.EXAMPLE,
    "dialogue": dialogue.EXAMPLE,
}

LOOPS = resources.files("lakeloop.examples") / "loops"


def example_named(name: str) -> Example:
    """The example called `name`; raises ConfigurationError where there is none."""
    if name not in EXAMPLES:
        raise ConfigurationError(
            "no such example",
            where="--example",
            expected=", ".join(EXAMPLES),
            found=quote(name),
            remedy="lakeloop examples says what each of them is",
        )
    return EXAMPLES[name]


def loop_text(example: str, loop: str, answers: tuple[str, ...] = ()) -> str:
    """The loop file of a loop called `loop`; `answers` stand in place of those of generated rows."""
    named = ", ".join(map(_as_yaml, answers or EXAMPLES[example].answers))
    template = Template((LOOPS / f"{example}.yaml").read_text(encoding="utf-8"))
    return template.substitute(name=loop, answers=f"[{named}]")


def _as_yaml(answer: str) -> str:
    """As a word of a list between brackets; in quotes where YAML would read something else, or might."""
    plain = re.fullmatch(r"[A-Za-z][\w-]*", answer) and yaml.safe_load(answer) == answer
    return answer if plain else json.dumps(answer, ensure_ascii=False)


def rows_of(name: str, folder: Path) -> list[Row]:
    """All rows of the public data set in `folder`, in the shape of the example.

    Raises:
        ConfigurationError: the example reads none.
        DataError: it is not there as it is published.
    """
    example = example_named(name)
    if example.read is None:
        able = ", ".join(each for each in EXAMPLES if EXAMPLES[each].read)
        raise ConfigurationError(
            f"the example {quote(name)} reads no public data set",
            where="--from-dataset",
            expected=f"one of {able}",
            found=quote(name),
            remedy="your own files are begun with lakeloop new NAME --from FILE",
        )
    try:
        return list(example.read(folder))
    except (KeyError, IndexError, ValueError, OSError) as error:
        raise DataError(
            "the data set is not as it is published",
            where=str(folder),
            expected=example.wanted,
            found=f"{type(error).__name__}: {error}",
        ) from error


def answers_in(example: Example, rows: list[Row]) -> tuple[str, ...]:
    """The right answers of `rows`, sorted; those of the example where an answer is none of a few."""
    if example.answered != "class":
        return example.answers
    return tuple(sorted({str(row[example.answer]) for row in rows}))


def write_drops(name: str, folder: Path, rows: list[Row] | None = None) -> list[Path]:
    """Write a file a day into `folder`, of generated rows or of `rows`; returns their paths."""
    example = example_named(name)
    drops = generated(example) if rows is None else spread(example, rows)
    paths = []
    for day, content in drops.items():
        path = folder / f"{day}.{example.format}"
        write_atomically(path, content)
        paths.append(path)
    return paths
