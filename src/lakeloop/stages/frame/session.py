"""What every stage does around its own work: decide if the work is needed, time it, track it, record it.

A stage is a plain function; this module gives it a session. The order of the last steps is a promise: data
first, then record.json, then the ledger row, so that a row in the ledger always speaks of data that is there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from lakeloop.attempt import Attempt
from lakeloop.errors import ConfigurationError, FenceError
from lakeloop.full_disk import told_when_full
from lakeloop.records import (
    RECORD_FORMAT,
    BuiltModel,
    Counts,
    Provenance,
    StageRecord,
    Status,
    fingerprint,
    now,
)
from lakeloop.settings import Settings, get_settings, protect_home
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.yesterday import lift_config
from lakeloop.stages.catalogue import candidate_of, stage_named
from lakeloop.stages.frame.experiment import require_name
from lakeloop.stages.frame.missing import TO_DO

if TYPE_CHECKING:
    from lakeloop.lake.claims import Fence
    from lakeloop.lake.store import Lake
    from lakeloop.tracking.tracker import Tracker

log = logging.getLogger(__name__)

_LONGEST_TOLD = 100
_MOST_TOLD = 40


@dataclass(frozen=True)
class StageContext:
    """What every stage is given."""

    loop: LoopSpec
    lake: Lake
    settings: Settings
    attempt: Attempt
    changes: Mapping[str, Any] = field(default_factory=dict)
    """What this run changed of the loop file, already in `loop`: dotted key -> value."""
    experiment: str = ""
    """The experiment that is worked on; empty for production. Its records have names of their own."""

    @classmethod
    def open(
        cls,
        loop: str,
        settings: Settings | None = None,
        attempt: Attempt | None = None,
        changes: Mapping[str, Any] | None = None,
        *,
        experiment: str = "",
        looking: bool = False,
    ) -> StageContext:
        """Load the loop file, with `changes` on top, and open the lake; creates the tables that are missing.

        Who is `looking` writes nothing, and is not kept out by tables of other columns than the file says.

        Raises:
            ConfigurationError: the loop file, a change or the name of the experiment is wrong, or the lake
                does not fit the file.
        """
        from lakeloop.lake.store import Lake
        from lakeloop.spec.reading.load import load_loop
        from lakeloop.spec.reading.override import override

        require_name(experiment)
        settings = settings or get_settings()
        protect_home(settings)
        spec = load_loop(settings.loop_file(loop), settings)
        if changes:
            spec = override(spec, changes)
        lake = Lake.from_settings(settings, spec)
        try:
            lake.bootstrap(spec)
        except ConfigurationError:
            if not (looking and lake.misfit(spec)):
                raise
        return cls(spec, lake, settings, attempt or Attempt.local(), dict(changes or {}), experiment)

    def record_name(self, stage: str, candidate: str = "") -> str:
        """What records of `stage` are called here: in an experiment they have names of their own."""
        return stage_named(stage).record_name(candidate, self.experiment)

    def collection(self, name: str) -> str:
        """What the tracker calls the artifacts `name` of this loop, and of this experiment."""
        return "-".join(filter(None, (self.loop.name, name, self.experiment)))

    def work(self, stage: str, partition: str) -> Path:
        """The local scratch folder of a stage; made when it is not there."""
        folder = self.settings.work(self.loop.name, stage, partition)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def require_as_recorded(self, table: str, record: StageRecord, version: int) -> None:
        """Require that `version` of `table` has the rows that `record` says its stage left.

        Raises:
            FenceError: the table has other rows of the day: they are being published anew at this moment.
        """
        left, recorded = record.outputs.get(f"{table}_version", ""), record.outputs[table]
        if left and self.lake.same_rows(table, int(left), version, partition=record.partition):
            return
        digest = self.lake.digest(table, version=version, like=recorded, partition=record.partition)
        if digest != recorded:
            raise FenceError(
                f"{table} holds other rows than the ledger says stage {record.stage} left",
                where=f"{self.loop.name} {record.partition}",
                expected=f"digest {record.outputs[table][:12]}",
                found=f"digest {digest[:12]} in version {version}",
                remedy=f"they are being replaced: try again; if it stays so, {record.stage} this day again",
            )

    def provenance(self, started_at: datetime) -> Provenance:
        """Who does what began at `started_at`, and with what code."""
        return Provenance.collect(
            run_id=self.attempt.run_id,
            try_number=self.attempt.try_number,
            started_at=started_at,
            root=self.settings.root,
        )

    @contextmanager
    def tracked(self, name: str, partition: str, config: Mapping[str, Any]) -> Iterator[Tracker]:
        """Tell the tracker of work on a day, or on several, in the block: of a stage, or of a command."""
        from lakeloop.tracking.tracker import open_tracker

        of = {"loop": self.loop.name, "stage": name, "partition": partition}
        with open_tracker(self.settings, **of, attempt=self.attempt) as tracker:
            said = {"experiment": self.experiment} if self.experiment else {}
            tracker.config({**of, **said, **config})
            yield tracker

    @contextmanager
    def stage(
        self, name: str, partition: str, *, config: Mapping[str, Any] | None = None
    ) -> Iterator[StageSession]:
        """Run one stage, in the block: `config` is the part of the loop file that decides its output.

        Raises:
            FenceError: the same attempt is at work on this stage in another process.
            RuntimeError: the block did not end the session.
            TransientError: a disk is full, or an object store is away.
        """
        from lakeloop.lake.remote import local_path

        work = self.work(name, partition)
        lake = local_path(self.settings.lake)
        with (
            told_when_full([work, lake] if lake else [work]),
            self.lake.told(),
            self.tracked(name, partition, config or {}) as tracker,
        ):
            session = StageSession(self, name, partition, dict(config or {}), work, tracker)
            yield session
            session.require_ended()
            tracker.summary(session.summary())


class Result(TypedDict, total=False):
    """What a stage may say of its end; see `StageRecord`, whose fields they are."""

    outputs: Mapping[str, str]
    counts: Counts | None
    metrics: Mapping[str, float]
    links: Mapping[str, str]
    settings: Mapping[str, Any]
    examples: Sequence[str]
    unknown: Mapping[str, int]
    models: Sequence[BuiltModel]
    profile: str
    leaks: str


@dataclass
class StageSession:
    """One stage at work. Ends by exactly one of `unchanged`, `done`, `skipped`, `refused`."""

    context: StageContext
    name: str
    partition: str
    config: dict[str, Any]
    work: Path
    tracker: Tracker
    started_at: datetime = field(default_factory=now)
    _inputs: dict[str, str] = field(default_factory=dict)
    _parts: dict[str, dict[str, str]] = field(default_factory=dict)
    _record: StageRecord | None = None
    _fence: Fence | None = None

    def claim(self) -> Fence:
        """Take over this work on the partition; a newer claim stops all that this attempt would write.

        Raises:
            FenceError: a later try of the same run holds the claim already.
        """
        self._fence = self.context.lake.claim(self.name, self.partition, self.context.attempt)
        return self._fence

    def inputs(self, **named: str) -> None:
        """Name what the output is made from, each with a digest or a pinned version."""
        self._inputs.update(named)

    def made_of(self, name: str, parts: Mapping[str, str]) -> None:
        """Say what the input `name` is made of, for a person who asks why it is another one."""
        self._parts[name] = dict(parts)

    @property
    def named_inputs(self) -> Mapping[str, str]:
        """The inputs named so far."""
        return self._inputs

    @property
    def named_parts(self) -> Mapping[str, Mapping[str, str]]:
        """What they are made of, where that was said."""
        return self._parts

    @property
    def fingerprint(self) -> str:
        """Of the stage and its version, the partition, the config and the inputs named so far."""
        return self._fingerprint(self.config, self._inputs)

    def _fingerprint(self, config: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
        return fingerprint(
            code=stage_named(self.name).version,
            stage=self.name,
            partition=self.partition,
            config=config,
            inputs=inputs,
        )

    def is_this_work(self, record: StageRecord) -> bool:
        """Whether `record` was made from the config and inputs of this session, whatever its format."""
        if record.format == RECORD_FORMAT:
            return record.fingerprint == self.fingerprint
        if stage_named(self.name).version > 1:  # records of format 1 were all made by the first version
            return False
        config = lift_config(self.name, record.config, self.config)
        return config is not None and self._fingerprint(config, record.inputs) == self.fingerprint

    def done_before(self) -> StageRecord | None:
        """The record that makes this work unnecessary: the newest of the day, when it is of equal inputs."""
        return self.context.lake.ledger.done(self.name, self.partition, self.is_this_work)

    @property
    def _compare(self) -> str:
        stage = stage_named(self.name)
        if stage.decides is None:
            return ""
        what = candidate_of(self.name) or stage.name
        option = f"--{'candidate' if stage.per == 'candidate' else 'stage'} {what}"
        option += f" --experiment {self.context.experiment}" if self.context.experiment else ""
        loop = self.context.loop.name
        return f"; field by field: lakeloop why {loop} {option} --partition {self.partition}"

    def unchanged(self) -> StageRecord | None:
        """The earlier record, marked unchanged, when this work was done from the same inputs; else None."""
        earlier = self.done_before()
        if earlier is None:
            return None
        when = f"{earlier.provenance.finished_at:%Y-%m-%d %H:%M} UTC"
        reason = f"inputs unchanged since {when}: the work is that of {earlier.title}{self._compare}"
        self._record = earlier.model_copy(update={"status": "unchanged", "reason": reason})
        log.info("%s %s %s: %s", self.context.loop.name, self.name, self.partition, self._record.reason)
        return self._record

    def done(self, *, reason: str, **result: Unpack[Result]) -> StageRecord:
        """End with an output.

        Raises:
            CountsError: the counts do not reconcile.
            FenceError: a newer attempt claimed this work; nothing is recorded.
        """
        return self._end("done", reason, **result)

    def skipped(
        self,
        reason: str,
        *,
        to_do: str = "",
        outputs: Mapping[str, str] | None = None,
        links: Mapping[str, str] | None = None,
    ) -> StageRecord:
        """End without work: there was nothing to do, and `reason` says why.

        `to_do` is for a person who asked for the stage before its time: what is to be run or done first.
        """
        said = {TO_DO: to_do} if to_do else {}
        return self._end("skipped", reason, outputs={**(outputs or {}), **said}, links=links or {})

    def refused(
        self,
        reason: str,
        *,
        outputs: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
        links: Mapping[str, str] | None = None,
    ) -> StageRecord:
        """End with a decision against: a result, not a failure."""
        return self._end("refused", reason, outputs=outputs or {}, metrics=metrics or {}, links=links or {})

    def require_ended(self) -> None:
        """Raises RuntimeError when the session was not ended."""
        if self._record is None:
            raise RuntimeError(f"stage {self.name} ended without saying how")

    def summary(self) -> dict[str, Any]:
        """What the tracker keeps of the result."""
        assert self._record is not None
        record = self._record
        counts = record.counts.model_dump() if record.counts else {}
        return {
            "status": record.status,
            "reason": record.reason,
            "fingerprint": record.fingerprint,
            "inputs": _short(record.inputs),
            "outputs": _short(record.outputs),
            **{f"rows/{name}": value for name, value in counts.items()},
            **record.metrics,
        }

    def _end(self, status: Status, reason: str, **result: Unpack[Result]) -> StageRecord:
        where = f"{self.context.loop.name} {self.name} {self.partition}"
        if counts := result.get("counts"):
            counts.reconcile(where)
        record = StageRecord(
            loop=self.context.loop.name,
            stage=self.name,
            partition=self.partition,
            status=status,
            reason=reason,
            fingerprint=self.fingerprint,
            inputs=self._inputs,
            config=self.config,
            format=RECORD_FORMAT,
            version=stage_named(self.name).version,
            parts=self._parts,
            provenance=self.context.provenance(self.started_at),
            **result,
        )
        record.write(self.work / "record.json")
        self.context.lake.record(record, self._fence)
        log.info("%s: %s: %s", where, status, reason)
        for example in record.examples:
            log.info("%s: %s", where, example)
        self._record = record
        return record


def _short(named: Mapping[str, str]) -> dict[str, str]:
    """Digests, versions and names: what ties a run to those before and after it; no long texts."""
    short = {name: value for name, value in named.items() if len(value) <= _LONGEST_TOLD}
    return dict(list(short.items())[-_MOST_TOLD:])
