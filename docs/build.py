"""Writes the generated pages of the guide; `--check` says which are out of step and exits with 1.

`loop-file.md` comes from the models that check a loop file, `dags.md` from the docstrings of the DAG files,
`base-models.md` from what a test found, the settings in `serving.md` from those that the server reads, the
loop file in each page of `examples/` from the one that ships, so none can tell another story than the code.
Pictures are made by `pictures.py`.
"""

from __future__ import annotations

import argparse
import ast
import json
import logging
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from lakeloop.disk.limits import DiskLimits
from lakeloop.disk.registry import KINDS
from lakeloop.examples.registry import EXAMPLES, loop_text
from lakeloop.measures.base import MetricSpec
from lakeloop.measures.registry import METRICS, learning_metrics_of
from lakeloop.serving.guard.limits import Limits
from lakeloop.spec.base import Mark, mark_of
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.methods import METHODS, kind_of
from lakeloop.spec.shape import sections_in
from lakeloop.tasks.base import Answer
from lakeloop.tasks.registry import TASKS, answer_type

log = logging.getLogger("docs")
DOCS = Path(__file__).resolve().parent
DAGS = DOCS.parent / "dags"


def loop_file_page() -> str:
    """One table a section: key, type, default, meaning."""
    schema = LoopSpec.model_json_schema()
    lines = [
        "# The loop file",
        "",
        "Generated from `src/lakeloop/spec/` by `make docs`. A loop is `loops/<name>/loop.yaml`; check it",
        "with `lakeloop check`. Unknown keys are refused. *Decides* says which outputs are made anew when a",
        "key changes; keys with a ● can be set for one run, in the trigger form or with `--set`.",
        "",
        *_section("Top level", schema),
    ]
    for name, definition in schema["$defs"].items():
        if "properties" in definition:
            lines += _section(name, definition)
    return "\n".join(lines).rstrip() + "\n"


def _section(title: str, definition: dict[str, Any]) -> list[str]:
    required = set(definition.get("required", ()))
    marks = _MARKS.get(title, _MARKS["LoopSpec"])
    summary = definition.get("description", "").split("\n\n")[0].replace("\n", " ")
    rows = [
        f"| `{key}` | {_type(field)} | {_default(key, field, required)} | {_decides(marks[key])} |"
        f" {_meaning(field)} |"
        for key, field in definition["properties"].items()
    ]
    head = [f"## {title}", "", *([summary, ""] if summary else [])]
    return [*head, "| key | type | default | decides | meaning |", "|---|---|---|---|---|", *rows, ""]


_MARKS = {
    section.__name__: {info.alias or name: mark_of(info) for name, info in section.model_fields.items()}
    for section in sections_in(LoopSpec)
}


def _decides(mark: Mark | None) -> str:
    """What a key decides, and a dot when one run may set it; empty for a key that holds a section."""
    return " ".join([*(mark.decides if mark else ()), *(["●"] if mark and mark.per_run else [])])


def _default(key: str, field: dict[str, Any], required: set[str]) -> str:
    if key in required:
        return "required"
    value = field.get("default")
    return "" if value is None or isinstance(value, dict) else f"`{value}`"


def _type(field: dict[str, Any]) -> str:
    if "$ref" in field:
        return _link(field["$ref"])
    if choices := field.get("oneOf") or field.get("anyOf"):
        return " or ".join(dict.fromkeys(_type(choice) for choice in choices if choice.get("type") != "null"))
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if field.get("type") == "array":
        return f"list of {_type(field.get('items', {}))}"
    limits = [
        f"{sign} {field[name]}"
        for name, sign in (
            ("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"),
        )
        if name in field
    ]  # fmt: skip
    return " ".join([field.get("format") or field.get("type", "any"), *limits])


def _link(reference: str) -> str:
    name = reference.rsplit("/", 1)[1]
    return f"[{name}](#{name.lower()})"


def _meaning(field: dict[str, Any]) -> str:
    text: str = field.get("description", "")
    return text.replace("\n", " ").replace("|", "\\|")


def dags_page() -> str:
    """The docstring of each DAG file: what the web UI shows as the DAG's documentation."""
    parts = ["# The DAGs", "", "Generated from the docstrings in `dags/` by `make docs`.", ""]
    for path in sorted(DAGS.glob("*.py")):
        text = ast.get_docstring(ast.parse(path.read_text())) or ""
        if "DAG(" in path.read_text() or "@dag" in path.read_text():
            parts += [f"## `<loop>.{path.stem}`", "", text, ""]
    return "\n".join(parts).rstrip() + "\n"


def base_models_page() -> str:
    """One table: architectures down, methods across, as a test found them."""
    found: dict[str, dict[str, str]] = json.loads((DOCS / "base-models.json").read_text())
    methods = list(next(iter(found.values())))
    reasons = list(dict.fromkeys(said for row in found.values() for said in row.values() if said != "trains"))
    lines = [
        "# Base models",
        "",
        "Generated from `base-models.json` by `make docs`; `python -m tests.support.base_table` trains each",
        "pair for real and writes that file: a random model of two layers learns 96 texts, its loss falls,",
        "the saved weights give the same outputs when they are loaded again, ONNX Runtime gives them too,",
        "and the model answers as the server would ask it. Tests do the same and compare: four methods on",
        "all architectures (`tests/unit/training/test_base_table.py`), the others on two each of six that",
        "differ, without ONNX Runtime (`test_method_pairs.py`). A pair that is refused is refused by",
        "`lakeloop check` and by the job, before any work, with the reason. What the methods do is in",
        "[methods.md](methods.md).",
        "",
        "The architecture is `model_type` in the config.json of a model. `bert` is that of MiniLM, BGE, E5",
        "and GTE, too; `mpnet` that of all-mpnet-base-v2, `deberta-v2` that of DeBERTa v2 and v3,",
        "`xlm-roberta` that of multilingual-e5 and BGE-M3. Of one with a decoder (`bart`, `t5`) the encoder",
        "is taken; one that reads from left to right (`gpt2`, `llama`) gives the mean over its",
        "tokens. An architecture that is not here is tried on a few tokens when the job begins, and refused",
        "there when it does not work.",
        "",
        f"| architecture | {' | '.join(methods)} |",
        f"|---|{'---|' * len(methods)}",
        *(
            f"| `{name}` | {' | '.join(_cell(row[method], reasons) for method in methods)} |"
            for name, row in found.items()
        ),
        "",
        *(f"{number}. {said.removeprefix('refused: ')}" for number, said in enumerate(reasons, start=1)),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _cell(said: str, reasons: list[str]) -> str:
    return "yes" if said == "trains" else f"no ({reasons.index(said) + 1})"


_TASKS = {
    "classification": ("classification", (), "one of n answers"),
    "classification, a pair": ("classification", ("text_pair",), "the same, of two texts"),
    "classification, columns beside": (
        "classification", ("numeric", "categorical"), "the same, of a text, numbers and few-valued columns"
    ),
    "multi_label": ("multi_label", (), "any number of n answers"),
    "regression": ("regression", (), "a number"),
    "token_classification": ("token_classification", (), "stretches of the text, each of one of n kinds"),
    "causal_lm": ("causal_lm", (), "a text that goes on behind a prompt"),
    "seq2seq": ("seq2seq", (), "a text of another one: a summary, a translation"),
}  # fmt: skip
"""Row of the table -> kind of task, keys of its section that count, what is answered."""


def tasks_page() -> str:
    """One table: tasks down, methods across, as `lakeloop check` has it."""
    methods = {kind_of(method): method.model_validate({"kind": kind_of(method)}) for method in METHODS}
    table = {
        name: {kind: method.unfit_for(task, keys) for kind, method in methods.items()}
        for name, (task, keys, _) in _TASKS.items()
    }
    reasons = list(dict.fromkeys(why for row in table.values() for why in row.values() if why))
    lines = [
        "# Tasks",
        "",
        "Generated from `src/lakeloop/spec/` by `make docs`. `tests/unit/training/test_task_table.py` trains",
        "each pair for real on a tiny base model: the loss falls, the artifact answers, and answers the same",
        "of a row alone as of rows together; where the method moves enough of a random network, the score",
        "has to pass a bar. A pair that is refused is refused by `lakeloop check`, with the reason. What the",
        "methods do is in [methods.md](methods.md), the keys of each task in [loop-file.md](loop-file.md),",
        "what else a model can read in [guide.md](guide.md#what-a-model-reads). Pairs and columns beside the",
        "text can be had with `multi_label` and `regression`, too.",
        "",
        "| task | answers | `evaluate.metric` is one of, by default the first |",
        "|---|---|---|",
        *(
            f"| {name} | {answers} | {', '.join(f'`{each.name}`' for each in learning_metrics_of(task))} |"
            for name, (task, _, answers) in _TASKS.items()
        ),
        "",
        f"| task | {' | '.join(f'`{kind}`' for kind in methods)} |",
        f"|---|{'---|' * len(methods)}",
        *(
            f"| {name} | {' | '.join(f'no ({reasons.index(w) + 1})' if w else 'yes' for w in row.values())} |"
            for name, row in table.items()
        ),
        "",
        *(f"{number}. {why}" for number, why in enumerate(reasons, start=1)),
        "",
        *_answers(),
        "",
        *_metrics(),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _answers() -> list[str]:
    """One table of what answers are made of, those of equal lists of tasks together, with an example each."""
    tasks: dict[type[Answer], list[str]] = {}
    for kind in TASKS:
        tasks.setdefault(answer_type(kind), []).append(kind)
    rows, examples = [], []
    for answer, names in tasks.items():
        schema = answer.model_json_schema()
        example = answer.model_validate(schema["examples"][0])
        plain = ", ".join(f"`{name}`" for name in example.plain)
        examples.append(f"| {', '.join(names)} | `{example.model_dump_json()}` | {plain} |")
        for section in (schema, *schema.get("$defs", {}).values()):
            within = "" if section is schema else f"{section['title']}: "
            rows += [
                f"| {', '.join(names)} | {within}`{key}` | {_meaning(field)} |"
                for key, field in section["properties"].items()
            ]
    return [
        "## Answers",
        "",
        "What the model server answers to a text, and column `answer` of the tables `predictions`,",
        "`observations`, `evaluations` and `scores`, as JSON. In `scores`, and in the files that",
        "`lakeloop score` writes, the main part of it has a column of its own besides.",
        "",
        "| task | such as | columns of `scores` |",
        "|---|---|---|",
        *examples,
        "",
        "| task | key | meaning |",
        "|---|---|---|",
        *rows,
        "",
        "`label` has all labels of a row of `multi_label`, with a comma and a blank between; it is null",
        "where the label is held back (`deploy.abstain`). `score` is how sure the model is of the whole",
        "answer, from 0 to 1: the probability of the label; of `multi_label` that of the label it is",
        "least sure about, whether it fits or not; of `token_classification` that of its least sure",
        "stretch. Columns that a task does not fill are null, and so are all of them in rows of before",
        "they were there and where `fault` says why there is no answer. In SQL: `answer ->>",
        "'$.scores.sports'` (DuckDB), `answer:scores.sports` (Databricks).",
    ]


def _metrics() -> list[str]:
    """One table of all metrics, those of equal lists of tasks together."""
    tasks: dict[tuple[MetricSpec, ...], list[str]] = {}
    for task, metrics in METRICS.items():
        tasks.setdefault(metrics, []).append(task)
    return [
        "## Metrics",
        "",
        "An evaluation has all of them, each with its interval of 95 %: where it would lie with other rows",
        "of the same kind (`src/lakeloop/measures/intervals.py` says how). A score that the test rows cannot",
        "give, such as ROC AUC where all have one right answer, is left out with the reason. Those marked",
        "*report* are for evaluations alone: `lakeloop check` refuses them as `evaluate.metric`.",
        "",
        "| task | metric | better | range | unit | meaning |",
        "|---|---|---|---|---|---|",
        *(
            f"| {', '.join(names)} | `{each.name}`{' *report*' if each.evaluation_only else ''} |"
            f" {each.better} | {each.range} | {each.unit} | {each.meaning} |"
            for metrics, names in tasks.items()
            for each in metrics
        ),
    ]


def example_page(name: str) -> str:
    """The page of an example as it stands, with the loop file that ships as its first block of YAML."""
    page = (DOCS / f"examples/{name}.md").read_text()
    before, begin, rest = page.partition("```yaml\n")
    return before + begin + loop_text(name, name) + "```\n" + rest.partition("```\n")[2]


def serving_page() -> str:
    """The page of the model server as it stands, with its settings as the code has them at the end."""
    before, heading, _ = (DOCS / "serving.md").read_text().partition("## Settings\n")
    rows = [
        f"| `LAKELOOP_SERVE_{name.upper()}` | {field['default']} | {_meaning(field)} |"
        for name, field in Limits.model_json_schema()["properties"].items()
    ]
    lines = ["", "Of one process, for all its loops together.", "", "| variable | default | meaning |"]
    return before + heading + "\n".join([*lines, "|---|---|---|", *rows]) + "\n"


def disk_page() -> str:
    """The page of the disk as it stands, with the kinds and the settings as the code has them at the end."""
    before, heading, _ = (DOCS / "disk.md").read_text().partition("## Kinds\n")
    limits = DiskLimits.model_construct()
    kinds = [f"| `{kind.name}` | {kind.owner} | {kind.what} | {kind.limit(limits)} |" for kind in KINDS]
    settings = [
        f"| `LAKELOOP_DISK_{name.upper()}` | {field['default']} | {_meaning(field)} |"
        for name, field in DiskLimits.model_json_schema()["properties"].items()
    ]
    lines = [
        "",
        "| kind | made by | what it is | what stays |",
        "|---|---|---|---|",
        *kinds,
        "",
        "## Settings",
    ]
    lines += ["", "| variable | default | meaning |", "|---|---|---|", *settings]
    return before + heading + "\n".join(lines) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "loop-file.md": loop_file_page,
    "dags.md": dags_page,
    "disk.md": disk_page,
    "base-models.md": base_models_page,
    "tasks.md": tasks_page,
    "serving.md": serving_page,
    **{f"examples/{name}.md": partial(example_page, name) for name in EXAMPLES},
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = []
    for name, page in PAGES.items():
        path, text = DOCS / name, page()
        if not path.exists() or path.read_text() != text:
            stale.append(name)
            if not check:
                path.write_text(text)
                log.info("wrote %s", path.relative_to(DOCS.parent))
    if check and stale:
        log.error("out of step with the code: %s; run: make docs", ", ".join(stale))
    return int(check and bool(stale))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sys.exit(main())
