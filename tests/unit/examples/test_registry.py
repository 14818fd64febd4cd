"""The list of examples, their loop files and their pages are the same list."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lakeloop.errors import ConfigurationError
from lakeloop.examples.registry import EXAMPLES, LOOPS, example_named, loop_text


def test_each_example_has_a_loop_file_and_there_are_no_others() -> None:
    assert sorted(file.name for file in LOOPS.iterdir()) == sorted(f"{name}.yaml" for name in EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_example_has_a_page_with_its_loop_file_and_a_line_in_the_table(name: str, root: Path) -> None:
    page = (root / f"docs/examples/{name}.md").read_text()
    assert f"```yaml\n{loop_text(name, name)}```\n" in page, "run: make docs"
    assert f"[`{name}`](examples/{name}.md)" in (root / "docs/examples.md").read_text()
    assert ("--from-dataset" in page) == (EXAMPLES[name].read is not None)


def test_answers_are_words_whatever_yaml_would_make_of_them() -> None:
    answers = ("pin", "yes", "no: never", "1", "a, b", 'so "it" is', "退款")
    assert yaml.safe_load(loop_text("intent", "mine", answers))["task"]["labels"] == list(answers)


def test_an_unknown_example_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ConfigurationError, match="no such example") as refused:
        example_named("intents")
    assert str(refused.value.expected) == ", ".join(EXAMPLES)
