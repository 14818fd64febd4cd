"""pydantic's flaws in the words of a loop file: expected, found and the nearest valid name.

Where in the file something is comes from `shape`; which line that is, from `document`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, get_args

from pydantic_core import ErrorDetails

from lakeloop.spec.base import PATTERNS
from lakeloop.spec.quoting import Key, choices, describe, dotted, plain, quote
from lakeloop.spec.reading.nearest import nearest, nearest_choice
from lakeloop.spec.rules import BROKEN_RULE, Broken
from lakeloop.spec.shape import Place, dotted_keys, keys_of, kinds_of, kinds_with, locate

UNKNOWN_KEY = "unknown key"
MISSING_KEY = "missing key"


class Flaw(NamedTuple):
    """A problem that does not know its line yet."""

    key: Key
    message: str
    expected: str
    found: str
    nearest: str = ""
    remedy: str = ""


_KINDS_OF_VALUE = {
    "bool_type": "true or false",
    "date_from_datetime_parsing": "a day, such as 2026-11-16",
    "date_parsing": "a day, such as 2026-11-16",
    "date_type": "a day, such as 2026-11-16",
    "dict_type": "keys with values below it",
    "float_type": "a number",
    "int_type": "a whole number",
    "model_attributes_type": "keys with values below it",
    "model_type": "keys with values below it",
    "string_type": "text",
    "tuple_type": "a list",
}
_LIMITS = {
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "string_too_long": "at most {max_length} characters",
    "string_too_short": "at least {min_length} character(s)",
    "too_long": "at most {max_length} of them",
    "too_short": "at least {min_length} of them",
}


def flaws(errors: Sequence[ErrorDetails]) -> Iterator[Flaw]:
    """What pydantic found, in plain words; a broken rule can be several, errors of one value are one."""
    found = [(locate(error["loc"]), error) for error in errors if not _follows(error)]
    keys = [place.key for place, _ in found]
    told: set[Key] = set()
    for place, error in found:
        if place.chosen:
            if place.key not in told and not _within(place.key, keys):
                yield _none_of_them([(p, e) for p, e in found if p.chosen and p.key == place.key])
            told.add(place.key)
        elif error["type"] == BROKEN_RULE:
            yield from (_broken(place.key, broken) for broken in error["ctx"]["broken"])
        else:
            yield _WORDED.get(error["type"], _wrong_value)(place, error)


def _follows(error: ErrorDetails) -> bool:
    """Whether a list is short only of the items that are wrong themselves, and told so."""
    return error["type"] == "too_short" and len(error["input"]) >= error["ctx"]["min_length"]


def _within(section: Key, keys: Sequence[Key]) -> bool:
    """Whether one of `keys` is below `section`: of the types that may be there, a section was meant."""
    return any(key != section and key[: len(section)] == section for key in keys)


def _none_of_them(wrong: Sequence[tuple[Place, ErrorDetails]]) -> Flaw:
    """A value that is none of several types, as one flaw that names them all."""
    told = [_WORDED.get(error["type"], _wrong_value)(place, error) for place, error in wrong]
    wanted = list(dict.fromkeys(flaw.expected for flaw in told))
    if "a number" in wanted and "a whole number" in wanted:
        wanted.remove("a whole number")
    return told[0]._replace(expected=choices(wanted))


def _unknown_key(place: Place, _error: ErrorDetails) -> Flaw:
    name = str(place.key[-1])
    known = keys_of(place.section) if place.section else []
    close, expected = nearest(name, known) or _elsewhere(name), f"one of {', '.join(known)}" if known else ""
    if owners := kinds_with(place.key):
        message, kind = f"a key of another kind than {_kind_of(place)}", dotted((*place.key[:-1], "kind"))
        remedy = f"{plain(name)} is a key of {choices(owners)}: choose that with {kind}, or leave the key out"
        return Flaw(place.key, message, expected, plain(name), remedy=remedy)
    return Flaw(place.key, UNKNOWN_KEY, expected, plain(name), close)


def _kind_of(place: Place) -> str:
    kind = place.section.model_fields.get("kind") if place.section else None
    return ", ".join(_literals(kind.annotation)) if kind else "this"


def _elsewhere(name: str) -> str:
    """The key called `name` in another section: a line at the wrong depth is a usual mistake.

    Empty where several sections have such a key: which of them was meant, nothing tells.
    """
    homes = [key for key in dotted_keys() if key.rsplit(".", 1)[-1] == name]
    return homes[0] if len(homes) == 1 else ""


def _missing_key(place: Place, error: ErrorDetails) -> Flaw:
    name = str(place.key[-1])
    info = place.section.model_fields.get(name) if place.section else None
    about = f": {' '.join(info.description.split())}" if info and info.description else ""
    return Flaw(place.key, MISSING_KEY, f"{name}{about}", _keys_of(error["input"]))


def _missing_kind(place: Place, error: ErrorDetails) -> Flaw:
    kinds = list(kinds_of(place.shape))
    return Flaw((*place.key, "kind"), MISSING_KEY, f"kind: {choices(kinds)}", _keys_of(error["input"]))


def _unknown_kind(place: Place, error: ErrorDetails) -> Flaw:
    tag = error["ctx"]["tag"]
    return _not_one_of((*place.key, "kind"), list(kinds_of(place.shape)), tag)


def _unknown_choice(place: Place, error: ErrorDetails) -> Flaw:
    return _not_one_of(place.key, [str(value) for value in _literals(place.shape)], error["input"])


def _not_one_of(key: Key, known: Sequence[str], found: Any) -> Flaw:
    close = nearest_choice(found, known) if isinstance(found, str) else ""
    return Flaw(key, "wrong value", choices(known), describe(found), close)


def _unlike(place: Place, error: ErrorDetails) -> Flaw:
    return Flaw(place.key, "wrong value", PATTERNS[error["ctx"]["pattern"]], describe(error["input"]))


def _rejected(place: Place, error: ErrorDetails) -> Flaw:
    return Flaw(place.key, "wrong value", str(error["ctx"]["error"]), describe(error["input"]))


def _wrong_value(place: Place, error: ErrorDetails) -> Flaw:
    kind = error["type"]
    limits = {name: f"{x:g}" if isinstance(x, float) else x for name, x in error.get("ctx", {}).items()}
    wanted = _KINDS_OF_VALUE.get(kind) or _LIMITS.get(kind, "").format(**limits)
    return Flaw(place.key, "wrong value", wanted or error["msg"], describe(error["input"]))


def _broken(section: Key, broken: Broken) -> Flaw:
    parts = broken.key if isinstance(broken.key, tuple) else broken.key.split(".")
    key = (*section, *(int(part) if part.isdecimal() else part for part in parts))
    close = nearest(broken.found, broken.known)
    return Flaw(key, broken.message, broken.expected, quote(broken.found), close)


def _keys_of(value: Any) -> str:
    if not isinstance(value, dict):
        return describe(value)
    return f"only {plain(', '.join(map(str, value)))}" if value else "an empty mapping"


def _literals(shape: Any) -> tuple[Any, ...]:
    values = get_args(shape)
    return tuple(v for value in values for v in (_literals(value) or (value,)))


_WORDED: dict[str, Callable[[Place, ErrorDetails], Flaw]] = {
    "extra_forbidden": _unknown_key,
    "literal_error": _unknown_choice,
    "missing": _missing_key,
    "string_pattern_mismatch": _unlike,
    "union_tag_invalid": _unknown_kind,
    "union_tag_not_found": _missing_kind,
    "value_error": _rejected,
}
