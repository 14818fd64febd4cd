from __future__ import annotations

import pytest

from lakeloop.errors import CountsError
from lakeloop.quality.account import Account
from lakeloop.records import Counts

INGEST = Counts(read=100, accepted=90, quarantined=6, duplicates=4)
TRANSFORM = Counts(read=90, accepted=80, duplicates=10)


def test_every_line_is_in_the_mart_in_quarantine_or_a_duplicate() -> None:
    account = Account.of(INGEST, TRANSFORM, good=73, rejected=4, duplicates=3)
    account.require_balanced("news 2026-11-16")
    assert account == Account(lines_read=100, good=73, quarantined=10, duplicates=17)
    assert account.quarantined_share == 0.1


@pytest.mark.parametrize(("good", "words"), [(75, "1 line.s. lost"), (78, "2 line.s. doubled")])
def test_a_broken_counter_is_seen(good: int, words: str) -> None:
    with pytest.raises(CountsError, match=words) as caught:
        Account.of(INGEST, TRANSFORM, good=good, rejected=4, duplicates=0).require_balanced("here")
    assert f"{good} + 10 + 14 = {good + 24}" in str(caught.value)


def test_a_day_without_lines_has_nothing_in_quarantine() -> None:
    nothing = Counts(read=0, accepted=0)
    account = Account.of(nothing, nothing, good=0, rejected=0, duplicates=0)
    account.require_balanced("here")
    assert account.quarantined_share == 0.0
