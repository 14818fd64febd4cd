"""The one list of kinds of personal data, and taking them out of texts."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from lakeloop.cleaning.personal.base import Kind
from lakeloop.cleaning.personal.british import ACCOUNT
from lakeloop.cleaning.personal.card import CARD
from lakeloop.cleaning.personal.iban import IBAN
from lakeloop.cleaning.personal.ip import IP
from lakeloop.cleaning.personal.mail import MAIL
from lakeloop.cleaning.personal.numbers import NUMBERS
from lakeloop.cleaning.personal.phone import PHONE

KINDS: Mapping[str, Kind] = {
    "mail": MAIL,
    "iban": IBAN,
    "card": CARD,
    "ip": IP,
    "account": ACCOUNT,
    "phone": PHONE,
}
"""Name in loop files -> kind. Those with check digits come first: what they are is sure."""
LOOSE = (MAIL, IBAN, IP, NUMBERS, ACCOUNT)
"""What a log hides: rather a number too many than one too few, and at the cost of a few patterns."""

BLOT = "#"
_SIGN = re.compile(r"[^\W_]")


def mask(texts: pa.Array, name: str, region: str = "", *, keep_length: bool = False) -> pa.Array:
    """`texts` (Arrow strings) with what is of the kind `name` as `[name]`; nulls stay null.

    Args:
        texts: as they are read.
        name: one of `KINDS`.
        region: see `Kind.find`.
        keep_length: each letter and digit of it becomes `BLOT` instead, so that places and words stay true.
    """
    kind = KINDS[name]
    hinted = pc.fill_null(pc.match_substring_regex(texts, kind.hint), False)
    if not pc.any(hinted).as_py():
        return texts
    places = pc.indices_nonzero(hinted)
    looked_at = texts.take(places).to_pylist()
    masked = [_masked(text, name, kind, region, keep_length=keep_length) for text in looked_at]
    return pc.replace_with_mask(texts, hinted, pa.array(masked, texts.type))


def _masked(text: str, name: str, kind: Kind, region: str, *, keep_length: bool) -> str:
    parts, end_of_last = [], 0
    for start, end in sorted(kind.find(text, region)):
        if start >= end_of_last:
            word = blotted(text[start:end]) if keep_length else f"[{name}]"
            parts += [text[end_of_last:start], word]
            end_of_last = end
    return "".join([*parts, text[end_of_last:]])


def hidden(text: str) -> str:
    """`text` with each letter and digit of what is `LOOSE` as `BLOT`; as long as before."""
    for start, end in [span for kind in LOOSE for span in kind.find(text, "")]:
        text = f"{text[:start]}{blotted(text[start:end])}{text[end:]}"
    return text


def blotted(text: str) -> str:
    """`text` with `BLOT` in place of each letter and digit."""
    return _SIGN.sub(BLOT, text)
