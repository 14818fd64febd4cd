"""The fields of the trigger forms. What a key may hold comes from the loop file's models: one truth.

A field named `section.key` overrides that key of the loop file for one run (`changed`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from airflow.sdk import Param
from pydantic import create_model
from pydantic.fields import FieldInfo

from lakeloop.spec.base import mark_of
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.reading.override import current, kinds_of_key, overridable

DRY_RUN = "dry_run"
"""The field that keeps a run from changing anything."""

_EXTRAS = "beside the method"
"""Ends the name of the part of a form with what does nothing unless it is asked for."""

FORCE = "force"
"""The field that has a training done which the plan would leave undone."""

EXPERIMENT = "experiment"
"""The field that has a training done apart from production."""


def day_field(zone: str) -> Param:
    """The field for the day to work on, in the time zone `zone`; empty unless a person sets it."""
    return Param(
        None,
        type=["null", "string"],
        format="date",
        title="Partition",
        description=f"The day to work on ({zone})."
        " Empty: the run's partition key, or else the day before the run.",
    )


def switch(title: str, description: str) -> Param:
    """A field that is off unless a person turns it on."""
    return Param(False, type="boolean", title=title, description=description)


def experiment_field() -> Param:
    """The field for the name of an experiment; empty for production."""
    return Param(
        None,
        type=["null", "string"],
        title="Experiment",
        description="A small name: train and evaluate apart from production, and release nothing."
        " Empty: the run is production's.",
    )


def run_fields(loop: LoopSpec, section: str) -> dict[str, Param]:
    """A field for each key of `section` that one run may set, filled with the loop file's value."""
    keys = overridable(loop)
    return {key: _field(loop, key, keys[key]) for key in keys if key.split(".")[0] == section}


def changed(loop: LoopSpec, params: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of the loop file that the form has another value for."""
    return {key: value for key, value in params.items() if "." in key and value != current(loop, key)}


def _field(loop: LoopSpec, key: str, infos: Sequence[FieldInfo]) -> Param:
    *sections, name = key.split(".")
    schema = _loosest([_schema(info) for info in infos])
    value = current(loop, key)
    types = _flat([schema["type"]])
    if value is None and "null" not in types:  # a key that only another method has
        schema["type"] = [*types, "null"]
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
    words, mark = _words(key, infos), mark_of(infos[0])
    section = ".".join(sections).capitalize()
    if mark is not None and mark.extra:  # many, and most runs leave them alone
        section += f": {_EXTRAS}"
    return Param(value, description=words or None, title=name, **schema, section=section)


def _words(key: str, infos: Sequence[FieldInfo]) -> str:
    """What the key means; where that differs from kind to kind, of each kind that says something."""
    words = [info.description or "" for info in infos]
    kinds = kinds_of_key(key)
    if len(set(words)) == 1 or len(kinds) != len(words):
        return words[0]
    by_words: dict[str, list[str]] = {}
    for kind, each in zip(kinds, words, strict=True):
        by_words.setdefault(each, []).append(kind)
    return "\n".join(f"{', '.join(kinds)}: {each}" for each, kinds in by_words.items() if each)


def _schema(info: FieldInfo) -> dict[str, Any]:
    """The JSON schema of one key, as far as a form knows it: a type, or several, and limits."""
    model = create_model("Field", value=(cast("Any", info.annotation), info))
    schema = dict(model.model_json_schema()["properties"]["value"])
    for rule in ("default", "description", "title"):
        schema.pop(rule, None)
    parts = schema.pop("anyOf", [])
    if any("enum" in part for part in parts):  # a choice by kind: the form offers its names
        return next(part for part in parts if "enum" in part)
    for part in parts:  # an optional key: the form knows lists of types, and no anyOf
        schema |= {rule: value for rule, value in part.items() if rule != "type"}
    if parts:
        schema["type"] = [part["type"] for part in parts]
    return schema


def _loosest(schemas: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What any of `schemas` allows, as far as one field can say it.

    Methods may have a key of one name with other choices and limits, and the form knows no method: whether
    a value suits the run's is found out when the run reads it.
    """
    merged = {}
    for rule in schemas[0]:
        values = [schema[rule] for schema in schemas if rule in schema]
        if len(values) < len(schemas):
            continue  # one of them has no such limit
        if rule in _LOOSER:
            merged[rule] = _LOOSER[rule](values)
        elif all(value == values[0] for value in values):
            merged[rule] = values[0]
    return merged


def _flat(values: Sequence[Any]) -> list[Any]:
    """The different ones of `values`, and of the lists among them, in order."""
    return list(
        dict.fromkeys(each for value in values for each in (value if isinstance(value, list) else [value]))
    )


def _types(values: Sequence[Any]) -> Any:
    flat = _flat(values)
    return flat[0] if len(flat) == 1 else flat


_LOOSER: dict[str, Callable[[Sequence[Any]], Any]] = {
    "type": _types,
    "enum": _flat,
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems"), min),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems"), max),
}
