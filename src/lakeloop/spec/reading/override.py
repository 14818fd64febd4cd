"""Change a loop for one run: the keys that a trigger form or a command line may set, by their marks.

The rest of the loop file decides what the data is and which rows are held back for the test; one run that
changed it could not be compared with any other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from lakeloop.spec.base import mark_of
from lakeloop.spec.identity import KIND
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.quoting import choices, plain
from lakeloop.spec.reading.nearest import nearest
from lakeloop.spec.reading.problems import Problem, list_problems
from lakeloop.spec.reading.wording import Flaw, flaws
from lakeloop.spec.shape import dotted_keys, kinds_with, walk
from lakeloop.spec.train import Candidate

_METHOD = "train.method"
_SEARCH = "train.search."
_ANSWERED = "score.source"
_CANDIDATES = re.compile(r"^train\.candidates\.[^.]+\.")


def overridable_keys(loop: LoopSpec) -> tuple[str, ...]:
    """The dotted keys that a run of `loop` may set, such as `train.method.rank` and `gate.min_score`."""
    return tuple(overridable(loop))


def overridable(loop: LoopSpec) -> dict[str, tuple[FieldInfo, ...]]:
    """The same keys, each with what is known of it, once for each kind that has the key.

    Where the loop file lists its candidates, `train.candidates.<name>.method` stands for `train.method`.
    """
    found: dict[str, tuple[FieldInfo, ...]] = {}
    for key, info in _per_run(loop):
        found[key] = (*found.get(key, ()), info)
    return found


def kinds_of_key(key: str) -> tuple[str, ...]:
    """The kinds that have a key of `overridable`, in the order in which it has what is known of them."""
    parts = tuple(key.split("."))
    if parts[:2] == ("train", "candidates"):  # each has a method as `train.method` is one
        parts = ("train", *parts[3:])
    return kinds_with(parts)


def _per_run(loop: LoopSpec) -> list[tuple[str, FieldInfo]]:
    listed = loop.train.candidates
    keys = [(key, info) for key, info in walk(LoopSpec) if not (listed and _is_method(key))]
    for candidate in listed:
        keys += [
            (f"train.candidates.{candidate.name}.{key}", info)
            for key, info in walk(Candidate)
            if _is_method(f"train.{key}")
        ]
    return [
        (key, info)
        for key, info in keys
        if (mark := mark_of(info)) and mark.per_run and not key.endswith(f".{KIND}")
        if loop.train.search or not key.startswith(_SEARCH)
    ]


def _is_method(key: str) -> bool:
    return key == _METHOD or key.startswith(f"{_METHOD}.")


def override(loop: LoopSpec, changes: Mapping[str, Any]) -> LoopSpec:
    """`loop` with `changes` (dotted key -> value, typed as in the loop file), validated anew.

    A folder in `train.base_model` is confined when it is opened (`paths.base_model_folder`).

    Raises:
        ConfigurationError: a key is unknown or not for one run to decide, or a value is wrong.
    """
    known = overridable_keys(loop)
    where = f"overrides of loop {loop.name}"
    unknown = [key for key in changes if key not in known]
    if unknown:
        raise list_problems(where, [_refused(key, known) for key in unknown])
    content = loop.model_dump(mode="json", exclude_unset=True)
    whole = loop.model_dump(mode="json")
    for key in sorted(changes, key=lambda key: key.count(".")):  # a method before its keys
        _put(content, whole, key.split("."), changes[key])
    if _ANSWERED in changes:  # when the DAG starts by itself says nothing of rows that are named by hand
        content["score"].pop("when", None)
    try:
        return LoopSpec.model_validate_json(json.dumps(content), strict=True)
    except ValidationError as error:
        found = list(flaws(error.errors(include_url=False)))
        raise list_problems(where, [Problem(0, *_of_this_run(f, changes)) for f in found]) from None


def _of_this_run(flaw: Flaw, changes: Mapping[str, Any]) -> Flaw:
    """For a key of another kind: how to choose a kind that has it, beside it."""
    owners = kinds_with(flaw.key)
    asked = [key for key in changes if key.rsplit(".", 1)[-1] == flaw.key[-1]]
    if not flaw.remedy or not owners or not asked:
        return flaw
    choice = asked[0].rsplit(".", 1)[0]
    remedy = f"{flaw.key[-1]} is a key of {choices(owners)}: set {choice}={owners[0]} as well"
    return flaw._replace(remedy=remedy)


def current(loop: LoopSpec, key: str) -> Any:
    """The value that `loop` has for one of `overridable_keys`; None when its method has no such key."""
    value: Any = loop.model_dump(mode="json")
    for part in key.split("."):
        value = _child(value, part)
    return value[KIND] if isinstance(value, dict) else value


def _put(content: Any, whole: Any, parts: list[str], value: Any) -> None:
    """Set the key `parts` of `content`; what is not said there yet is taken from `whole` first."""
    part, *rest = parts
    if not rest:
        content[part] = value
        return
    inner, default = _child(content, part), _child(whole, part)
    if inner is None:
        inner = content[part] = default if isinstance(default, dict) and KIND in default else {}
    elif isinstance(inner, str):  # a kind, alone
        inner = content[part] = {KIND: inner}
    _put(inner, default if isinstance(default, dict | list) else {}, rest, value)


def _child(node: Any, part: str) -> Any:
    return _named(node, part) if isinstance(node, list) else node.get(part)


def _named(items: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(item for item in items if item["name"] == name)


def _refused(key: str, known: tuple[str, ...]) -> Problem:
    of_candidates = [each for each in known if _CANDIDATES.sub("train.", each) == key]
    if of_candidates:
        return Problem(
            0,
            (key,),
            "is said for each candidate here",
            f"one of {', '.join(of_candidates)}",
            plain(key),
            of_candidates[0],
        )
    decided = key in dotted_keys()
    message = "is decided by the loop file alone" if decided else "unknown key"
    close = "" if decided else nearest(key, known) or _by_last_part(key, known)
    return Problem(0, (key,), message, f"one of {', '.join(known)}", plain(key), close)


def _by_last_part(key: str, known: tuple[str, ...]) -> str:
    names = {k.rsplit(".", 1)[-1]: k for k in reversed(known)}
    return names.get(nearest(key.rsplit(".", 1)[-1], names), "")
