"""Rows of a table for a reader that takes files, such as DuckDB: the Parquet files that hold them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class RowFiles:
    """Rows of a version of a table: all rows of Parquet files on this disk."""

    paths: tuple[str, ...]
    """At least one."""
    columns: tuple[str, ...]
    """Of the table, in its order; the files have them with its types, but for those of `partition`."""
    partition: Mapping[str, str]
    """The columns that are not in the files, each with the value of all rows."""
