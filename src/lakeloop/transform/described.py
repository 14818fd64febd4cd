"""What generated models have beside them that builds nothing: exposures, and unit tests of their code.

The exposures say in dbt's page and lineage what a loop makes of its mart. Unit tests run where a person runs
`dbt test` or `dbt build`; a stage leaves them out.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.tasks import Task
from lakeloop.spec.tasks.base import TEXT

_BUILDS_NOTHING = frozenset({"version", "exposures", "unit_tests"})
_TEXTS = ("  Caf\u00e9\u00a0\n opens ", "CAFE\u0301 -- opens!")
_NORMALISED = ("Caf\u00e9 opens", "CAF\u00c9 -- opens!")
_NUMBER = 1.5
_MOST_ANSWERS = 200
"""That are named."""


def described(loop: LoopSpec) -> dict[str, bytes]:
    """File below the folder of the loop's models -> its content."""
    contents = {
        "exposures.yml": {"exposures": _exposures(loop)},
        "unit_tests.yml": {"unit_tests": _unit_tests(loop)},
    }
    return {name: _yaml(content) for name, content in contents.items()}


def builds_nothing(content: bytes) -> bool:
    """Whether a yml of dbt says nothing that decides what a model builds."""
    if not any(f"{name}:".encode() in content for name in ("exposures", "unit_tests")):
        return False
    try:
        found = yaml.safe_load(content)
    except (ValueError, yaml.YAMLError):  # dbt says what is wrong with it
        return False
    return isinstance(found, dict) and found.keys() <= _BUILDS_NOTHING


def _exposures(loop: LoopSpec) -> list[dict[str, Any]]:
    task, name = loop.task, loop.name
    answers = f", {len(task.answers)} answers: {_named(task.answers)}" if task.answers else ""
    common = {"depends_on": [f"ref('mart_{name}')"], "owner": {"name": _plain(loop.owner)}}
    return [
        {
            "name": f"{name}_training_rows",
            "label": f"Training rows of {name}",
            "type": "analysis",
            "description": (
                "What stage `dataset` freezes of the published days, as rows for training, validation and"
                " test."
            ),
            **common,
        },
        {
            "name": f"{name}_model",
            "label": f"Model of {name}",
            "type": "ml",
            "description": (
                f"What `train` makes of these rows and the model server answers with: {task.kind}{answers}."
            ),
            "meta": {"task": task.kind},
            **common,
        },
    ]


def _named(answers: Sequence[str]) -> str:
    more = len(answers) - _MOST_ANSWERS
    named = ", ".join(f"`{answer}`" for answer in answers[:_MOST_ANSWERS])
    return _plain(named) + (f" and {more} more" if more > 0 else "")


def _unit_tests(loop: LoopSpec) -> list[dict[str, Any]]:
    name, raw, staged = loop.name, f"source('{loop.name}', 'raw')", f"ref('stg_{loop.name}')"
    place = {"source_file": "drop", "source_line": 1}
    rows = [
        {"lakeloop_key": key, "lakeloop_text": text, **_given(loop.task), **place}
        for key, text in zip("ab", _TEXTS, strict=True)
    ]
    keyed = [
        {"row_id": key, "text": text, **_expected(loop.task), "text_key": _key(loop.task, text)}
        for key, text in zip("ab", _NORMALISED, strict=True)
    ]
    alike = [{"row_id": key, "text": "same", "text_key": "k", **place} for key in "ab"]
    return [
        {
            "name": f"{name}_words_are_normalised_and_keyed",
            "description": (
                "Unicode form, white space, case and punctuation do not make another key. The keys are"
                " literal: another recipe would deal every row anew into training and test."
            ),
            "model": f"stg_{name}",
            "given": [{"input": raw, "rows": rows}],
            "expect": {"rows": keyed},
        },
        {
            "name": f"{name}_keeps_every_row_for_the_judge",
            "description": "The first of two that are alike may be the bad one, so none is dropped here.",
            "model": f"mart_{name}",
            "given": [{"input": staged, "rows": alike}],
            "expect": {"rows": [{"row_id": "a"}, {"row_id": "b"}]},
        },
    ]


def _given(task: Task) -> dict[str, Any]:
    """A value of each column of the task besides the text, as it may be delivered."""
    return {
        f"lakeloop_{name}": _NUMBER if role.kept_as == "number" else "  two\t words "
        for name, role in task.roles().items()
        if name != TEXT
    }


def _expected(task: Task) -> dict[str, Any]:
    return {
        name: _NUMBER if role.kept_as == "number" else "two words"
        for name, role in task.roles().items()
        if name != TEXT
    }


def _key(task: Task, text: str) -> str:
    """What macro `text_key` makes of a normalised row."""
    read = " ".join([text, *(str(_expected(task)[name]) for name in task.reads if name != TEXT)])
    letters = "".join(each for each in read.lower() if unicodedata.category(each)[0] in "LMN")
    return hashlib.sha256(letters.encode()).hexdigest()[:32]


def _plain(text: str) -> str:
    """`text` as dbt shows it: it takes every string of a yml for a template."""
    return f"{{% raw %}}{text}{{% endraw %}}" if "{" in text and "endraw" not in text else text


def _yaml(content: Mapping[str, Any]) -> bytes:
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=False, width=110).encode()
