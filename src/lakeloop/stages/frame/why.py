"""Why a stage would be skipped or run: its fingerprint beside that of an earlier record, field by field.

A record says what its fingerprint was made of; one of an earlier version may lack a part of that, and then
the field says so. What is special about trainings is `lakeloop.stages.training.why`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from lakeloop.records import RECORD_FORMAT, Frozen, StageRecord
from lakeloop.spec.identity import deciding_keys
from lakeloop.spec.yesterday import lift_config
from lakeloop.stages.catalogue import Stage, candidate_of, stage_named
from lakeloop.stages.frame.look import Look, look_at
from lakeloop.stages.frame.session import StageContext, StageSession

UNSAID = "default"
"""What is said of a key that decides and is not in the loop file."""
_SETTINGS = "train."
"""Begins a key of the loop file that is a setting of a candidate."""
_SHORT = 12
_NAMED = 6
"""Fields that a sentence can name."""


class Field(Frozen):
    """One part of a fingerprint, then and now."""

    name: str
    then: str | None
    """None: the earlier record does not say."""
    now: str | None
    """None: not known before the work of another stage is done."""
    equal: bool | None
    """None: nobody can tell."""


class Why(Frozen):
    """Whether a stage would do its work, and what that follows from."""

    stage: str
    """What records of the stage are called."""
    partition: str
    verdict: Literal["run", "skip", "nothing"]
    """`skip`: the work was done; `nothing`: there is nothing to do it on."""
    reason: str
    """A sentence for a person."""
    fingerprint: str
    earlier: str
    """The record that it is compared with; empty when there is none."""
    fields: tuple[Field, ...]
    changed_by: tuple[str, ...]
    """What makes it another piece of work: keys of the loop file, then what it is made from."""

    @property
    def different_first(self) -> list[Field]:
        """The fields as a person wants to read them."""
        return sorted(self.fields, key=lambda found: found.equal is True)


def why(context: StageContext, stage: Stage, partition: str) -> Why:
    """Compare what `stage` would do for the day `partition` with what it did last.

    Raises:
        LakeloopError: the stage cannot say what it would work on.
        ValueError: the stage does not decide by its inputs alone.
    """
    return explain(look_at(context, stage, partition))


def explain(look: Look, same: StageRecord | None = None, extra: Sequence[Field] = ()) -> Why:
    """What follows from a look at a stage.

    `same` is a record that spares the work though it is not the newest; `extra` are fields that say more of
    what is in the fingerprint.
    """
    session = look.session
    same = None if look.skipped else session.done_before() or same
    last = same or last_of(session)
    fields = (*compare(session, last), *extra) if last and not look.skipped else ()
    return Why(
        stage=session.name,
        partition=session.partition,
        verdict="nothing" if look.skipped else "skip" if same else "run",
        reason=look.skipped or _reason(session, last, same, fields),
        fingerprint=session.fingerprint,
        earlier=last.title if last else "",
        fields=fields,
        changed_by=(*_keys_of(session), *session.named_inputs),
    )


_ENDED: tuple[Literal["done"], Literal["refused"]] = ("done", "refused")


def last_of(session: StageSession) -> StageRecord | None:
    """The newest result of this stage on its day; where there is none, that of any day."""
    ledger, ended = session.context.lake.ledger, _ENDED
    return ledger.latest(session.name, session.partition, ended) or ledger.latest(session.name, status=ended)


def compare(session: StageSession, record: StageRecord) -> Iterator[Field]:
    """Each part of the fingerprint of `session` beside that of `record`; files only where they differ."""
    if session.is_this_work(record):  # then all of it is equal, whatever the record says of its parts
        for name, value in _parts_of(session).items():
            yield Field(name=name, then=value, now=value, equal=True)
        return
    yield field("version of the stage", _version_of(record), str(stage_named(session.name).version))
    yield field("day", record.partition, session.partition)
    config, now = _config_of(record, session), flat(session.config)
    before, settings = _settled(record.settings), _settings_of(session)
    for name in sorted({*now, *(config or {})}):
        then = None if config is None else _said(name, config, before)
        yield field(name, then, _said(name, now, settings))
    inputs = session.named_inputs
    for name in dict.fromkeys((*inputs, *record.inputs)):
        found = field(name, record.inputs.get(name, "not there"), inputs.get(name, "not there"))
        yield found
        if not found.equal:
            yield from _files(name, record.parts.get(name), session.named_parts.get(name, {}))


def field(name: str, then: str | None, now: str | None) -> Field:
    """A field whose two values can be compared when both are known."""
    return Field(name=name, then=then, now=now, equal=None if then is None or now is None else then == now)


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys, dotted."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found


def named(fields: Sequence[str]) -> str:
    """The names for a sentence: the first of many, and how many more there are."""
    more = len(fields) - _NAMED
    return ", ".join(fields[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def shortened(value: str) -> str:
    """A digest's beginning, of a long list the number and the first; other values as they are."""
    bare = value.removeprefix("sha256:")
    if len(bare) == 64 and bare.isalnum():
        return bare[:_SHORT]
    entries = _entries(value)
    return value if entries is None else f"{len(entries)}: {named(entries)}"


def beside(found: Field) -> tuple[str | None, str | None]:
    """Then and now of a field for people: what is equal is said once, of long lists only what differs."""
    then, now = found.then, found.now
    if then is None or now is None:
        return then and shortened(then), now and shortened(now)
    if found.equal:
        return shortened(then), "the same"
    before, after = _entries(then), _entries(now)
    if before is None or after is None:
        return shortened(then), shortened(now)
    gone = [entry for entry in before if entry not in set(after)]
    new = [entry for entry in after if entry not in set(before)]
    if not gone and not new:
        return f"{len(before)}", f"{len(after)}, in another order"
    return _differing(before, "not now", gone), _differing(after, "new", new)


def _differing(entries: Sequence[str], word: str, differing: Sequence[str]) -> str:
    """The number of entries of a list, and those that the other one has not."""
    return f"{len(entries)}" + (f"; {word}: {named(differing)}" if differing else "")


def _entries(value: str) -> list[str] | None:
    """The entries of a list that is too long to be shown; None of anything else."""
    if not value.startswith("["):
        return None
    try:
        found = json.loads(value)
    except ValueError:
        return None
    return [_value(entry) for entry in found] if len(found) > _NAMED else None


def _files(name: str, then: Mapping[str, str] | None, now: Mapping[str, str]) -> Iterator[Field]:
    if not now:
        return
    if not then:
        yield Field(name=f"{name}: its files", then=None, now=f"{len(now)} files", equal=None)
        return
    for file in sorted({*then, *now}):
        found = field(f"{name}: {file}", then.get(file, "not there"), now.get(file, "not there"))
        if not found.equal:
            yield found


def _parts_of(session: StageSession) -> dict[str, str]:
    config = {name: _value(value) for name, value in sorted(flat(session.config).items())}
    version = {"version of the stage": str(stage_named(session.name).version)}
    return {**version, "day": session.partition, **config, **session.named_inputs}


def _version_of(record: StageRecord) -> str | None:
    if record.version is not None:
        return str(record.version)
    return None if record.format == RECORD_FORMAT else "1"  # format 1 was written by first versions only


def _config_of(record: StageRecord, session: StageSession) -> dict[str, Any] | None:
    if record.format == RECORD_FORMAT:
        return flat(record.config)
    lifted = lift_config(session.name, record.config, session.config)
    return None if lifted is None else flat(lifted)


def _said(name: str, config: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """The value of a key that decides; of one at its default the default, where it is known."""
    if name in config:
        return _value(config[name])
    key = name.removeprefix(_SETTINGS)
    return f"{_value(settings[key])} ({UNSAID})" if key in settings else UNSAID


def _settled(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: said["value"] for key, said in settings.items() if isinstance(said, Mapping)}


def _settings_of(session: StageSession) -> dict[str, Any]:
    """Every setting of a candidate, resolved; of other stages nothing is known of defaults."""
    stage, train = stage_named(session.name), session.context.loop.train
    if stage.per != "candidate":
        return {}
    return train.settings_of(train.candidate(candidate_of(session.name)))


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _keys_of(session: StageSession) -> tuple[str, ...]:
    """The keys of the loop file that decide what the stage makes."""
    stage, loop = stage_named(session.name), session.context.loop
    if stage.decides is None:
        return ()
    keys = tuple(deciding_keys(loop, stage.decides))
    if stage.per != "candidate":
        return keys
    # Of section `train`, only what the candidate's method uses.
    own = tuple(f"{_SETTINGS}{key}" for key in _settings_of(session))
    return (*(key for key in keys if not key.startswith(_SETTINGS)), *own)


def _reason(
    session: StageSession, last: StageRecord | None, same: StageRecord | None, fields: Sequence[Field]
) -> str:
    if same is not None:
        return f"would be skipped: its fingerprint is that of {same.title}"
    if last is None:
        return "would run: there is no earlier one"
    different = [found.name for found in fields if found.equal is False]
    unknown = [found.name for found in fields if found.equal is None]
    if different:
        return f"would run, because of {named(different)}"
    if unknown:
        return f"would run, because of a field that {last.title} does not record: {', '.join(unknown)}"
    if session.is_this_work(last):
        return "would run: what was made of the same is not in the lake any more"
    return "would run: the fingerprints are others"
