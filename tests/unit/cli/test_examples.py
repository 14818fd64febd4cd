"""Loops that ship are listed, begun, checked, and refused with a word on what there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakeloop.examples.registry import EXAMPLES
from tests.support.command import Run


def test_all_are_listed_with_what_they_are(run: Run) -> None:
    ended = run("examples")
    assert ended.code == 0
    for name, example in EXAMPLES.items():
        assert any(line.startswith(name) and example.title in line for line in ended.out.splitlines())


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_loop_is_begun_with_its_data_and_is_right(run: Run, project: Path, name: str) -> None:
    began = run("new", "mine", "--example", name)
    assert began.code == 0, began.err
    assert "lakeloop check mine" in began.out
    assert "lakeloop run mine" in began.out
    assert "lakeloop start mine" in began.out
    assert len(list((project / "data/mine").iterdir())) == EXAMPLES[name].days
    checked = run("check", "mine")
    if EXAMPLES[name].answered == "text":  # its base model comes from the hub, and there is none here
        assert "mine/loop.yaml: 1 problem\n" in checked.err
        assert "the base model is not here" in checked.err
        return
    assert checked.code == 0, checked.err
    assert "3 day(s) there, 2026-11-16 to 2026-11-18" in checked.out


def test_an_unknown_example_is_refused_with_those_that_there_are(run: Run, project: Path) -> None:
    ended = run("new", "mine", "--example", "intents")
    assert ended.code == 64
    assert "no such example" in ended.err
    assert "intent, sentiment" in ended.err
    assert not (project / "loops/mine").exists()


@pytest.mark.parametrize(
    "argv",
    [
        ("--from-dataset", "somewhere"),
        ("--example", "spam", "--from", "data"),
        ("--example", "spam", "--task", "regression"),
    ],
)
def test_an_example_goes_with_nothing_that_says_another_source(run: Run, argv: tuple[str, ...]) -> None:
    ended = run("new", "mine", *argv)
    assert ended.code == 64
    assert "an example brings its own source and task" in ended.err


def test_no_data_and_no_loop_of_the_same_name_are_written_over(run: Run, project: Path) -> None:
    assert run("new", "tickets", "--example", "spam").code == 64
    kept = project / "data/mine/2026-11-16.jsonl"
    kept.parent.mkdir()
    kept.write_text("mine\n")
    ended = run("new", "mine", "--example", "spam")
    assert ended.code == 65
    assert "there are data of that name already" in ended.err
    assert kept.read_text() == "mine\n"
    assert not (project / "loops/mine").exists()


def test_answers_of_a_public_data_set_are_those_of_the_loop_file(
    run: Run, project: Path, tmp_path: Path
) -> None:
    public = tmp_path / "public"
    public.mkdir()
    for name in ("train.csv", "test.csv"):
        (public / name).write_text("text,category\nWhere is it?,card_arrival\nHow old must I be?,age_limit\n")
    began = run("new", "mine", "--example", "intent", "--from-dataset", str(public))
    assert began.code == 0, began.err
    assert "labels: [age_limit, card_arrival]" in (project / "loops/mine/loop.yaml").read_text()
    lost = run("new", "other", "--example", "intent", "--from-dataset", str(tmp_path / "nowhere"))
    assert lost.code == 65
    assert "expected: the file train.csv" in lost.err
