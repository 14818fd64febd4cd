"""The nearest valid name to one mistyped, or that others use. Who lists the names words the error."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LONGEST = 64  # difflib is quadratic; nobody mistypes a name this long

_OTHERS_WORDS: dict[str, tuple[str, ...]] = {
    "boolean": ("bool", "bit"),
    "date": ("day",),
    "integer": ("int", "int32", "int64", "bigint", "smallint", "long", "whole"),
    "number": ("float", "float32", "float64", "double", "decimal", "numeric", "real"),
    "string": ("str", "text", "char", "varchar", "object", "category", "utf8", "uuid"),
    "timestamp": ("datetime", "datetime64", "datetimeoffset", "timestamptz", "time"),
    "files": ("file", "folder", "csv", "json", "jsonl", "parquet"),
    "http": ("api", "rest", "url", "https"),
    "sql": ("database", "db", "postgres", "postgresql", "sqlite"),
}
"""Our word -> what it is called in Python, pandas, SQL and by people. Many of these look more like another of
our words: datetime like date, double like boolean."""
_OURS = {word: ours for ours, words in _OTHERS_WORDS.items() for word in words}


def nearest_choice(name: str, known: Iterable[str]) -> str:
    """As `nearest`, for a choice between words of ours: what `name` means elsewhere comes first."""
    words = list(known)
    meant = _OURS.get(name.strip().lower().split("(")[0], "")
    return meant if meant in words else nearest(name, words)


def nearest(name: str, known: Iterable[str]) -> str:
    """The one of `known` that is most like `name`; empty when none is like it at all."""
    if len(name) > _LONGEST:
        return ""
    found = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=0.55)
    return found[0] if found else ""
