"""The fields of the trigger forms. What a key may hold comes from the loop file's models: one truth.

A field named `section.key` overrides that key of the loop file for one run (`overrides`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import Param

from lakeloop.spec.models import LoopSpec
from lakeloop.spec.override import override

DRY_RUN = "dry_run"
"""The field that keeps a run from changing anything."""

FORCE = "force"
"""The field that does what the plan would leave."""

PARTITION = Param(
    None,
    type=["null", "string"],
    format="date",
    title="Partition",
    description="The UTC day to work on. Empty: the run's partition key, or else the day before the run.",
)


def switch(title: str, description: str) -> Param:
    """A field that is off unless a person turns it on."""
    return Param(False, type="boolean", title=title, description=description)


def loop_fields(loop: LoopSpec, *keys: str) -> dict[str, Param]:
    """A field for each of `keys` (`train.epochs`), filled with the loop file's value."""
    return {key: _field(loop, key) for key in keys}


def overridden(loop: LoopSpec, params: Mapping[str, Any]) -> LoopSpec:
    """`loop` with the values of the form that differ from the file's.

    Raises:
        ConfigurationError: the models refuse a value.
    """
    changes = {key: value for key, value in params.items() if "." in key and value != _current(loop, key)}
    return override(loop, changes) if changes else loop


def _field(loop: LoopSpec, key: str) -> Param:
    section, name = key.split(".")
    schema = dict(type(getattr(loop, section)).model_json_schema()["properties"][name])
    schema.pop("default", None)
    description = schema.pop("description", None)
    if "anyOf" in schema:  # An optional key: the form knows lists of types, and no anyOf.
        parts = schema.pop("anyOf")
        for part in parts:
            schema |= {rule: value for rule, value in part.items() if rule != "type"}
        schema["type"] = [part["type"] for part in parts]
    return Param(_current(loop, key), description=description, **{**schema, "section": section.capitalize()})


def _current(loop: LoopSpec, key: str) -> Any:
    section, name = key.split(".")
    return getattr(getattr(loop, section), name)
