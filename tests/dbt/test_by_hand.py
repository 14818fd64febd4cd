"""dbt as a person runs it: plain commands in the project's folder, on a day of the lake, with nothing set."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from lakeloop.settings import Settings
from lakeloop.spec.loop import LoopSpec
from lakeloop.stages.data.ingest import ingest
from lakeloop.stages.frame.session import StageContext
from lakeloop.transform.by_hand import put_generated
from tests.support.beside import beside_loop
from tests.support.dbt_project import write_dbt_project
from tests.support.number_loop import number_loop
from tests.support.small_loop import small_loop

pytestmark = pytest.mark.timeout(900)  # each dbt is a process of seconds, of minutes where others are at work

DAYS = ("2026-11-16", "2026-11-17")


class Person:
    """A project on disk, and who types dbt in its folder dbt/."""

    def __init__(self, root: Path, *loops: LoopSpec) -> None:
        self.root = root
        ignored = shutil.ignore_patterns("models", "generated", "target", "logs")
        shutil.copytree(Path(__file__).resolve().parents[2] / "dbt", root / "dbt", ignore=ignored)
        for loop in loops:
            file = root / f"loops/{loop.name}/loop.yaml"
            file.parent.mkdir(parents=True)
            content = loop.model_dump(mode="json", by_alias=True, exclude_unset=True)
            file.write_text(yaml.safe_dump(content))
        self.settings = Settings(root=root)

    def ingest(self, loop: str, day: str, *rows: dict[str, object]) -> None:
        drop = self.root / f"drops/{day}.jsonl"
        drop.parent.mkdir(exist_ok=True)
        drop.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        ingest(StageContext.open(loop, self.settings), day)

    def dbt(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LAKELOOP_")}
        return subprocess.run(
            [sys.executable, "-m", "dbt.cli.main", *arguments],
            cwd=self.root / "dbt",
            env={**kept, **environment},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.mark.slow
def test_commands_work_at_once_on_the_newest_day_or_a_named_one_and_no_loop_notices(tmp_path: Path) -> None:
    person = Person(tmp_path, small_loop())
    for number, day in enumerate(DAYS, start=1):
        rows = [{"id": f"{day}-{n}", "text": f"story {n}", "label": "tech"} for n in range(number)]
        person.ingest("small", day, *rows)
    context = StageContext.open("small", person.settings)
    tables = ("raw", "staging", "mart", "quarantine", "ledger")
    before = [context.lake.version(table) for table in tables]

    shown = person.dbt("show", "--select", "mart_small", "--output", "json", "--quiet")
    assert shown.returncode == 0, shown.stdout
    assert [f"{DAYS[1]}-{n}" in shown.stdout for n in range(3)] == [True, True, False]
    assert f"small: 2 raw rows of {DAYS[1]}" in shown.stderr

    tested = person.dbt("test", LAKELOOP_DAY=DAYS[0])
    assert tested.returncode == 0, tested.stdout
    assert "PASS=10" in tested.stdout, "data tests of both models, and their unit tests"
    assert f"small: 1 raw rows of {DAYS[0]}" in tested.stderr

    absent = person.dbt("build", "--vars", "{day: 2026-11-30}")
    assert absent.returncode != 0
    assert "no loop has the day 2026-11-30 in the lake" in absent.stdout
    assert f"found: small up to {DAYS[1]}" in absent.stdout
    assert [context.lake.version(table) for table in tables] == before
    assert not person.settings.work("small", "transform", DAYS[1]).exists()


@pytest.mark.slow
def test_a_lake_without_any_day_is_said_and_the_models_are_listed(tmp_path: Path) -> None:
    person = Person(tmp_path, small_loop())
    listed = person.dbt("ls", "--quiet", "--resource-type", "model")
    assert listed.stdout.split() == ["lakeloop.small.marts.mart_small", "lakeloop.small.staging.stg_small"]
    built = person.dbt("build")
    assert built.returncode != 0
    assert "no loop has a day in the lake yet" in built.stdout
    assert "lakeloop ingest LOOP, or make demo" in built.stdout


@pytest.mark.slow
def test_the_unit_tests_of_generated_models_pass_for_all_that_a_model_can_read(tmp_path: Path) -> None:
    person = Person(tmp_path, small_loop(), number_loop(), beside_loop())
    person.ingest("small", DAYS[0], {"id": "a", "text": "one", "label": "tech"})
    built = person.dbt("build")
    assert built.returncode == 0, built.stdout
    assert "6 unit tests" in built.stdout
    assert "numbers has no day yet in the lake: its models are built of no rows" in built.stderr


def test_generated_models_are_put_into_the_project_and_away_again(tmp_path: Path) -> None:
    person = Person(tmp_path, small_loop(), number_loop())
    project = person.settings.dbt
    put_generated(project)
    assert {path.name for path in (project / "generated").iterdir()} == {"small", "numbers"}
    write_dbt_project(project, "small")
    shutil.rmtree(tmp_path / "loops/numbers")
    mine = project / "generated/mine.sql"
    mine.write_text("select 1")
    put_generated(project)
    assert list((project / "generated").iterdir()) == [mine], "of the loop with models of its own too"


def test_in_any_other_dbt_project_nothing_is_done(tmp_path: Path) -> None:
    Person(tmp_path, small_loop())
    other = tmp_path / "elsewhere"
    other.mkdir()
    put_generated(other)
    assert list(other.iterdir()) == []
