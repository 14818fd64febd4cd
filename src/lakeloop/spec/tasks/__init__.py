"""What is predicted from what: one class a kind of task, its columns by role, and their union.

What a task does is `lakeloop.tasks.<kind>`, how it is learnt `training.tasks.<kind>`.
"""

from __future__ import annotations

from typing import Annotated, get_args

from pydantic import Field

from lakeloop.spec.tasks.causal_lm import CausalLm
from lakeloop.spec.tasks.classification import Classification
from lakeloop.spec.tasks.multi_label import MultiLabel
from lakeloop.spec.tasks.regression import Regression
from lakeloop.spec.tasks.seq2seq import Seq2Seq
from lakeloop.spec.tasks.token_classification import TokenClassification

Task = Annotated[
    Classification | MultiLabel | Regression | TokenClassification | Seq2Seq | CausalLm,
    Field(discriminator="kind"),
]

KINDS_OF_CLASSES = tuple(
    kind
    for task in get_args(get_args(Task)[0])
    if task.classes
    for kind in get_args(task.model_fields["kind"].annotation)
)
"""Kinds of task whose answers are classes."""

__all__ = [
    "KINDS_OF_CLASSES",
    "CausalLm",
    "Classification",
    "MultiLabel",
    "Regression",
    "Seq2Seq",
    "Task",
    "TokenClassification",
]
