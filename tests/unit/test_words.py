"""Only a task knows its own words: no other module or page speaks of labels, classes or their scores."""

from __future__ import annotations

import re
from pathlib import Path

WORDS = re.compile(r"\blabels?\b|_labels?\b|\blabels?_|macro_?f1|classif", re.IGNORECASE)

SUFFIXES = {".py", ".j2", ".yaml", ".yml", ".sql"}
"""Of modules, pages and the files of a new loop."""

KNOWS = {
    "src/lakeloop/measures/classification.py",
    "src/lakeloop/measures/registry.py",  # the list
    "src/lakeloop/spec/tasks/__init__.py",  # the list
    "src/lakeloop/spec/tasks/base.py",
    "src/lakeloop/spec/tasks/classification.py",
    "src/lakeloop/spec/tasks/multi_label.py",
    "src/lakeloop/spec/tasks/token_classification.py",
    "src/lakeloop/measures/token_classification.py",
    "src/lakeloop/tasks/token_classification.py",
    "training/tasks/token_classification.py",
    "src/lakeloop/measures/multi_label.py",
    "src/lakeloop/tasks/labels.py",
    "src/lakeloop/tasks/multi_label.py",
    "training/tasks/multi_label.py",
    "src/lakeloop/spec/methods.py",  # says which kinds a method cannot learn
    "src/lakeloop/spec/yesterday.py",  # files and records of before, when there was one task
    "src/lakeloop/spec/demo.py",  # the corpus of the demonstration
    "src/lakeloop/sources/demo/dirt.py",
    "src/lakeloop/sources/demo/package.py",
    "src/lakeloop/tasks/classification.py",
    "src/lakeloop/tasks/registry.py",  # the list
    "training/tasks/classification.py",
    "training/tasks/registry.py",  # the list
}
"""Files of the task, the lists that name it, and what was written before there was another."""

OTHERWISE = {
    "src/lakeloop/evaluation/doubted.py": "cleanlab calls its function so; one task has such answers",
    "src/lakeloop/artifact.py": "hands a description of before to the task",
    "src/lakeloop/datasets/freeze.py": "hands a card of before to the task",
    "src/lakeloop/cli/begin.py": "an option has the name that it had when there was one task, too",
    "src/lakeloop/cli/templates/loop.classification.yaml": "the loop file of a new loop of this task",
    "src/lakeloop/cli/templates/loop.multi_label.yaml": "the loop file of a new loop of this task",
    "src/lakeloop/cli/templates/loop.token_classification.yaml": "the loop file of a new loop of this task",
    "src/lakeloop/examples/loops/intent.yaml": "a loop file that ships",
    "src/lakeloop/examples/loops/sentiment.yaml": "a loop file that ships",
    "src/lakeloop/examples/loops/sentiment_zh.yaml": "a loop file that ships",
    "src/lakeloop/examples/loops/spam.yaml": "a loop file that ships",
    "src/lakeloop/examples/loops/entities.yaml": "a loop file that ships",
    "src/lakeloop/examples/loops/recommendation.yaml": "a loop file that ships",
    "src/lakeloop/examples/loops/credit.yaml": "a loop file that ships",
    "src/lakeloop/examples/spam.py": "the public data set calls a column so",
    "src/lakeloop/evaluation/templates/beside.html.j2": "HTML calls the name of a picture so",
    "src/lakeloop/evaluation/templates/grids.html.j2": "HTML calls the name of a picture so",
    "src/lakeloop/evaluation/templates/report.html.j2": "HTML calls the name of a list of links so",
    "src/lakeloop/evaluation/templates/search.html.j2": "HTML calls the name of a picture so",
    "plugins/lakeloop_ui/templates/base.html.j2": "HTML calls the name of a field so",
    "plugins/lakeloop_ui/templates/_parts.html.j2": "HTML calls the name of a field so",
    "src/lakeloop/serving/templates/start.html.j2": "HTML calls the name of a field so",
    "src/lakeloop/lake/tables.py": "a column of answers has the name that people look for",
    "src/lakeloop/transform/described.py": "dbt calls the title of an exposure so",
    "src/lakeloop/serving/metrics.py": "Prometheus calls its dimensions so",
    "src/lakeloop/spec/methods.py": "names a key that only tasks with such answers may have",
    "src/lakeloop/spec/train.py": "the same key, by the name that the field knows it by",
    "training/extras/objective.py": "does what this key says",
    "src/lakeloop/spec/release.py": "names the default metrics of each task for the reader of the schema",
}
"""Files that need one of the words, and why."""

APART = {
    "dags/ingest.py",
    "dags/maintenance.py",
    "dags/transform.py",
    "plugins/lakeloop_airflow/connections.py",
    "plugins/lakeloop_ui/rendering.py",
    "plugins/lakeloop_ui/templates/_day.html.j2",
    "plugins/lakeloop_ui/templates/loop.html.j2",
    "src/lakeloop/cli/first_look.py",
    "src/lakeloop/cli/quarantine.py",
    "src/lakeloop/faults.py",
    "src/lakeloop/lake/store.py",
    "src/lakeloop/local/status_view.py",
    "src/lakeloop/plural.py",
    "src/lakeloop/quality/account.py",
    "src/lakeloop/quality/forecast.py",
    "src/lakeloop/quality/page.py",
    "src/lakeloop/quality/quarantine.py",
    "src/lakeloop/records.py",
    "src/lakeloop/sources/days.py",
    "src/lakeloop/spec/base.py",
    "src/lakeloop/spec/labels.py",
    "src/lakeloop/spec/loop.py",
    "src/lakeloop/spec/paths.py",
    "src/lakeloop/stages/catalogue.py",
    "src/lakeloop/stages/data/labels.py",
    "src/lakeloop/stages/data/transform.py",
    "src/lakeloop/stages/data/unlabelled.py",
    "src/lakeloop/stages/frame/doubted.py",
    "src/lakeloop/stages/frame/labelled.py",
    "src/lakeloop/stages/frame/pending.py",
    "src/lakeloop/stages/frame/run.py",
    "src/lakeloop/stages/frame/status.py",
    "src/lakeloop/transform/labels.py",
    "src/lakeloop/transform/source.py",
}
"""Files that name section `labels` of a loop file, whatever its task: its stage, table, rows that wait."""


def test_no_module_but_the_tasks_own_speaks_of_labels(root: Path) -> None:
    files = sorted(
        file
        for folder in ("src", "training", "dags", "plugins")
        for file in (root / folder).rglob("*")
        if file.suffix in SUFFIXES
    )
    assert len(files) > 150
    assert {file.suffix for file in files} == SUFFIXES
    wrong = [
        f"{file.relative_to(root)}:{number}: {line.strip()}"
        for file in files
        if str(file.relative_to(root)) not in KNOWS | APART | OTHERWISE.keys()
        for number, line in enumerate(file.read_text().splitlines(), start=1)
        if WORDS.search(line)
    ]
    assert wrong == [], (
        "say it through the task (lakeloop.tasks.base), or name the file above with the reason"
    )


def test_every_file_that_is_excused_is_there_and_needs_it(root: Path) -> None:
    idle = [name for name in KNOWS | APART | OTHERWISE.keys() if not WORDS.search((root / name).read_text())]
    assert idle == []
