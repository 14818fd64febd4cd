"""The verb `impact`: what a person and a program read of it."""

from __future__ import annotations

import json

import pytest
from rich.console import Console

from lakeloop.cli.impact import _made_of, _sum, _title
from lakeloop.stages.frame.session import StageContext
from tests.support.command import DAY, Run
from tests.support.small_loop import DAYS
from tests.unit.registry.test_impact import context, impact  # noqa: F401  (a fixture)


def test_a_day_that_was_never_published_is_said_to_be_so(run: Run) -> None:
    ended = run("impact", "tickets", "--partition", DAY)
    assert ended.code == 0
    assert f"{DAY} was never published: lakeloop run tickets --partition {DAY}" in " ".join(ended.out.split())
    assert json.loads(run("impact", "tickets", "-p", DAY, "--json").out)["editions"] == []


def test_what_is_no_day_is_refused(run: Run) -> None:
    ended = run("impact", "tickets", "-p", "yesterday")
    assert (ended.code, "--partition" in ended.err) == (64, True)


def test_each_state_is_shown_with_its_models_and_what_is_outdated_is_said(
    context: StageContext,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = impact(context, DAYS[0])
    console = Console(width=160)
    for number, edition in enumerate(found.editions, start=1):
        console.print(_title(edition, number, 2), _made_of(edition))
    console.print(_sum(found))
    said = " ".join(capsys.readouterr().out.split())
    assert "1 of 2" in said
    assert "v1 (previous)" in said
    assert "v2 (champion)" in said
    assert "published no more: v1 (7 answers)" in said
