"""British bank accounts: a sort code of six digits and a number of eight, which have no check digits.

Six or eight digits alone say nothing: a day, an order. They count where words beside them say what they are,
or where a sort code in its usual groups and a number stand together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lakeloop.cleaning.personal.base import DIGITS, Kind, Span

_BETWEEN = r"[ \u00a0]?[-\u2013]?[ \u00a0]?"
_PAIRS = rf"[0-9]{{2}}{_BETWEEN}[0-9]{{2}}{_BETWEEN}[0-9]{{2}}"
_EIGHT = r"[0-9]{4}[ -]?[0-9]{4}"
_SAYS = r"(?:[ ]?(?:number|numbers|num|no|nr)\b\.?)?[ ]?(?:is|was|:|=|#|-)?[ ]?"
"""Between the word and its digits."""
_SORT_CODE = re.compile(rf"\bsort[ -]?code{_SAYS}({_PAIRS})(?![0-9-])", re.IGNORECASE)
_ACCOUNT = re.compile(rf"\b(?:account|acct|acc|a/c){_SAYS}({_EIGHT})(?![0-9-])", re.IGNORECASE)
_IN_GROUPS = r"[0-9]{2}-[0-9]{2}-[0-9]{2}|[0-9]{2} [0-9]{2} [0-9]{2}"
_BOTH = re.compile(rf"(?<![0-9./-])({_IN_GROUPS})[ ,;/|]{{1,3}}({_EIGHT})(?![0-9-])")
_DAY_TOGETHER = re.compile(
    r"(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])|"
    r"(?:0[1-9]|[12][0-9]|3[01])(?:0[1-9]|1[0-2])(?:19|20)[0-9]{2}"
)


def _find(text: str, region: str) -> Iterator[Span]:  # noqa: ARG001
    for shape in (_SORT_CODE, _ACCOUNT):
        yield from (found.span(1) for found in shape.finditer(text))
    for found in _BOTH.finditer(text):
        if not _DAY_TOGETHER.fullmatch("".join(DIGITS.findall(found[2]))):
            yield found.span(1)
            yield found.span(2)


ACCOUNT = Kind(_find, hint=r"[0-9]{2}[^0-9]{0,3}[0-9]{2}[^0-9]{0,3}[0-9]{2}")
"""Sort codes and numbers of accounts that are said to be such, or stand together."""
