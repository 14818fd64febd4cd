"""The kinds of tasks: what a loop file may name has a class and metrics, and no other kind has."""

from __future__ import annotations

import pytest

from lakeloop.errors import ConfigurationError
from lakeloop.measures.registry import METRICS
from lakeloop.spec.shape import kinds_of
from lakeloop.spec.tasks import Task
from lakeloop.tasks.registry import TASKS, task_class


def test_every_task_that_a_loop_file_may_name_has_its_class_and_its_metrics() -> None:
    assert set(TASKS) == set(METRICS) == set(kinds_of(Task))
    for kind in TASKS:
        assert task_class(kind).answer
        assert METRICS[kind]


def test_a_kind_without_a_class_names_the_kinds_that_there_are() -> None:
    with pytest.raises(ConfigurationError, match="no such task") as raised:
        task_class("ranking")
    assert raised.value.expected == ", ".join(TASKS)
