"""`lakeloop check` beyond the text of a loop file: what does nothing, and what is named and not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command import Run


@pytest.mark.parametrize(
    ("said", "lacks"),
    [
        ("deploy: {abstain: {}}", "deploy.abstain holds nothing back without one of precision, below"),
        ("train: {budget: {per: week}}", "train.budget ends no training without one of cpu_hours, gpu_hours"),
        ("score: {top: 2}", "score answers nothing by itself without source"),
        ("approval: {users: [ada]}", "approval asks nobody without kind: human"),
    ],
)
def test_check_names_a_section_that_does_nothing(run: Run, project: Path, said: str, lacks: str) -> None:
    file = project / "loops/tickets/loop.yaml"
    file.write_text(f"{file.read_text()}\n{said}\n")
    assert f"    warning: {lacks}\n" in run("check", "tickets", "--no-data").out


@pytest.mark.parametrize(
    ("said", "key", "found"),
    [
        ("score: {source: martt}", "score.source: neither a table nor a file", '"martt"'),
        ("evaluate: {out_of_scope: x.txt}", "evaluate.out_of_scope: cannot read it", "No such file"),
        ("train: {distil: {kind: folder, folder: x}}", "train.distil.folder: no such folder", "/x"),
    ],
)
def test_check_refuses_what_is_named_and_not_there(
    run: Run, project: Path, said: str, key: str, found: str
) -> None:
    file = project / "loops/tickets/loop.yaml"
    file.write_text(f"{file.read_text()}\n{said}\n")
    ended = run("check", "tickets", "--no-data")
    assert ended.code == 64
    assert f"{key}\n" in ended.err
    assert found in ended.err


def test_check_takes_a_folder_of_rows_that_comes_later_but_asks_whether_a_table_is_meant(
    run: Run, project: Path
) -> None:
    file = project / "loops/tickets/loop.yaml"
    text = file.read_text()
    for folder, code in (("inbox", 0), ("march", 64), ("march/", 0)):
        file.write_text(f"{text}\nscore: {{source: {folder}}}\n")
        assert run("check", "tickets", "--no-data").code == code
    file.write_text(f"{text}\nscore: {{source: march}}\n")
    assert "did you mean mart?" in run("check", "tickets", "--no-data").err
    (project / "march").mkdir()
    assert run("check", "tickets", "--no-data").code == 0
