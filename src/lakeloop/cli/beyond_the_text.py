"""What is wrong with a loop file that its text alone does not say: patterns to compile, files to find.

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
from lakeloop.spec.paths import beside_folder
from lakeloop.spec.quoting import Key, plain, quote
from lakeloop.spec.reading.document import parse, read_text
from lakeloop.spec.reading.load import shown_path
from lakeloop.spec.reading.problems import Problem, list_problems
from lakeloop.spec.score import OF_THE_LAKE
from lakeloop.spec.train import CHAMPION
from lakeloop.stages.release.score import table_meant
from lakeloop.stages.training.evaluation_order import strangers_of


def require_usable(loop: LoopSpec, path: Path, settings: Settings) -> None:
    """Compile the patterns of `loop`, of the file at `path`; look for its base model and what it needs.

    The patterns are compiled with DuckDB, whose RE2 will judge the rows.

    Raises:
        ConfigurationError: one or more do not compile, or a file is not there or none that can be used; each
            with its line and key.
    """
    refused = [
        *_patterns(loop),
        *_base_model(loop, settings),
        *_files_beside(loop, settings),
        *_evaluation(loop, settings),
    ]
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


def _evaluation(loop: LoopSpec, settings: Settings) -> Iterator[tuple[Key, ConfigurationError]]:
    """What an evaluation would find missing when the training is done."""
    from lakeloop.evaluation.synonyms import synonyms_of
    from lakeloop.inference.explaining import not_there

    if missing := not_there(loop.evaluate.explain):
        yield tuple(missing.where.split(".")), missing
    try:
        synonyms_of(loop.evaluate, settings)
    except ConfigurationError as error:
        yield tuple(error.where.split(".")), error


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


def _files_beside(loop: LoopSpec, settings: Settings) -> Iterator[tuple[Key, ConfigurationError]]:
    """Files that have to be there when a stage is; of files of a day nobody knows when they come."""
    folders = {
        (key, path)
        for candidate in loop.train.all_candidates
        for key, path in loop.train.folders_for(candidate.method).items()
        if path != CHAMPION
    }
    for key, path in sorted(folders):
        try:
            beside_folder(key, path, settings)
        except ConfigurationError as error:
            yield ("train", *key.split(".")), error
    try:
        strangers_of(loop, settings)
    except ConfigurationError as error:
        yield ("evaluate", "out_of_scope"), error
    if misread := _mistaken_table(loop, settings):
        yield ("score", "source"), misread


def _mistaken_table(loop: LoopSpec, settings: Settings) -> ConfigurationError | None:
    """A source of rows to answer that is the name of a table with a mistake, and of no file or folder."""
    source = loop.score.path
    if source is None or not (table := table_meant(source)) or (settings.root / source).exists():
        return None
    return ConfigurationError(
        "neither a table nor a file",
        expected=f"{', '.join(OF_THE_LAKE)}, or a path of files, such as inbox/{{partition}}.csv",
        found=quote(source),
        remedy=f"did you mean {table}? A folder {source} has to be there, or is written {source}/",
    )
