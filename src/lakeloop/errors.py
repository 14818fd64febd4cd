"""The errors of Lakeloop and what they mean to a retry. Messages are composed here, raised elsewhere.

An error says where it happened, what was expected, what came and what to do. Whether it is worth a
retry is its type: `TerminalError` never is, `TransientError` always is. A job that runs as a process
says the same with its exit code (`exit_code`), so that the decision survives the process boundary.
This module is imported while DAG files are parsed: it imports nothing heavy.
"""

from __future__ import annotations

EXIT_DONE = 0
EXIT_CONFIGURATION = 64  # EX_USAGE of sysexits.h
EXIT_DATA = 65  # EX_DATAERR
EXIT_TRANSIENT = 75  # EX_TEMPFAIL
EXIT_UNKNOWN = 1


class LakeloopError(Exception):
    """Base of all errors raised on purpose; keeps its parts as attributes."""

    exit_code = EXIT_UNKNOWN

    def __init__(
        self, message: str, *, where: str = "", expected: str = "", found: str = "", remedy: str = ""
    ) -> None:
        self.message = message
        self.where = where
        self.expected = expected
        self.found = found
        self.remedy = remedy
        super().__init__(self._compose())

    def _compose(self) -> str:
        lines = [f"{self.where}: {self.message}" if self.where else self.message]
        for name, part in (("expected", self.expected), ("found", self.found), ("to do", self.remedy)):
            if part:
                lines.append(f"  {name}: {part}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions cross process boundaries (Airflow, multiprocessing); keyword-only parts would be lost.
        return (_rebuild, (type(self), self.message, self.where, self.expected, self.found, self.remedy))


def _rebuild(
    kind: type[LakeloopError], message: str, where: str, expected: str, found: str, remedy: str
) -> LakeloopError:
    return kind(message, where=where, expected=expected, found=found, remedy=remedy)


class TerminalError(LakeloopError):
    """Trying again cannot help: a person has to change something."""


class TransientError(LakeloopError):
    """Trying again may help: something outside was busy, away or overtaken."""

    exit_code = EXIT_TRANSIENT


class ConfigurationError(TerminalError):
    """The loop file, a setting or a command line is wrong."""

    exit_code = EXIT_CONFIGURATION


class DataError(TerminalError):
    """The data is not what the loop was promised; nothing was published from it."""

    exit_code = EXIT_DATA


class TooEarlyError(DataError):
    """A stage was asked for before its time: what it works on is not there yet. Nothing went wrong."""


class CountsError(DataError):
    """Rows were lost or doubled: what was read is not what was accounted for."""


class ArtifactError(DataError):
    """A model artifact is incomplete or is not the one that was registered."""


class NewerFormatError(ArtifactError):
    """A later version of Lakeloop wrote it, in a way that this one does not know."""


class FenceError(TransientError):
    """A newer attempt took over this work, or another writer published in between; nothing was written."""


class ServiceError(TransientError):
    """Something that should answer did not: the model server, a queue, a remote store."""


class JobError(TransientError):
    """A detached job ended without a result for a reason that a new attempt may not meet."""


def exit_code(error: BaseException) -> int:
    """The exit code that tells a watching process whether `error` is worth a retry."""
    return error.exit_code if isinstance(error, LakeloopError) else EXIT_UNKNOWN
