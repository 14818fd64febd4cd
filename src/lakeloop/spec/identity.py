"""What of a loop decides an output: the part of the loop file that fingerprints are made of.

It follows from the marks on the keys. A key at its default is left out, so that a new key with a default
changes no fingerprint; where a default changes its meaning, the stage's version is raised instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic.fields import FieldInfo

from lakeloop.measures.registry import metrics_of
from lakeloop.spec.base import Effect, Section, mark_of
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.train import Candidate, Train

KIND = "kind"


def identity(loop: LoopSpec, *effects: Effect) -> dict[str, Any]:
    """The keys of `loop` that decide one of `effects`, nested as in the file, JSON values.

    Left out are keys at their default. What decides the weights of one candidate is `weights_of`: of section
    `train`, only the keys that its method uses.
    """
    found = decisive(loop, *effects)
    for section, key, default in _derived_defaults(loop):
        if key in found.get(section, {}) and found[section][key] == default:
            del found[section][key]
    return {section: keys for section, keys in found.items() if keys}


def decisive(section: Section, *effects: Effect) -> dict[str, Any]:
    """The keys of one section, and of those in it, that decide one of `effects` and are not at their default.

    The `kind` of a section is always said.
    """
    found: dict[str, Any] = {}
    values = section.model_dump(mode="json")
    for field, info in type(section).model_fields.items():
        name, value, mark = info.alias or field, getattr(section, field), mark_of(info)
        if isinstance(value, Section):
            if mark and mark.extra and not _is_set(info, value):
                continue
            if mark and mark.whole:
                inner = decisive(value, *mark.whole) if set(mark.decides) & set(effects) else {}
            else:
                inner = decisive(value, *effects)
            if inner:
                found[name] = inner
        elif isinstance(value, tuple) and value and all(isinstance(item, Section) for item in value):
            items = [decisive(item, *effects) for item in value]
            if any(items):
                found[name] = items
        elif mark and set(mark.decides) & set(effects) and (name == KIND or _is_set(info, value)):
            found[name] = values[name]
    return found


def deciding_keys(section: Section, *effects: Effect, prefix: str = "") -> Iterator[str]:
    """The keys of `section`, and of those in it, that decide one of `effects`, dotted, whatever they are."""
    for field, info in type(section).model_fields.items():
        name, value, mark = f"{prefix}{info.alias or field}", getattr(section, field), mark_of(info)
        if isinstance(value, Section):
            if not (mark and mark.whole):
                yield from deciding_keys(value, *effects, prefix=f"{name}.")
            elif set(mark.decides) & set(effects):
                yield from deciding_keys(value, *mark.whole, prefix=f"{name}.")
        elif mark and set(mark.decides) & set(effects):
            yield name


def training_identity(loop: LoopSpec) -> dict[str, Any]:
    """What decides the outcome of a training besides its rows: the split, the task, each candidate."""
    shared = identity(loop, "dataset", "weights")
    shared.pop("train", None)
    candidates = {each.name: candidate_settings(loop.train, each) for each in loop.train.all_candidates}
    return {**shared, "candidates": candidates}


def weights_of(loop: LoopSpec, candidate: Candidate) -> dict[str, Any]:
    """What decides the weights of one candidate besides its rows."""
    shared = identity(loop, "weights")
    shared.pop("train", None)
    return {**shared, "train": candidate_settings(loop.train, candidate)}


def candidate_settings(train: Train, candidate: Candidate) -> dict[str, Any]:
    """The settings of a candidate that are not at their default, flat: `method`, `method.rank`, `epochs`."""
    method = candidate.method
    own = {f"method.{key}": value for key, value in decisive(method, "weights").items() if key != KIND}
    used = train.used_by(method)
    shared = {key: value for key, value in decisive(train, "weights").items() if key in used}
    search = train.searched(candidate.name)
    tried = {f"search.{key}": value for key, value in search.identity.items()} if search else {}
    return {"method": method.kind, **own, **shared, **tried}


def _is_set(info: FieldInfo, value: Any) -> bool:
    return info.is_required() or value != info.get_default(call_default_factory=True)


def _derived_defaults(loop: LoopSpec) -> tuple[tuple[str, str, Any], ...]:
    """Keys whose default depends on the task: said or left open, they are the same."""
    return (
        ("evaluate", "metric", metrics_of(loop.task.kind)[0].name),
        ("gate", "min_score", loop.metric.bar),
        ("gate", "max_regression", loop.metric.slack),
    )
