"""What a failed dbt run means: whose fault it is, in words that name the model or the test, and what to do.

Only wording and sorting; running dbt is in `dbt`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lakeloop.errors import ConfigurationError, DataError, LakeloopError, ServiceError

_BUSY = re.compile(r"Could not set lock on file|database is locked")
_MEMORY = re.compile(r"Out of Memory Error|failed to (allocate|pin)")
_VALUE = re.compile(r"(Conversion|Constraint|Out of Range|Invalid Input) Error")
_FAILED = frozenset({"error", "runtime error", "fail", "partial success"})
_FILE = re.compile(r"[\w./-]+\.(?:sql|yml|yaml|py)\b")
_LINE = re.compile(r"\bline (\d+)")
_QUOTED_LINE = re.compile(r"^\s*LINE \d+: (?:\.\.\.)?(.+?)(?:\.\.\.)?$", re.MULTILINE)
_QUOTED = re.compile(r"(['\"])([\w.]+)\1")
_MESSAGE_LINES = 20
_LINE_CHARACTERS = 400


def parse_failure(outcome: Any, project: Path, loop: str, note: str = "") -> LakeloopError:
    """The error for a project that dbt cannot read; `outcome` is a dbtRunnerResult.

    Where it says which file of the loop it cannot read, and which line, so does the error.
    """
    message = str(outcome.exception)
    where, remedy = str(project), "correct the file that is named"
    if found := _named(message, project):
        # Macros and tests are everybody's.
        alone = "; other loops go on without this one" if f"/models/{loop}/" in found else ""
        where, remedy = found, f"correct it there{note}{alone}"
    return ConfigurationError(
        f"dbt cannot read the models of {loop}: {_shortened(message)}", where=where, remedy=remedy
    )


def _named(message: str, project: Path) -> str:
    """The file of the project that `message` of dbt names first, with the line; empty where it names none."""
    for name in _FILE.findall(message):
        for path in (project / name, project / "models" / name):  # a yml is named from its folder on
            if path.is_file():
                line = _LINE.search(message)
                return f"{path}:{line[1]}" if line else _at_line(path, message)
    return ""


def _at_line(path: Path, message: str) -> str:
    """`path` with the line that `message` is about, where one line alone has what it quotes.

    DuckDB counts lines of what dbt made of the file, but quotes the line; others quote a name.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return str(path)
    if quoted := _QUOTED_LINE.search(message):
        there = [number for number, line in enumerate(lines, 1) if quoted[1].strip() in line]
        if len(there) == 1:
            return f"{path}:{there[0]}"
    for _, name in _QUOTED.findall(message):
        word = re.compile(rf"(?<![\w.]){re.escape(name)}(?!\w)")
        there = [number for number, line in enumerate(lines, 1) if word.search(line)]
        if len(there) == 1:
            return f"{path}:{there[0]}"
    return str(path)


def build_failure(outcome: Any, project: Path, database: Path, note: str = "") -> LakeloopError:
    """The error for a build in which something failed; `outcome` is a dbtRunnerResult.

    `note` ends the remedy where that is to change a model.
    """
    failed = [result for result in outcome.result or () if str(result.status) in _FAILED]
    if not failed:
        message = _shortened(outcome.exception or "no model or test failed, and yet dbt says so")
        return _sorted_out(message, f"dbt did not run: {message}", str(project), database, note)
    models = [result for result in failed if str(result.node.resource_type) != "test"]
    if models:
        node, message = models[0].node, _shortened(models[0].message)
        return _sorted_out(
            message,
            f"{node.resource_type} {node.name}: {message}{_others(failed)}",
            _at_line(project / node.original_file_path, message),
            database,
            note,
        )
    return _failed_tests(failed, project, database)


def _sorted_out(message: str, text: str, where: str, database: Path, note: str) -> LakeloopError:
    if _BUSY.search(message):
        return ServiceError(text, where=where, remedy="another process has the file open; try again")
    if _MEMORY.search(message):
        remedy = "give DuckDB more memory: LAKELOOP_DUCKDB_MEMORY=4GB"
        return ConfigurationError(text, where=where, remedy=remedy)
    if _VALUE.search(message):
        remedy = f"look at the rows in {database}; handle the value in the model, or correct the source{note}"
        return DataError(text, where=where, remedy=remedy)
    remedy = f"correct the model, or the contract in the yml beside it{note}"
    return ConfigurationError(text, where=where, remedy=remedy)


def _failed_tests(failed: Sequence[Any], project: Path, database: Path) -> LakeloopError:
    broken = [result for result in failed if str(result.status) != "fail"]
    if broken:
        node, message = broken[0].node, _shortened(broken[0].message)
        text = f"test {node.name} of {tested(node)} could not run: {message}{_others(failed)}"
        return ConfigurationError(
            text, where=_file(node, project), remedy="correct the test or its arguments"
        )
    counted = "; ".join(f"{r.node.name} of {tested(r.node)}: {r.failures}" for r in failed)
    query = failed[0].node.compiled_code or ""
    return DataError(
        f"{len(failed)} data test(s) of dbt failed",
        where=_file(failed[0].node, project),
        expected="no failing row",
        found=f"failing rows: {counted}",
        remedy=f"see the rows: duckdb {database} then\n{query.strip()}",
    )


def tested(node: Any) -> str:
    """Name of the model that a test is about."""
    attached = getattr(node, "attached_node", None) or next(iter(node.depends_on.nodes), "")
    return attached.rpartition(".")[2] or "the project"


def _file(node: Any, project: Path) -> str:
    return str(project / node.original_file_path)


def _others(failed: Sequence[Any]) -> str:
    others = ", ".join(result.node.name for result in failed[1:])
    return f"\n  (also failed: {others})" if others else ""


def _shortened(message: object) -> str:
    lines = [_cut(line.rstrip()) for line in str(message).strip().splitlines() if line.strip()]
    more = len(lines) - _MESSAGE_LINES
    return "\n".join([*lines[:_MESSAGE_LINES], *([f"({more} more lines)"] if more > 0 else [])])


def _cut(line: str) -> str:
    """`line` without its middle where it is long: dbt shows a whole section, and says last what is wrong."""
    half = _LINE_CHARACTERS // 2
    return line if len(line) <= _LINE_CHARACTERS else f"{line[:half]} ... {line[-half:]}"
