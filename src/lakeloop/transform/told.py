"""What dbt did with each model and test: for the log, in groups, and for the record, by model.

One dbt builds all models in one task. A task for each model would take three to seven times as long, most of
it to start Python, and would show no more than this.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lakeloop.plural import counted
from lakeloop.records import BuiltModel

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class NodeResult:
    """What dbt did with one model or test."""

    name: str
    kind: str
    """model or test"""
    status: str
    """success, pass or warn; in a build that raises also error, fail or skipped"""
    seconds: float
    of: str
    """The model itself, or the one that is tested; empty for a test of none."""
    relation: str | None = None
    """Quoted SQL name of what a model is in the file; None for one that is only a part of others."""
    failures: int = 0
    """Rows that a test found."""
    message: str = ""
    """First line of what went wrong."""


def tell_nodes(nodes: Sequence[NodeResult]) -> None:
    """Log a group for each model, which Airflow folds: how it went, and each of its tests.

    A group with something wrong comes last, where people look first.
    """
    groups = _groups(nodes)
    told = {id(node) for model, tests in groups for node in (model, *tests)}
    rest = [node for node in nodes if id(node) not in told]
    for model, tests in sorted(groups, key=lambda group: any(map(_is_bad, (group[0], *group[1])))):
        passed = sum(not _is_bad(test) for test in tests)
        of_tests = f", {passed} of {counted(len(tests), 'test')} passed" if tests else ""
        log.info("::group::dbt model %s: %s, %.2f s%s", model.name, model.status, model.seconds, of_tests)
        for node in (model, *tests):
            _tell(node)
        log.info("::endgroup::")
    for node in rest:
        _tell(node)


def _tell(node: NodeResult) -> None:
    failures = f", {counted(node.failures, 'row')}" if node.failures else ""
    message = f": {node.message}" if node.message else ""
    log.info("%s %s: %s, %.2f s%s%s", node.kind, node.name, node.status, node.seconds, failures, message)


def _is_bad(node: NodeResult) -> bool:
    return node.status not in ("success", "pass")


def by_model(nodes: Sequence[NodeResult], rows: Mapping[str, int]) -> tuple[BuiltModel, ...]:
    """What the record keeps of a build: each model with its tests. `rows`: model -> rows in it."""
    return tuple(
        BuiltModel(
            name=model.name,
            status=model.status,
            seconds=round(model.seconds, 3),
            rows=rows.get(model.name),
            tests=len(tests),
            test_seconds=round(sum(test.seconds for test in tests), 3),
            warned={test.name: test.failures for test in tests if _is_bad(test)},
        )
        for model, tests in _groups(nodes)
    )


def _groups(nodes: Sequence[NodeResult]) -> list[tuple[NodeResult, list[NodeResult]]]:
    """Each model with the tests of it."""
    tests = [node for node in nodes if node.kind == "test"]
    return [
        (node, [test for test in tests if test.of == node.name]) for node in nodes if node.kind == "model"
    ]
