"""The models as a tree of keys: which keys a section has, and where in the file pydantic's location is.

Introspection only; no values and no wording.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.quoting import Key


class Place(NamedTuple):
    key: Key
    """As in the file: without the tags that pydantic adds for `kind`."""
    shape: Any
    """The type that is expected there; None when nothing is known there."""
    section: type[BaseModel] | None
    """The innermost section around it."""
    chosen: bool = False
    """It is one of several types that are all right there: what is wrong is said for each of them."""


def locate(location: tuple[int | str, ...]) -> Place:
    """Where `location`, from a pydantic error of `LoopSpec`, is in the file."""
    key: Key = ()
    shape: Any = LoopSpec
    section: type[BaseModel] | None = LoopSpec
    chosen = False
    for part in location:
        if part == "[key]":  # pydantic's mark for a key of a mapping that is itself wrong
            continue
        if kinds := kinds_of(shape):
            shape = kinds.get(str(part))
            continue
        if chosen := part in (types_ := _alternatives(shape)):
            shape = types_[part]
            continue
        section = next(filter(_is_model, _members(shape)), section)  # also of a section that may be left out
        key = (*key, part)
        shape = _child(shape, part)
    return Place(key, shape, section, chosen)


def kinds_of(shape: Any) -> Mapping[str, type[BaseModel]]:
    """The sections that `kind` chooses from, by kind; empty when `shape` is no such choice."""
    members = [m for m in _members(shape) if _is_model(m) and "kind" in m.model_fields]
    if len(members) < 2:
        return {}
    return {tag: m for m in members for tag in get_args(m.model_fields["kind"].annotation)}


def kinds_with(key: Key) -> tuple[str, ...]:
    """The kinds of the choice around `key` that have it; empty where it is in no such choice."""
    shape: Any = LoopSpec
    for part in key[:-1]:
        sections = kinds_of(shape).values() or (shape,)
        shape = next((inner for section in sections if (inner := _child(section, part)) is not None), None)
    return tuple(kind for kind, section in kinds_of(shape).items() if key[-1] in keys_of(section))


def keys_of(section: type[BaseModel]) -> list[str]:
    """The keys of a section, as a loop file writes them."""
    return [info.alias or name for name, info in section.model_fields.items()]


@functools.cache
def dotted_keys() -> tuple[str, ...]:
    """All keys that a loop file can have, dotted; without the insides of lists and of free mappings."""
    return tuple(dict.fromkeys(key for key, _ in walk(LoopSpec)))


def walk(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Each key of `model` and of the sections in it, dotted, with what is known of it.

    A key that several kinds have comes once for each.
    """
    for name, info in model.model_fields.items():
        yield f"{prefix}{name}", info
        inner = kinds_of(info.annotation).values() or filter(_is_model, _members(info.annotation))
        for section in inner:
            yield from walk(section, f"{prefix}{name}.")


def sections_in(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """`model` and every section that is somewhere in it, those in lists too."""
    yield model
    for info in model.model_fields.values():
        for member in _members(info.annotation):
            for inner in (member, *get_args(member)):
                for section in kinds_of(inner).values() or filter(_is_model, _members(inner)):
                    yield from sections_in(section)


def _alternatives(shape: Any) -> Mapping[int | str, Any]:
    """The types that `shape` is a union of, by what pydantic calls them in a location; empty for no union."""
    members = [member for member in _members(shape) if member is not types.NoneType]
    if len(members) < 2:
        return {}
    return {form: m for m in members for form in (m.__name__, f"constrained-{m.__name__}")}


def _child(shape: Any, part: int | str) -> Any:
    if _is_model(shape):
        infos = dict(zip(keys_of(shape), shape.model_fields.values(), strict=True))
        info = infos.get(str(part))
        return info.annotation if info else None
    for member in _members(shape):
        if get_origin(member) is tuple and isinstance(part, int):
            return get_args(member)[0]
        if get_origin(member) is dict:
            return get_args(member)[1]
        if _is_model(member):
            return _child(member, part)
    return None


def _members(shape: Any) -> tuple[Any, ...]:
    """The types that `shape` is a union of; itself when it is none."""
    if get_origin(shape) is Annotated:
        return _members(get_args(shape)[0])
    if get_origin(shape) in (Union, types.UnionType):
        return tuple(inner for member in get_args(shape) for inner in _members(member))
    return (shape,)


def _is_model(shape: Any) -> bool:
    return isinstance(shape, type) and issubclass(shape, BaseModel)
