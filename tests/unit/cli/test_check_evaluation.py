"""check: what an evaluation would find missing when the training is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakeloop.inference import explaining
from tests.support.command import Run


def test_the_synonyms_are_read(run: Run, project: Path) -> None:
    loop = project / "loops/tickets/loop.yaml"
    loop.write_text(f"{loop.read_text()}evaluate: {{synonyms: words.csv}}\n")
    ended = run("check", "tickets")
    assert (ended.code, "evaluate.synonyms: cannot read it" in ended.err) == (64, True)
    (project / "words.csv").write_text("car, auto\nalone\n")
    ended = run("check", "tickets")
    assert (ended.code, "words.csv, line 2" in ended.err) == (64, True)
    (project / "words.csv").write_text("car, auto\n")
    assert run("check", "tickets").code == 0


def test_the_packages_that_explain_are_looked_for(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = project / "loops/tickets/loop.yaml"
    loop.write_text(f"{loop.read_text()}evaluate: {{explain: integrated_gradients}}\n")
    assert run("check", "tickets").code == 0
    monkeypatch.setattr(explaining, "find_spec", lambda name: None if name == "captum" else object())
    ended = run("check", "tickets")
    assert (ended.code, "evaluate.explain: what explains by gradients is not installed" in ended.err) == (
        64,
        True,
    )
    assert 'pip install "lakeloop[explain]"' in ended.err
