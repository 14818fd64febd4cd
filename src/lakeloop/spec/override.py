"""Change a loop for one run: the few keys that a trigger form or a command line may set.

The rest of the loop file decides what the data is and which rows are held back for the test; one run that
changed it could not be compared with any other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from lakeloop.spec.models import LoopSpec
from lakeloop.spec.nearest import nearest
from lakeloop.spec.problems import Problem, list_problems, plain
from lakeloop.spec.shape import dotted_keys
from lakeloop.spec.wording import findings

SECTIONS = ("train", "evaluate", "gate")


def overridable_keys() -> tuple[str, ...]:
    """The dotted keys that a run may set: `train.method`, `gate.min_score` and so on."""
    return tuple(key for key in dotted_keys() if key.startswith(tuple(f"{s}." for s in SECTIONS)))


def override(loop: LoopSpec, changes: Mapping[str, Any]) -> LoopSpec:
    """`loop` with `changes` (dotted key -> value, typed as in the loop file), validated anew.

    A folder in `train.base_model` is confined when it is opened (`paths.base_model_folder`).

    Raises:
        ConfigurationError: a key is unknown or not for one run to decide, or a value is wrong.
    """
    known = overridable_keys()
    where = f"overrides of loop {loop.name}"
    unknown = [key for key in changes if key not in known]
    if unknown:
        raise list_problems(where, [_refused(key, known) for key in unknown])
    content = loop.model_dump(mode="json")
    for key, value in changes.items():
        section, name = key.split(".")
        content[section][name] = value
    try:
        return LoopSpec.model_validate_json(json.dumps(content), strict=True)
    except ValidationError as error:
        found = [f for e in error.errors(include_url=False) for f in findings(e)]
        raise list_problems(where, [Problem(0, *finding) for finding in found]) from None


def _refused(key: str, known: tuple[str, ...]) -> Problem:
    decided = key in dotted_keys()
    message = "is decided by the loop file alone" if decided else "unknown key"
    close = "" if decided else nearest(key, known) or _by_last_part(key, known)
    return Problem(0, (key,), message, f"one of {', '.join(known)}", plain(key), close)


def _by_last_part(key: str, known: tuple[str, ...]) -> str:
    names = {k.split(".")[1]: k for k in known}
    return names.get(nearest(key.rsplit(".", 1)[-1], names), "")
