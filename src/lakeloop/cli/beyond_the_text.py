"""What is wrong with a loop file that its text alone does not say: patterns to compile, a base model to find.

Not in `spec`, which DAG files import while they are parsed: DuckDB is heavy, and a folder may come later.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lakeloop.base_model import folder_of, misfits_of, misfits_of_packed
from lakeloop.bases.quantised import NotUnpackedError
from lakeloop.errors import ConfigurationError
from lakeloop.hub import HUB, offline
from lakeloop.settings import Settings
from lakeloop.spec.checks import Matches, NotMatches
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.quoting import Key, plain, quote
from lakeloop.spec.reading.document import parse, read_text
from lakeloop.spec.reading.load import shown_path
from lakeloop.spec.reading.problems import Problem, list_problems
from lakeloop.spec.train import CHAMPION


def require_usable(loop: LoopSpec, path: Path, settings: Settings) -> None:
    """Compile the patterns of `loop`, which is the loop of the file at `path`, and look for its base model.

    The patterns are compiled with DuckDB, whose RE2 will judge the rows.

    Raises:
        ConfigurationError: one or more do not compile, or there is no such model; each with its line and key.
    """
    refused = [*_patterns(loop), *_base_model(loop, settings)]
    if not refused:
        return
    shown_as = shown_path(path, settings)
    document = parse(read_text(path, shown_as), shown_as)
    raise list_problems(
        shown_as,
        [
            Problem(document.line(key), key, error.message, error.expected, error.found, remedy=error.remedy)
            for key, error in refused
        ],
    )


def _patterns(loop: LoopSpec) -> Iterator[tuple[Key, ConfigurationError]]:
    for number, check in enumerate(loop.checks.rows):
        if isinstance(check, Matches | NotMatches) and (reason := _refusal(check.regex)):
            yield (
                ("checks", "rows", number, "regex"),
                ConfigurationError(
                    "not a regular expression that can be used",
                    expected="RE2 syntax: no look-around, no back references",
                    found=f"{quote(check.regex)} ({plain(reason, 200)})",
                ),
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


def _base_model(loop: LoopSpec, settings: Settings) -> Iterator[tuple[Key, ConfigurationError]]:
    train = loop.train
    if train.base_model == CHAMPION:  # its own training was checked
        return
    try:
        folder = folder_of(train, settings)
    except NotUnpackedError:  # the first training does that, and looks at all of it
        for key, misfit in misfits_of_packed(train, settings, train.all_candidates, loop.task):
            yield ("train", *key), misfit
        return
    except ConfigurationError as error:
        if not train.base_model.startswith(HUB) or offline():  # else the first training fetches it
            yield ("train", "base_model"), error
        return
    try:
        for key, misfit in misfits_of(train, folder, train.all_candidates, loop.task):
            yield ("train", *key), misfit
    except ConfigurationError as error:
        yield ("train", "base_model"), error
