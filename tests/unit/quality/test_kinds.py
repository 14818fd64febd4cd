"""The kinds of checks: what a loop file may ask for is what can be done."""

from __future__ import annotations

from lakeloop.quality.kinds.registry import BATCH_KINDS, KINDS
from lakeloop.spec.batch import BatchCheck
from lakeloop.spec.checks import RowCheck
from lakeloop.spec.shape import kinds_of


def test_every_check_that_a_loop_file_may_ask_for_can_be_made_and_no_other() -> None:
    assert set(KINDS) == set(kinds_of(RowCheck))
    assert set(BATCH_KINDS) == set(kinds_of(BatchCheck))
