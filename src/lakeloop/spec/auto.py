"""Numbers that a key may leave to the device that a job runs on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidatorFunctionWrapHandler
from pydantic_core import CoreSchema, core_schema

from lakeloop.spec.base import PATTERNS

AUTO = "auto"
"""What such a key says."""
_PATTERN = f"^{AUTO}$"
PATTERNS[_PATTERN] = f"a whole number, or {AUTO}"


@dataclass(frozen=True)
class OrAuto:
    """On a key of the type `int | str`: a whole number within limits, or `auto`.

    A union would tell a wrong value twice, at keys that no loop file has.
    """

    least: int
    most: int

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(
            _auto_or,
            core_schema.int_schema(ge=self.least, le=self.most),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda value: value),
        )

    def __get_pydantic_json_schema__(self, _core: CoreSchema, _handler: GetJsonSchemaHandler) -> Any:
        number = {"type": "integer", "minimum": self.least, "maximum": self.most}
        return {"anyOf": [number, {"type": "string", "pattern": _PATTERN}]}


def _auto_or(value: Any, number: ValidatorFunctionWrapHandler) -> Any:
    if isinstance(value, str):
        if value != AUTO:
            raise ValueError(PATTERNS[_PATTERN])
        return value
    return number(value)
