"""The kinds of tasks on the side of torch: every task of a loop file can be trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from lakeloop.spec.shape import kinds_of
from lakeloop.spec.tasks import Classification, Regression, Task
from lakeloop.tasks.registry import task_of
from tests.support.training_jobs import CLASSES, NUMBERS
from training.tasks.registry import TASKS, training_task


def test_every_task_that_a_loop_file_may_name_can_be_trained_and_no_other() -> None:
    assert set(TASKS) == set(kinds_of(Task))


@pytest.mark.parametrize(
    ("section", "targets"), [(CLASSES, CLASSES.labels), (NUMBERS, (1.0, 2.0))], ids=["classes", "numbers"]
)
def test_the_torch_side_is_that_of_the_task_of_the_contract(
    section: Classification | Regression, targets: Sequence[Any]
) -> None:
    task = task_of(section)
    found = training_task(task.contract(task.profile(targets)))
    assert TASKS[section.kind] == f"{type(found).__module__}:{type(found).__name__}"
