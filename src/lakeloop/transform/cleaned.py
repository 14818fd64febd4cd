"""The rows that dbt has built, after the cleaning steps of the loop file that SQL does not know.

They run on what the models made, whatever columns it was made of, by the same code as in front of a model.
"""

# Names are quoted by `identifier`.
# ruff: noqa: S608

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from lakeloop.cleaning.language import languages_of
from lakeloop.cleaning.steps import run_step, steps_of
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.quoting import identifier
from lakeloop.spec.tasks.base import LANGUAGE, TEXT

_SHOWN = 10
"""Languages that are named."""
_KEY, _ROW = "text_key", "row_id"
_BY_DBT = ("normalise",)
"""Steps that rows went through in SQL; alone, they need not run again."""


class CleanedRows:
    """Rows of the mart on their way from dbt to `staging`, cleaned, and what was changed in them."""

    def __init__(self, rows: pa.RecordBatchReader, loop: LoopSpec) -> None:
        self._rows = rows
        self._task = loop.task
        self._tags = loop.clean.tags_language
        self._steps = steps_of(loop.clean, keep_length=loop.task.placed)
        self.changed: Counter[str] = Counter()
        """Step -> rows in which it changed a text."""
        self.languages: Counter[str] = Counter()
        """Language -> rows whose text is in it, where the loop file asks for it."""

    def reader(self) -> pa.RecordBatchReader:
        """The rows, once, with `text_key` as the models make it of the texts as they are now."""
        if self._steps in ((), _BY_DBT) and not self._tags:
            return self._rows
        self.changed.update(dict.fromkeys((step for step in self._steps if step not in _BY_DBT), 0))
        schema = self._rows.schema
        if self._tags:
            schema = schema.append(pa.field(LANGUAGE, pa.string()))
        return pa.RecordBatchReader.from_batches(schema, self._batches())

    @property
    def metrics(self) -> dict[str, float]:
        """Rows changed by each step, and rows in each language, by the names that W&B shows."""
        steps = {f"clean/{step.replace(':', '/')}": float(rows) for step, rows in self.changed.items()}
        return steps | {f"language/{name}": float(rows) for name, rows in self.languages.most_common(_SHOWN)}

    @property
    def words(self) -> str:
        """What happened to the rows, as part of a sentence: `, cleaned: invisible in 3, languages: en 9`."""
        steps = ", ".join(f"{step} in {rows}" for step, rows in self.changed.items())
        spoken = ", ".join(f"{name} {rows}" for name, rows in self.languages.most_common(_SHOWN))
        return (f", cleaned: {steps}" if steps else "") + (f", languages: {spoken}" if spoken else "")

    def _batches(self) -> Iterator[pa.RecordBatch]:
        with duckdb.connect() as connection:
            for batch in self._rows:
                touched = pa.array([False]).take(pa.array([0] * batch.num_rows, pa.int64()))
                cleaned = batch
                for name in self._task.texts:
                    texts, changed = self._clean(cleaned[name])
                    cleaned = cleaned.set_column(cleaned.schema.get_field_index(name), name, texts)
                    touched = pc.or_(touched, changed)
                if pc.any(touched).as_py():
                    cleaned = self._keyed(connection, cleaned, touched)
                yield self._tagged(cleaned) if self._tags else cleaned

    def _tagged(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        languages = languages_of(batch[TEXT])
        self.languages.update(language for language in languages.to_pylist() if language is not None)
        return batch.append_column(LANGUAGE, languages)

    def _clean(self, texts: pa.Array) -> tuple[pa.Array, pa.Array]:
        """`texts` after all steps, and which of them are others now (bool [texts])."""
        before = texts
        for step in self._steps:
            after = run_step(texts, step)
            if step in self.changed:
                differs = pc.fill_null(pc.not_equal(texts, after), False)
                self.changed[step] += pc.sum(differs).as_py() or 0
            texts = after
        return texts, pc.fill_null(pc.not_equal(before, texts), False)

    def _keyed(
        self, connection: duckdb.DuckDBPyConnection, batch: pa.RecordBatch, touched: pa.Array
    ) -> pa.RecordBatch:
        """`batch` with new keys where `touched`: texts that are alike now fall on one side of a split."""
        reads = [TEXT, *(name for name in self._task.reads if name != TEXT)]
        rows = pa.Table.from_batches([batch.filter(touched)]).select([*dict.fromkeys([_ROW, *reads])])
        connection.register("rows", rows)
        keys = connection.sql(f"select {_key(reads)} as {_KEY} from rows").to_arrow_table()[_KEY]
        connection.unregister("rows")
        place = batch.schema.get_field_index(_KEY)
        key = batch.column(place)
        made = pc.replace_with_mask(key, touched, keys.combine_chunks().cast(key.type))
        return batch.set_column(place, batch.schema.field(place), made)


def _key(reads: list[str]) -> str:
    """What macro `text_key` makes, in SQL over the columns of the mart that are read."""
    read = ", ".join(f"cast({identifier(name)} as varchar)" for name in reads)
    text = f"concat_ws(' ', {read})" if len(reads) > 1 else identifier(reads[0])
    letters = rf"regexp_replace(lower(nfc_normalize({text})), '[^\p{{L}}\p{{M}}\p{{N}}]+', '', 'g')"
    return f"left(sha256(coalesce(nullif({letters}, ''), 'row:' || {identifier(_ROW)})), 32)"
