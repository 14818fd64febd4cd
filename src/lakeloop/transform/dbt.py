"""Runs the dbt project in this process, on one DuckDB file, and says what each model and test did.

In process, because starting dbt costs three times what building two models does. Which rows are in the file
and where the result goes is decided by the stage; what a failure means is in `failures`. dbt is imported
inside functions only.
"""

from __future__ import annotations

import gc
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakeloop.durable import digest_folder, mark_used, sha256_file, write_atomically
from lakeloop.errors import ConfigurationError
from lakeloop.records import fingerprint
from lakeloop.scratch.duckdb import memory_limit, spill_folder
from lakeloop.spec.clean import Clean
from lakeloop.transform.failures import build_failure, parse_failure, tested
from lakeloop.transform.page import DocsPage
from lakeloop.transform.told import NodeResult, tell_nodes

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

log = logging.getLogger(__name__)

DATABASE_FILE = "transform.duckdb"
"""Name of the DuckDB file. dbt writes the stem into every relation's name, and so into the parsed project."""

_LOADED_BY_DBT = ("dbt-core", "dbt-adapters", "dbt-duckdb")
_WELL = frozenset({"success", "pass"})
_TOLD = frozenset({"LogModelResult", "LogTestResult", "LogSkipBecauseError"})
_one_build = threading.Lock()
"""dbt keeps its flags, its adapter and its environment in globals."""


@dataclass(frozen=True)
class _Place:
    """Where the project is, and where a person will find its models."""

    project: Path
    shown_as: Path
    loop: str
    generated: bool

    @property
    def note(self) -> str:
        """How to change a model that is wrong, where that is not plain."""
        how = f"; the models are generated: to change them, lakeloop eject {self.loop}"
        return how if self.generated else ""


def build(
    project: Path,
    database: Path,
    *,
    loop: str,
    clean: Clean,
    target: Path,
    cache: Path,
    kept_as: Path | None = None,
    own: Path | None = None,
    docs: DocsPage | None = None,
) -> tuple[NodeResult, ...]:
    """Build the models of `loop` in the DuckDB file `database` and run their data tests.

    Args:
        project: folder of the dbt project; nothing is written there.
        database: DuckDB file with the table `<loop>.raw`, named `DATABASE_FILE`; gets `stg_<loop>` and
            `mart_<loop>`. No connection to it may be open.
        loop: name of the loop, of its folder below models/ and of its source.
        clean: switches for the macros.
        target: folder for what dbt writes: compiled SQL, results, log.
        cache: folder for parsed projects, shared between partitions, loops and homes.
        kept_as: where `database` will lie when a person reads the error message, if it is going to move.
        own: the project that the models of `project` were copied from; None where they were generated, beside
            `database`, and move with it.
        docs: dbt's page about the project, to be made where it is due and all is well.

    Returns:
        What dbt did with each model and each test.

    Raises:
        ConfigurationError: a model, its contract or the project is wrong, or DuckDB needs more memory.
        DataError: a data test failed, or a value does not fit the model.
        ServiceError: another process has the file open.
    """
    _require_models(project, loop)
    try:
        kept_as = kept_as or database
        place = _Place(project, own or kept_as.parent / project.name, loop, own is None)
        return _build(place, database, clean, target, cache, kept_as, docs)
    finally:
        # dbt's semaphores go with its objects, which hold each other. A task ends without clearing up, and
        # the end of its log would complain of them as leaked.
        gc.collect()


def _build(
    place: _Place,
    database: Path,
    clean: Clean,
    target: Path,
    cache: Path,
    kept_as: Path,
    docs: DocsPage | None,
) -> tuple[NodeResult, ...]:
    arguments = [
        "--project-dir", f"{place.project}", "--profiles-dir", f"{place.project}",
        "--target-path", str(target), "--log-path", str(target),
        "--log-level", "none", "--log-level-file", "info", "--no-use-colors-file",
        "--no-send-anonymous-usage-stats", "--no-version-check", "--no-partial-parse", "--no-print",
    ]  # fmt: skip
    with _dbt_alone(_environment(database, clean)):
        manifest = _parsed(place, arguments, cache, clean)
        # Unit tests are about the models' code, not about today's rows: they run with the project's tests.
        left_out = [part for kind in ("unit_test", "exposure") for part in ("--exclude-resource-type", kind)]
        selection = ["--select", f"path:models/{place.loop}", *left_out]
        outcome = _invoke(["build", *arguments, *selection], manifest)
        nodes = tuple(map(_result, outcome.result or ()))
        tell_nodes(nodes)
        if not outcome.success:
            raise build_failure(outcome, place.shown_as, kept_as, place.note)
        if docs and docs.is_due:
            _document(arguments, manifest, target, docs)
    return nodes


def _result(result: Any) -> NodeResult:
    node = result.node
    kind, status = str(node.resource_type), str(result.status)
    return NodeResult(
        name=node.name,
        kind=kind,
        status=status,
        seconds=result.execution_time,
        of=node.name if kind == "model" else tested(node),
        relation=node.relation_name if kind == "model" else None,
        failures=result.failures or 0,
        message="" if status in _WELL else next(iter(str(result.message or "").splitlines()), ""),
    )


def _document(arguments: list[str], manifest: Manifest, target: Path, docs: DocsPage) -> None:
    """Make dbt's page of what was built. A build is no worse for one that cannot be made."""
    # Compiled it is already; what `build` wrote of the project into `target` is what the page shows.
    outcome = _invoke(["docs", "generate", "--static", "--no-compile", *arguments], manifest)
    page = target / "static_index.html"
    if outcome.success and page.is_file():
        docs.write(page.read_bytes())
        for copy in (page, target / "index.html"):
            copy.unlink(missing_ok=True)
    else:
        log.warning("dbt could not make its page of the models: %s", outcome.exception)


def _environment(database: Path, clean: Clean) -> dict[str, str]:
    """What the project's profile and macros read; not --vars, which would have everything parsed anew."""
    return {
        "LAKELOOP_DUCKDB": str(database),
        "LAKELOOP_DUCKDB_MEMORY": memory_limit(),
        "LAKELOOP_DUCKDB_TEMP": str(spill_folder(database)),
        "LAKELOOP_NORMALISE": str(clean.normalise).lower(),
        "LAKELOOP_DROP_NEAR_DUPLICATES": str(clean.drop_near_duplicates).lower(),
    }


def _require_models(project: Path, loop: str) -> None:
    wanted = project / "models" / loop / "marts" / f"mart_{loop}.sql"
    if not wanted.is_file():
        raise ConfigurationError(
            f"the dbt models of loop {loop!r} are not complete",
            where=str(project),
            expected=str(wanted.relative_to(project)),
            remedy=f"complete models/{loop}/ after the example at the top of macros/texts.sql; or move it"
            " away, and the models are generated",
        )


def _parsed(place: _Place, arguments: list[str], cache: Path, clean: Clean) -> Manifest:
    """The parsed project: from `cache` when nothing that parsing reads has changed, else parsed now.

    dbt's own partial parsing does not help: it starts anew whenever the profile's path changes, which it
    does with every partition. The cache saves 2 of 5 seconds.
    """
    from dbt.contracts.graph.manifest import Manifest
    from dbt.parser.manifest import extended_mashumaro_encoder, extended_mashumuro_decoder

    project = place.project
    key = fingerprint(
        # Not where the project lies: what is parsed is the same anywhere, and generated models lie elsewhere
        # each time.
        files={part: digest_folder(project / part) for part in ("macros", "models", "tests")},
        settings={name: sha256_file(project / name) for name in ("dbt_project.yml", "profiles.yml")},
        clean=clean,
        versions={name: metadata.version(name) for name in _LOADED_BY_DBT},
    )
    file = cache / f"{key[:16]}.msgpack"
    if file.exists():
        try:
            kept = Manifest.from_msgpack(file.read_bytes(), decoder=extended_mashumuro_decoder)
        except (OSError, ValueError, TypeError, LookupError) as error:
            log.warning("%s cannot be read, the project is parsed again (%s)", file, error)
        else:
            mark_used(file)
            return kept
    outcome = _invoke(["parse", *arguments], None)
    if not outcome.success:
        raise parse_failure(outcome, place.shown_as, place.loop, place.note)
    # Written before the build, which changes the nodes it has compiled.
    write_atomically(file, outcome.result.to_msgpack(extended_mashumaro_encoder))
    manifest: Manifest = outcome.result
    return manifest


def _invoke(arguments: list[str], manifest: Manifest | None) -> Any:
    from dbt.cli.main import dbtRunner

    outcome = dbtRunner(manifest=manifest, callbacks=[_relay]).invoke(arguments)
    if outcome.exception is not None and not isinstance(outcome.exception, Exception):
        raise outcome.exception  # an interrupt, which dbt would swallow
    return outcome


def _relay(event: Any) -> None:
    """Tell our log what a person wants to read of dbt's events, while it happens.

    What is wrong says the error that is raised, once.
    """
    if event.info.name in _TOLD:
        log.info("dbt: %s", event.info.msg)
    elif event.info.level == "warn":
        log.warning("dbt: %s", event.info.msg)
    elif event.info.level == "error":
        log.debug("dbt: %s", event.info.msg)


@contextmanager
def _dbt_alone(environment: Mapping[str, str]) -> Iterator[None]:
    """Run dbt with these variables and none of the user's DBT_*, and leave no trace of it in the process."""
    hidden = [name for name in os.environ if name.startswith("DBT_")]
    with _one_build:
        before = {name: os.environ.get(name) for name in (*hidden, *environment)}
        for name in hidden:
            del os.environ[name]
        os.environ.update(environment)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
            _let_go()


def _let_go() -> None:
    """Drop what dbt keeps between invocations: the DuckDB file, its adapter, the handler of its log file."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.adapters.factory import reset_adapters
    from dbt_common.events.event_manager_client import cleanup_event_logger

    connections: Any = DuckDBConnectionManager
    connections.close_all_connections()
    reset_adapters()
    cleanup_event_logger()
    for name in ("stdout_log", "file_log"):
        logger = logging.getLogger(name)
        for handler in list(logger.handlers):
            logger.removeHandler(handler)
            handler.close()
