"""Each loop that ships, from `lakeloop new` to a champion that answers: real stages, real training.

Of its days two are run and of its candidates the first, the cheapest, is trained: what the others do is
tested where their methods are.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from lakeloop.attempt import Attempt
from lakeloop.examples.registry import EXAMPLES
from lakeloop.inference.predictor import Predictor
from lakeloop.registry.registry import Registry
from lakeloop.settings import Settings
from lakeloop.stages.frame.session import StageContext
from lakeloop.tasks.reading import Instance
from tests.support.command import run_lakeloop
from tests.support.tiny_writers import WORDS, make_writer

pytestmark = pytest.mark.slow
DAYS = ("2026-11-16", "2026-11-17")
STAGES = ("ingest", "transform", "validate")


@pytest.fixture(scope="module")
def project(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project without loops, with the code of the training and the macros of the real dbt project."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "loops").mkdir()
    ignored = shutil.ignore_patterns("target", "logs", "models", "__pycache__")
    for name in ("dbt", "training"):
        shutil.copytree(root / name, folder / name, ignore=ignored)
    return folder


def cut(name: str, project: Path) -> None:
    """Make a loop one of two days, whose only candidate is the first; its gate asks for less.

    One that answers with texts gets a small random model, which it trains whole.
    """
    file = project / f"loops/{name}/loop.yaml"
    loop = yaml.safe_load(file.read_text())
    loop["train"]["candidates"] = loop["train"]["candidates"][:1]
    loop["train"]["min_rows"] = 300
    loop["gate"]["min_score"] = 0.4
    if EXAMPLES[name].answered == "text":
        loop["train"] |= {"base_model": write_base(name, project), "learning_rate": 3e-3, "epochs": 3}
        loop["train"]["candidates"] = [{"name": "tuned", "method": "full"}]
        loop["task"]["max_new_tokens"] = 16
        loop["gate"]["min_score"] = 0.0
    file.write_text(yaml.safe_dump(loop, allow_unicode=True))


def write_base(name: str, project: Path) -> str:
    """A random model that knows the words of the example's drops; returns its folder in the project."""
    example = EXAMPLES[name]
    kind, more = ("t5", {}) if name == "summarise" else ("gpt2", {"n_positions": 256})
    words = {
        word
        for file in (project / f"data/{name}").iterdir()
        for line in file.read_text().splitlines()
        if line.endswith("}")
        for column in (example.text, example.answer)
        for word in json.loads(line)[column].split()
    }
    make_writer(project / "models" / name, kind, words=sorted(words - {*WORDS}), **more)
    return f"models/{name}"


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs_from_its_drops_to_a_champion_that_answers(name: str, project: Path) -> None:
    env = {"LAKELOOP_ROOT": str(project), "LAKELOOP_TRAINING_THREADS": "1"}
    began = run_lakeloop(("new", name, "--example", name), env)
    assert began.code == 0, began.err
    cut(name, project)
    ran = run_lakeloop(("run", name, "--to", DAYS[-1], "--json"), env)
    assert ran.code == 0, ran.err
    records = json.loads(ran.out)
    assert [r["stage"] for r in records[:6]] == [*STAGES, *STAGES]
    assert [(r["stage"], r["status"]) for r in records[-2:]] == [("evaluate", "done"), ("release", "done")]

    context = StageContext.open(name, Settings(root=project), Attempt.local())
    for day in DAYS:
        of_day = [r["counts"] for r in records if r["partition"] == day and r["stage"] in STAGES]
        for counts in of_day:
            assert counts["read"] == counts["accepted"] + counts["quarantined"] + counts["duplicates"]
        published = context.lake.read("mart", partition=day).num_rows
        lost = sum(counts["quarantined"] + counts["duplicates"] for counts in of_day)
        assert of_day[0]["read"] == published + lost
        assert of_day[0]["quarantined"] >= 1, "broken lines"
        assert of_day[0]["duplicates"] >= 1, "lines that are there twice"
        assert of_day[2]["quarantined"] >= 2, "no text, unknown answers"
        assert of_day[2]["duplicates"] >= 1, "nearly the same text"

    champion = Registry(context.lake).champion()
    assert champion is not None
    folder = context.lake.files.fetch(champion.folder_name, context.settings.home / "fetched" / name)
    asked = [Instance(row.text, row.text_pair, row.features) for row in context.loop.deploy.rows]
    answers = Predictor(folder).predict(asked)
    assert len(answers) == len(asked) == 2
    assert answers[0] != answers[1] or EXAMPLES[name].answered == "text", "a random model after some steps"
