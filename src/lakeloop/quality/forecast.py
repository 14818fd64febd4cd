"""What `validate` would say of single rows of raw, before they are built.

A forecast: the row checks look at columns as they are built by the models that are generated; models that a
person took over may build something else. Rows are not compared with others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from lakeloop.cleaning.language import language_of
from lakeloop.cleaning.steps import clean_texts, steps_of
from lakeloop.lake.tables import mart_schema
from lakeloop.quality.rows import reasons_alone
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.normal import normalised
from lakeloop.spec.tasks.base import LANGUAGE, TEXT, Role, in_words


def forecast(rows: Sequence[Mapping[str, Any]], loop: LoopSpec) -> dict[int, list[dict[str, str]]]:
    """Number of a row, from 0 -> why it would be refused: `code`, `column`, `detail`. Good rows are left out.

    Where answers come apart from their rows nothing is said of answers: they are not there. `rows` have the
    declared columns, under their stored names.

    Raises:
        ConfigurationError: a check cannot be evaluated.
    """
    if not rows:
        return {}
    # Where a row that the task does not know stops the day, nobody is to bring one in.
    checks = loop.checks.model_copy(update={"task_severity": "row"})
    loop = loop.model_copy(update={"checks": checks})
    built = pa.Table.from_pylist([_built(row, loop) for row in rows], mart_schema(loop))
    with duckdb.connect() as connection:
        found = reasons_alone(connection, built, loop)
    if loop.labels is None:
        return found
    of_rows = {
        number: [reason for reason in reasons if reason["column"] != loop.task.target]
        for number, reasons in found.items()
    }
    return {number: reasons for number, reasons in of_rows.items() if reasons}


def _built(row: Mapping[str, Any], loop: LoopSpec) -> dict[str, Any]:
    source, key = loop.source, loop.source.key_column
    columns: dict[str, Any] = {
        name: _value(row[source.stored(role.column)], name, role, loop)
        if role.column in source.types
        else None
        for name, role in loop.task.roles().items()
    }
    if loop.clean.tags_language:
        text = columns[TEXT]
        columns[LANGUAGE] = None if text is None else language_of(text)
    named = "row" if key is None else row[key.stored]
    return {"row_id": None if named is None else str(named), **columns, "text_key": ""}


def _value(value: Any, name: str, role: Role, loop: LoopSpec) -> Any:
    if value is None or role.kept_as == "number":
        return value
    if name in loop.task.texts:
        steps = steps_of(loop.clean, keep_length=loop.task.placed)
        return clean_texts([in_words(value)], steps)[0]
    words = normalised(in_words(value)) if loop.clean.normalise else in_words(value)
    return words or None
