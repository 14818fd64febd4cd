"""Files for some days: good rows, and among them the kinds of bad ones that a real delivery has.

The same example, seed and number of rows give the same bytes, whatever the machine.
"""

from __future__ import annotations

import csv
import io
import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import groupby

from lakeloop.examples.base import AT, KEY, Example, Row, Value

FIRST_DAY = date(2026, 11, 16)
SEED = 17
_DAMAGE = ("unknown answer", "no text", "broken line", "again", "nearly again")
_DAMAGED = 0.015
"""Share of a day's rows, of each kind of damage; one row at least."""
_WRONG: dict[str, Callable[[str], str]] = {
    "class": lambda _: "not sure",
    "tags": lambda text: " ".join(["B-nonsense"] * len(text.split())),
    "text": lambda _: " ",
}
"""What an answer is -> one to a text that is none."""
_TRIES = 200


def generated(example: Example, seed: int = SEED) -> dict[str, bytes]:
    """Day -> content of its file, with rows made up by the example."""
    draw = random.Random(seed)  # noqa: S311  (no secret: the same bytes again are wanted)
    seen: set[tuple[Value, ...]] = set()
    drops = {}
    for number in range(example.days):
        day = (FIRST_DAY + timedelta(days=number)).isoformat()
        rows = [
            _named(_unseen(example, draw, number, seen), f"{day}-{n:04}", _moment(day, n))
            for n in range(example.rows_a_day)
        ]
        drops[day] = _content(example, _with_damage(example, draw, rows))
    return drops


def spread(example: Example, rows: Iterable[Row], seed: int = SEED) -> dict[str, bytes]:
    """Day -> content of its file, with all `rows` of a data set.

    Rows that say when they happened are in the file of that day, those that could and do not in the longest
    one, as they are; rows of a data set without times are dealt to the days of the example.
    """
    found = list(rows)
    if any(AT in row for row in found):
        dated = [(str(row.get(AT) or "")[:10], row) for row in found]
        longest = Counter(day for day, _ in dated if day).most_common(1)
        rest = longest[0][0] if longest else FIRST_DAY.isoformat()
        by_day = sorted(((day or rest, row) for day, row in dated), key=lambda each: each[0])
    else:
        random.Random(seed).shuffle(found)  # noqa: S311  (as above)
        each_day = -(-len(found) // example.days)
        by_day = [
            ((FIRST_DAY + timedelta(days=n // each_day)).isoformat(), row) for n, row in enumerate(found)
        ]
    drops = {}
    for day, among in groupby(by_day, key=lambda each: each[0]):
        named = [_named(row, f"{day}-{n:05}", _moment(day, n)) for n, (_, row) in enumerate(among)]
        drops[day] = _content(example, named)
    return drops


def _unseen(example: Example, draw: random.Random, day: int, seen: set[tuple[Value, ...]]) -> Row:
    """A row whose text was not drawn before, if one can be found in some draws."""
    for _ in range(_TRIES):
        row = example.draw(draw, day)
        mark = tuple(row[name] for name in (example.text, *example.identity))
        if mark not in seen:
            seen.add(mark)
            return row
    raise AssertionError(f"{example.title}: too few different texts for {len(seen)} rows")


def _named(row: Row, key: str, moment: str) -> Row:
    return {KEY: key, AT: row.get(AT, moment), **{name: row[name] for name in row if name != AT}}


def _moment(day: str, number: int) -> str:
    """Rows come all day long, one each two minutes or more often; RFC 3339."""
    start = datetime.fromisoformat(f"{day}T00:00:00")
    return (start + timedelta(seconds=120 * number % 86_400)).isoformat() + "Z"


def _with_damage(example: Example, draw: random.Random, rows: Sequence[Row]) -> list[Row | str]:
    """`rows` and, at random places, bad ones: a str is a line of the file as it stands."""
    found: list[Row | str] = list(rows)
    times = max(1, round(len(rows) * _DAMAGED))
    for kind in _DAMAGE:
        for number, row in enumerate(draw.sample(list(rows), times)):
            new_key = f"{row[KEY]}-{kind[:2]}{number}"
            place = draw.randrange(len(found) + 1)
            found.insert(place, _damaged(example, kind, row, new_key))
    return found


def _damaged(example: Example, kind: str, row: Row, key: str) -> Row | str:
    text = str(row[example.text])
    if kind == "unknown answer":
        return {**row, KEY: key, example.answer: _WRONG[example.answered](text)}
    if kind == "no text":
        return {**row, KEY: key, example.text: ""}
    if kind == "again":
        return row
    if kind == "nearly again":
        return {**row, KEY: key, example.text: text.upper() if text.upper() != text else f"{text} !"}
    line = _line(example, {**row, KEY: key})
    return line[: len(line) // 2] if example.format == "jsonl" else line.rpartition(",")[0]


def _content(example: Example, rows: Iterable[Row | str]) -> bytes:
    return "".join(f"{line}\n" for line in _lines(example, list(rows))).encode()


def _lines(example: Example, rows: Sequence[Row | str]) -> Iterator[str]:
    if example.format == "csv":
        yield ",".join(next(row for row in rows if not isinstance(row, str)))
    for row in rows:
        yield row if isinstance(row, str) else _line(example, row)


def _line(example: Example, row: Row) -> str:
    if example.format == "jsonl":
        return json.dumps(row, ensure_ascii=False)
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(["" if value is None else value for value in row.values()])
    return line.getvalue()
