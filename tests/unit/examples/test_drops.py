"""The rows that examples make up, and the files that they are written into."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from pathlib import Path

import pytest

from lakeloop.examples.base import AT, KEY, Example
from lakeloop.examples.drops import generated, spread
from lakeloop.examples.registry import EXAMPLES, loop_text
from lakeloop.settings import Settings
from lakeloop.spec.reading.load import read_loop

every_example = pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)


def rows_in(example: Example, content: bytes) -> list[dict[str, str]]:
    """The rows that can be read, and nothing of the lines that cannot."""
    lines = content.decode().splitlines()
    if example.format == "csv":
        return [row for row in csv.DictReader(io.StringIO(content.decode())) if None not in row.values()]
    return [json.loads(line) for line in lines if line.endswith("}")]


@every_example
def test_the_same_seed_makes_the_same_bytes_and_another_one_others(example: Example) -> None:
    first = generated(example)
    assert first == generated(example)
    assert first.keys() == generated(example, seed=18).keys()
    assert all(first[day] != content for day, content in generated(example, seed=18).items())


@every_example
def test_each_day_has_good_rows_of_every_answer_and_some_of_each_kind_of_bad_ones(example: Example) -> None:
    drops = generated(example)
    assert len(drops) == example.days
    for content in drops.values():
        rows = rows_in(example, content)
        texts = Counter(row[example.text] for row in rows)
        keys = Counter(row[KEY] for row in rows)
        assert texts[""] >= 1, "a row without a text"
        assert any(times > 1 for times in keys.values()), "a row that is there twice"
        assert len(content.decode().splitlines()) - (example.format == "csv") > len(rows), "a broken line"
        nearly = [row[example.text] for row in rows if "-ne" in row[KEY]]
        assert nearly
        answers = Counter(row[example.answer] for row in rows)
        if example.answered == "class":
            assert set(answers) == {*example.answers, "not sure"}
            assert min(answers[name] for name in example.answers) > 10
        assert len(rows) > example.rows_a_day


@every_example
def test_hardly_a_text_is_there_twice_among_the_good_rows(example: Example) -> None:
    rows = [row for content in generated(example).values() for row in rows_in(example, content)]
    marks = Counter(
        tuple(row[name] for name in (example.text, *example.identity))
        for row in rows
        if "-" not in row[KEY][11:]
    )
    assert sum(times - 1 for times in marks.values()) < 0.03 * len(rows)


def test_tags_are_as_many_as_words() -> None:
    example = EXAMPLES["entities"]
    for content in generated(example).values():
        for row in rows_in(example, content):
            assert not row["text"] or len(row["tags"].split()) == len(row["text"].split())


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_loop_file_is_right_and_knows_the_columns_of_the_rows(name: str, tmp_path: Path) -> None:
    for folder in ("loops", "dbt"):
        (tmp_path / folder).mkdir()
    settings = Settings(root=tmp_path)
    loop = read_loop(loop_text(name, "mine"), settings.loop_file("mine"), settings)
    example = EXAMPLES[name]
    columns = set(rows_in(example, next(iter(generated(example).values())))[0])
    assert columns == set(loop.source.columns)
    assert loop.task.roles()[loop.task.target].column == example.answer
    assert set(getattr(loop.task, "labels", ())) == set(example.answers)
    assert len(loop.deploy.rows) == 2
    assert loop.train.min_rows < example.days * example.rows_a_day


def test_rows_of_a_data_set_without_times_are_dealt_to_the_days_and_none_is_lost() -> None:
    example = EXAMPLES["intent"]
    rows = [{"text": f"Text {n}", "intent": "pin"} for n in range(10)]
    drops = spread(example, rows)
    found = [row for content in drops.values() for row in rows_in(example, content)]
    assert sorted(row["text"] for row in found) == sorted(str(row["text"]) for row in rows)
    assert [len(rows_in(example, content)) for content in drops.values()] == [4, 4, 2]
    assert all(str(row[AT]).startswith(day) for day in drops for row in rows_in(example, drops[day]))


def test_rows_that_say_their_day_are_in_its_file_and_those_that_do_not_in_the_longest() -> None:
    example = EXAMPLES["spam"]
    times = ("2002-08-22T12:36:23Z", None, "2002-08-20T01:00:00Z", "2002-08-22T13:00:00Z")
    drops = spread(example, [{AT: at, "text": "A mail", "verdict": "ham"} for at in times])
    assert {day: [row[AT] for row in rows_in(example, drops[day])] for day in drops} == {
        "2002-08-20": ["2002-08-20T01:00:00Z"],
        "2002-08-22": ["2002-08-22T12:36:23Z", None, "2002-08-22T13:00:00Z"],
    }
