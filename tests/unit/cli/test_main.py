"""What every verb has in common: help, errors in plain words, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from lakeloop.cli.main import app
from tests.support.command import Run
from tests.unit.test_arrows import HEAVY

VERBS = (
    "check", "schema", "eject", "new", "examples", "ingest", "labels", "transform", "validate", "dataset",
    "train", "evaluate", "release", "trial", "rollout", "monitor", "maintain", "run", "start", "serve",
    "status", "plan", "why", "search", "quarantine", "readmit", "corrections", "doubts", "impact", "reset",
    "evolve", "mirror", "approve", "reject", "dossier", "models", "promote", "rollback", "compare", "lineage",
    "keep", "export", "score", "explain", "disk", "doctor", "up", "down", "demo",
)  # fmt: skip


def test_help_lists_every_verb_with_a_sentence(run: Run) -> None:
    ended = run("--help")
    assert ended.code == 0
    listed = [line.strip("│ ").split(maxsplit=1) for line in ended.out.splitlines() if line.startswith("│ ")]
    sentences = {parts[0]: parts[1] for parts in listed if len(parts) == 2}
    assert [verb for verb in sentences if verb in VERBS] == list(VERBS)
    assert all(sentences[verb].endswith(".") for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(run: Run, verb: str) -> None:
    ended = run(verb, "--help")
    assert ended.code == 0
    assert f"Usage: lakeloop {verb}" in ended.out


def test_no_verb_is_left_out_of_these_tests() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert set(commands) == set(VERBS)


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import json, sys\n"
        "from lakeloop.cli.main import main\n"
        "try:\n"
        "    main(['--help'])\n"
        "except SystemExit:\n"
        "    print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert "typer" in loaded
    assert loaded & (HEAVY | {"airflow", "httpx", "jinja2", "asyncio"}) == set()


def test_the_module_runs_as_a_program(project: Path) -> None:
    argv = [sys.executable, "-m", "lakeloop.cli.main", "check"]
    done = subprocess.run(argv, cwd=project, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("ok  tickets")


def test_an_unknown_loop_lists_the_known_ones_without_a_traceback(run: Run) -> None:
    ended = run("ingest", "ticket")
    assert ended.code == 64
    assert ended.out == ""
    assert ended.err == (
        'no such loop\n  expected: one of tickets\n  found: "ticket"\n  to do: did you mean tickets?\n'
    )


@pytest.mark.parametrize("day", ["2026-02-30", "today", "2026-11-20T00:00:00", ""])
def test_a_day_that_is_none_is_refused_before_any_work(run: Run, project: Path, day: str) -> None:
    ended = run("ingest", "tickets", "--partition", day)
    assert ended.code == 64
    assert ended.err.startswith(
        "--partition: not a day\n  expected: a real day written YYYY-MM-DD, such as 20"
    )
    assert not (project / ".lakeloop").exists()


def test_debug_shows_the_traceback_too(run: Run) -> None:
    ended = run("--debug", "ingest", "ticket")
    assert ended.code == 64
    assert "Traceback (most recent call last)" in ended.err
    assert ended.err.endswith("did you mean tickets?\n")


def test_outside_of_a_project_the_error_says_what_a_project_is(
    run: Run, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    ended = run("check")
    assert ended.code == 64
    assert "not inside a Lakeloop project\n  expected: a folder with loops/ and dbt/" in ended.err


def test_an_unknown_verb_is_a_usage_error(run: Run) -> None:
    ended = run("ingset", "tickets")
    assert ended.code == 2
    assert "No such command 'ingset'" in ended.err


def test_an_error_that_nobody_foresaw_keeps_its_traceback(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lakeloop.cli.main import main

    monkeypatch.setattr("lakeloop.spec.reading.load.load_loop", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["check"])


def test_the_version_is_told(run: Run) -> None:
    assert run("--version").out.startswith("lakeloop 0.")
