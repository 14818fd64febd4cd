"""The list of kinds of leaks."""

from __future__ import annotations

from lakeloop.datasets.leaks.registry import CHECKS
from lakeloop.spec.leaks import KINDS


def test_the_loop_file_knows_each_kind_that_is_looked_for_and_no_other() -> None:
    assert sorted(check.kind for check in CHECKS) == sorted(KINDS)
