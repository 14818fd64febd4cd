"""One journal told to W&B as one run. The only module that speaks to W&B; it runs in the mirror's process.

Each point or table of a journal is one W&B step, counted from the journal's beginning, so that a replay of
what W&B already has adds nothing. Which journals, and when, is `mirror`.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakeloop.durable import fsync_file
from lakeloop.errors import DataError, ServiceError
from lakeloop.records import EXPERIMENT, experiment_of, now
from lakeloop.redaction import known_secrets, scrub
from lakeloop.tracking.footprint import footprint
from lakeloop.tracking.journal import TRIAL, Entry, JournalReader
from lakeloop.tracking.progress import Mirrored, run_id

if TYPE_CHECKING:
    import wandb

log = logging.getLogger(__name__)

_PATIENCE = {
    "WANDB_INIT_TIMEOUT": "30",
    "WANDB_LOGIN_TIMEOUT": "10",
    "WANDB_FINISH_TIMEOUT": "60",
}
"""Seconds, unless the environment says otherwise. W&B's own limits: 90 to begin, none at all to finish. To
begin takes two or three requests; a server that needs 10 s for each is slow and not away."""
_ARTIFACT_BYTES = {"online": 2 << 30, "offline": 16 << 20}
"""Larger artifacts are logged as references with digests: offline, W&B would keep a copy of each model."""
_FOREIGN = ("WANDB_RUN_ID", "WANDB_RESUME", "WANDB_NAME", "WANDB_RUN_GROUP", "WANDB_JOB_TYPE", "WANDB_TAGS")
"""Variables meant for another run; here each run is named by its journal."""
_CRASHED = 1
_STATUS = re.compile(r"\bHTTP (\d{3})\b|\b([45]\d\d) (?:Client|Server) Error")
_OF_ONE_RUN = frozenset({400, 404, 409, 410, 413, 422})
"""Answers to what was sent, and not to who sent it or when: 409 of a run that somebody deleted, 413 of one
that is too large. All others (401, 403, 429, 5xx) are said of every run alike."""
_SPELLED = ("NaN", "Infinity", "-Infinity")


def prepare_environment(wandb_dir: Path) -> None:
    """Keep W&B's files in `wandb_dir`, its reports at home and the environment's run settings out of it.

    To be called before wandb is imported.
    """
    for name, seconds in _PATIENCE.items():
        os.environ.setdefault(name, seconds)
    for name in _FOREIGN:
        os.environ.pop(name, None)
    os.environ.update(
        WANDB_DIR=str(wandb_dir),
        WANDB_DATA_DIR=str(wandb_dir / "data"),
        WANDB_CACHE_DIR=str(wandb_dir / "cache"),
        WANDB_CONFIG_DIR=str(wandb_dir / "config"),
        WANDB_ERROR_REPORTING="false",
        WANDB_DISABLE_CODE="true",
        WANDB_DISABLE_GIT="true",
        WANDB_CONSOLE="off",
        WANDB_SILENT="true",
    )
    wandb_dir.mkdir(parents=True, exist_ok=True)


class RefusedError(ServiceError):
    """W&B takes runs, and not this one; to try again as it is would be answered alike."""


class Replay:
    """Reads one journal and tells W&B, as far as the journal goes; `finish` when the journal has ended."""

    def __init__(self, path: Path, wandb_dir: Path, *, online: bool) -> None:
        self.path = path
        self._wandb_dir = wandb_dir
        self._online = online
        self._secrets = known_secrets()
        self._reader = JournalReader(path)
        self._run: wandb.Run | None = None
        self._run_id = ""
        self._size = 0
        self._points = 0
        self._has_steps = False
        self._exit_code = _CRASHED

    def advance(self) -> int:
        """Tell W&B what was written since the last call; returns the number of entries.

        Raises:
            DataError: the file is no journal.
            ServiceError: W&B does not answer, or refuses the log-in.
            RefusedError: W&B refuses this run, or the client cannot tell what it is told.
        """
        # Before reading: what comes in between is read twice rather than never.
        self._size = self.path.stat().st_size
        entries = self._reader.advance()
        if entries and self._run is None:
            self._run = self._start(entries[0])
        for entry in entries:
            try:
                self._apply(entry)
            except Exception as error:
                raise _failure(self.path, error) from error
        return len(entries)

    def finish(self) -> Mirrored:
        """End the W&B run as the journal ended, and write down how far it is mirrored.

        Raises:
            ServiceError: W&B did not take all of it in time; the journal goes on waiting.
            RefusedError: W&B refuses this run.
        """
        where = ""
        if self._run is not None:
            try:
                self._run.finish(exit_code=self._exit_code)
            except Exception as error:
                raise _failure(self.path, error) from error
            if not self._online:
                fsync_file(Path(self._run.settings.sync_file))
            where = (self._run.url if self._online else self._run.settings.sync_dir) or ""
        done = Mirrored(
            size=self._size,
            mode="online" if self._online else "offline",
            run_id=self._run_id,
            run=where,
            exit_code=self._exit_code,
            finished_at=now(),
        )
        done.write(self.path)
        return done

    def _start(self, first: Entry) -> wandb.Run:
        import wandb

        if first.kind != "open":
            raise DataError("not the beginning of a journal", where=str(self.path), found=first.kind)
        identity = scrub(first.data, self._secrets)
        self._run_id = run_id(first)
        if not self._online:
            self._drop_earlier_folders()
        try:
            run = wandb.init(
                mode="online" if self._online else "offline",
                project=os.environ.get("WANDB_PROJECT") or "lakeloop",
                dir=str(self._wandb_dir),
                id=self._run_id,
                resume="allow" if self._online else None,
                group=_group(identity["loop"], identity["partition"], identity["stage"]),
                job_type=identity["stage"],
                name=f"{identity['stage']} {identity['partition']}",
                tags=_tags(identity["loop"], identity["stage"]),
                config=dict(identity),
                reinit="create_new",
                settings=_settings(),
            )
        except Exception as error:
            # W&B raises errors of its own, of requests and plain ones; each means the same here.
            raise _failure(self.path, error) from error
        return run

    def _drop_earlier_folders(self) -> None:
        # Of a mirror that died half-way, or of the same journal before a resumed training went on with it.
        for folder in self._wandb_dir.glob(f"wandb/offline-run-*-{self._run_id}"):
            shutil.rmtree(folder)

    def _apply(self, entry: Entry) -> None:
        assert self._run is not None
        # A journal of an earlier version was redacted by what was known then.
        data = scrub(entry.data, self._secrets)
        match entry.kind:
            case "open":
                self._exit_code = _CRASHED
            case "config":
                self._run.config.update(data, allow_val_change=True)
            case "log":
                self._point(_metrics(data), entry.time)
            case "table":
                self._table(data, entry.time)
            case "artifact":
                self._artifact(data, Path(entry.data["path"]))
            case "summary":
                self._run.summary.update(data)
            case "close":
                self._exit_code = int(data["exit_code"])

    def _point(self, values: dict[str, Any], time: float) -> None:
        assert self._run is not None
        if "step" in values and not self._has_steps:
            self._run.define_metric("*", step_metric="step")
            self._has_steps = True
        point, self._points = self._points, self._points + 1
        # A resumed run begins where the server's history ends; W&B would warn about each earlier step.
        if point >= self._run.starting_step:
            self._run.log({**values, "_timestamp": time}, step=point, commit=True)

    def _table(self, data: Mapping[str, Any], time: float) -> None:
        import wandb

        point = self._points
        try:
            table = wandb.Table(columns=data["columns"], data=data["rows"], allow_mixed_types=True)
            self._point({data["name"]: table}, time)
        except Exception as error:
            if not _is_of_one_run(error):
                raise
            log.warning("%s: table %s is not mirrored: %s", self.path, data["name"], error)
            self._points = point + 1  # a later replay may find it taken, and counts alike

    def _artifact(self, data: Mapping[str, Any], path: Path) -> None:
        import wandb

        assert self._run is not None
        noted = data["footprint"]
        metadata = {**data["metadata"], "path": data["path"], "footprint": noted}
        artifact = wandb.Artifact(_artifact_name(data["name"]), type=data["kind"], metadata=metadata)
        try:
            if noted is None or footprint(path) != noted:
                # Other bytes under a name that promises the noted ones would be worse than none.
                artifact.metadata["contents"] = "left out: changed or gone since it was logged"
            elif noted["bytes"] > _ARTIFACT_BYTES["online" if self._online else "offline"]:
                artifact.add_reference(as_uri(str(path)))
                artifact.metadata["contents"] = "by reference: too large to copy"
            elif path.is_dir():
                artifact.add_dir(str(path))
            else:
                artifact.add_file(str(path))
            if uri := data.get("refers_to"):
                # By its address: what lies there is named by the digest among the metadata.
                if uri.startswith("s3://"):
                    artifact.metadata["model"] = uri  # for a reference W&B asks the store, with boto3
                else:
                    artifact.add_reference(as_uri(uri), name="model", checksum=False)
        except (OSError, ValueError) as error:
            log.warning("%s: artifact %s is mirrored without contents: %s", self.path, data["name"], error)
        if data.get("used"):
            # Not `use_artifact`, which does this too: it waits for the server without limit, and not offline.
            self._run._log_artifact(artifact, is_user_created=True, use_after_commit=True)  # noqa: SLF001
        else:
            self._run.log_artifact(artifact, aliases=list(data.get("aliases", [])) or None)


def _settings() -> wandb.Settings:
    import wandb

    return wandb.Settings(
        console="off",
        silent=True,
        disable_git=True,
        disable_code=True,
        save_code=False,
        symlink=False,
        finish_timeout_raises=True,
        # The mirror's own machine load, packages and command line say nothing about the run.
        x_disable_stats=True,
        x_disable_meta=True,
        x_disable_machine_info=True,
        x_save_requirements=False,
    )


def _metrics(data: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: float(value) if value in _SPELLED else value for name, value in data["metrics"].items()}
    if data["step"] is not None:
        values.setdefault("step", data["step"])
    return values


def _tags(loop: str, stage: str) -> list[str]:
    """Of an experiment a tag of its own, beside that of the stage: all runs of either are found."""
    experiment = experiment_of(stage)
    if not experiment:
        return [loop, stage]
    return [loop, stage.replace(f"{EXPERIMENT}{experiment}", ""), f"experiment {experiment}"]


def _group(loop: str, partition: str, stage: str) -> str:
    """The runs of a day are a group, and the trials of a search are one of their own."""
    day = f"{loop}/{partition}"
    return f"{day}/search {stage.removesuffix(TRIAL)}" if stage.endswith(TRIAL) else day


def as_uri(place: str) -> str:
    """A path of this machine, or an address, as an address."""
    return place if "://" in place else Path(place).as_uri()


def _artifact_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name)[:128]


def _is_of_one_run(error: Exception) -> bool:
    """Whether `error` is about what was told, so that other runs may well be taken."""
    import wandb

    if found := _STATUS.search(str(error)):
        return int(next(filter(None, found.groups()))) in _OF_ONE_RUN
    # W&B's own errors, and those of sockets, say that the server did not do its part.
    return not isinstance(error, wandb.Error | OSError | TimeoutError)


def _failure(path: Path, error: Exception) -> ServiceError:
    said = str(error).strip().partition("\n")[0]  # W&B goes on with advice on its settings
    found = f"{type(error).__name__}: {said}"
    if isinstance(error, ServiceError):
        return error
    if _is_of_one_run(error):
        return RefusedError("W&B does not take this run", where=str(path), found=found)
    return ServiceError(
        "W&B did not take the run; its journal waits for the next mirror",
        where=str(path),
        found=found,
        remedy="check WANDB_API_KEY and WANDB_BASE_URL, or set WANDB_MODE=offline",
    )
