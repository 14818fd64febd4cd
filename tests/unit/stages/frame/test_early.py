"""A task that fails before its stage began is shown as one that failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakeloop.errors import ConfigurationError, DataError
from lakeloop.stages.frame.early import kept_failure
from lakeloop.stages.frame.reset import clear, to_clear
from lakeloop.stages.frame.status import loop_status
from tests.support.small_loop import DAYS, small_context


def test_a_failure_before_the_stage_is_kept_once_and_by_the_stage_itself_where_it_came_to_that(
    tmp_path: Path,
) -> None:
    context = small_context(tmp_path)
    with pytest.raises(ConfigurationError, match="no such folder"), kept_failure(context, "score", DAYS[0]):
        raise ConfigurationError("no such folder")
    (failure,) = loop_status(context).failed
    assert (failure.stage, failure.partition, failure.reason) == ("score", DAYS[0], "no such folder")
    with (
        pytest.raises(DataError),
        kept_failure(context, "ingest", DAYS[0]),
        context.stage("ingest", DAYS[0]),
    ):
        raise DataError("two columns are missing")
    assert [each.stage for each in loop_status(context).failed] == ["score", "ingest"]


def test_a_day_of_which_only_a_failure_is_known_can_be_reset(tmp_path: Path) -> None:
    context = small_context(tmp_path)
    with pytest.raises(DataError), context.stage("ingest", DAYS[0]):
        raise DataError("two columns are missing")
    found = to_clear(context, [DAYS[0]])
    assert (found.days, found.recorded["ingest"]) == ((DAYS[0],), (DAYS[0],))
    clear(context, found)
    assert loop_status(context).failed == ()
