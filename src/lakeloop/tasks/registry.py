"""The one list of tasks on the library's side. Each is imported when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lakeloop.errors import ConfigurationError

if TYPE_CHECKING:
    from lakeloop.spec import tasks as spec
    from lakeloop.tasks.base import Answer, Task
    from lakeloop.tasks.proposing import TaskProposal

TASKS: Mapping[str, str] = {
    "classification": "lakeloop.tasks.classification:Classification",
    "multi_label": "lakeloop.tasks.multi_label:MultiLabel",
    "regression": "lakeloop.tasks.regression:Regression",
    "token_classification": "lakeloop.tasks.token_classification:TokenClassification",
    "seq2seq": "lakeloop.tasks.generation:Seq2Seq",
    "causal_lm": "lakeloop.tasks.generation:CausalLm",
}
"""Kind -> its class; the first is that of a loop that says none."""


def task_class(kind: str) -> type[Task]:
    """The class of a kind of task.

    Raises:
        ConfigurationError: this version knows no such task; names those that it knows.
    """
    if kind not in TASKS:
        raise ConfigurationError("no such task", where="task.kind", expected=", ".join(TASKS), found=kind)
    module, name = TASKS[kind].split(":")
    found: type[Task] = getattr(importlib.import_module(module), name)
    return found


def task_of(section: spec.Task) -> Task:
    """The task that a section of the loop file describes."""
    build: Any = task_class(section.kind)
    task: Task = build(section)
    return task


def proposal_of(kind: str) -> TaskProposal:
    """What a kind of task says of data that a loop may be begun from."""
    return task_class(kind).proposal


def answer_type(kind: str) -> type[Answer]:
    """The model of an answer of this kind."""
    return task_class(kind).answer


def logged_answer(row: Mapping[str, Any]) -> str:
    """The answer in a row of the prediction log, as JSON; rows of format 1 have it in columns of their own.

    Raises:
        ValueError: there is no answer in it.
    """
    from lakeloop.tasks.classification import answer_of_format_1

    return row.get("answer") or answer_of_format_1(row)
