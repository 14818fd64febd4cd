"""Formats of strptime, and what is wrong with one."""

from __future__ import annotations

import pytest

from lakeloop.spec.time_format import in_iso, parse_format


@pytest.mark.parametrize(
    ("form", "text", "iso"),
    [
        ("%m/%d/%Y", "1/5/2026", "2026-01-05"),
        ("%d.%m.%y", "05.01.26", "2026-01-05"),
        ("%d.%m.%y", "05.01.70", "1970-01-05"),
        ("%m/%d/%Y %I:%M %p", "1/5/2026 12:07 AM", "2026-01-05T00:07:00"),
        ("%m/%d/%Y %I:%M %p", "1/5/2026  1:07 p.m.", "2026-01-05T13:07:00"),
        ("%a %b %d %H:%M:%S %z %Y", "Tue Apr 07 03:36:18 +0000 2026", "2026-04-07T03:36:18+0000"),
        ("%d %B %Y, %H.%M", "7 APRIL 2026, 3.06", "2026-04-07T03:06:00"),
        ("%Y%m%d%H%M%S.%f", "20260407033618.25", "2026-04-07T03:36:18.25"),
        ("%Y-%m-%d 100%%", "2026-04-07 100%", "2026-04-07"),
    ],
)
def test_a_text_in_a_format_is_iso_8601(form: str, text: str, iso: str) -> None:
    assert in_iso(parse_format(form), text) == iso


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("%m/%d/%Y", "2026-01-05"),
        ("%m/%d/%Y", "1/5/2026 "),
        ("%d.%m.%Y %I %p", "1.1.2026 13 pm"),
        ("%d %B %Y", "7 Apr 2026"),
    ],
)
def test_a_text_in_another_format_is_refused(form: str, text: str) -> None:
    with pytest.raises(ValueError, match=r"not written as|an hour of the half day"):
        in_iso(parse_format(form), text)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("%Y", "%m is missing"),
        ("%m/%d/%Q", "%Q is not known"),
        ("%m/%d/%Y%", "% is not known"),
        ("%Y %y %m %d", "one of %Y %y"),
        ("%d %d %m %Y", "names each part once|one of"),
        ("%d %m %Y %I", "%I and %p together"),
        ("%d %m %Y %M", "%H before the parts of the time"),
    ],
)
def test_what_is_no_format_of_a_day_is_refused(form: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_format(form)
