"""Compiles the regular expressions of a loop file with DuckDB, whose RE2 will judge the rows.

Not in `spec`, which DAG files import while they are parsed: DuckDB is heavy.
"""

from __future__ import annotations

from pathlib import Path

from lakeloop.settings import Settings
from lakeloop.spec.checks import Matches
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.quoting import plain, quote
from lakeloop.spec.reading.document import parse, read_text
from lakeloop.spec.reading.load import shown_path
from lakeloop.spec.reading.problems import Problem, list_problems


def require_patterns(loop: LoopSpec, path: Path, settings: Settings) -> None:
    """Compile each `regex` of `loop`, which is the loop of the file at `path`.

    Raises:
        ConfigurationError: one or more do not compile, each with its line and key.
    """
    refused = {
        ("checks", "rows", number, "regex"): (check.regex, reason)
        for number, check in enumerate(loop.checks.rows)
        if isinstance(check, Matches) and (reason := _refusal(check.regex))
    }
    if refused:
        shown_as = shown_path(path, settings)
        document = parse(read_text(path, shown_as), shown_as)
        raise list_problems(
            shown_as,
            [
                Problem(
                    document.line(key),
                    key,
                    "not a regular expression that can be used",
                    "RE2 syntax: no look-around, no back references",
                    f"{quote(regex)} ({plain(reason, 200)})",
                )
                for key, (regex, reason) in refused.items()
            ],
        )


def _refusal(regex: str) -> str:
    """Why DuckDB cannot compile `regex`; empty when it can."""
    import duckdb

    with duckdb.connect() as connection:
        try:
            connection.execute("select regexp_matches('', ?)", [regex])
        except duckdb.Error as error:
            return str(error).strip().splitlines()[0]
    return ""
