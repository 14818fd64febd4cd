"""What a person reads before a candidate becomes champion: one page of Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from lakeloop.evidence import Comparison, SliceChange
from lakeloop.gate.rules.reason import signed
from lakeloop.measures.base import shown
from lakeloop.measures.registry import told
from lakeloop.stages.catalogue import stage_named
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.release.approval import Question

if TYPE_CHECKING:
    from lakeloop.artifact import ArtifactDescription

_SLICES = 5
"""Slices that are named on each side."""


def subject_of(question: Question) -> str:
    """The question in one line."""
    loop, day = question.evidence.loop, question.evidence.partition
    if question.champion and question.tried_first:
        return f"{loop} {day}: begin the trial of {question.candidate.name} beside {question.champion.name}?"
    beside = f" in place of {question.champion.name}" if question.champion else ""
    return f"{loop} {day}: {question.candidate.name} as champion{beside}?"


def dossier(context: StageContext, question: Question, links: Mapping[str, str] | None = None) -> str:
    """Scores, what changes row by row, data, settings, drift and cost, and where to read more.

    `links` are title -> address of pages, or a link in Markdown that says its title itself;
    default: where the evaluation's files are.
    """
    parts = [
        ("", [question.decision.reason]),
        ("Scores on the same rows", _scores(question)),
        ("Row by row", _changes(question)),
        ("Data", _data(question)),
        ("Made in another way than the champion", _settings(context, question)),
        ("The champion in use", _drift(context)),
        ("Cost of the training", _cost(context, question)),
        ("More", _links(question.evaluation.links if links is None else links)),
    ]
    blocks = ["\n".join([*([f"### {title}"] if title else []), *lines]) for title, lines in parts if lines]
    return "\n\n".join(blocks)


def _scores(question: Question) -> list[str]:
    from lakeloop.evaluation.probes.registry import titles_of

    titles = titles_of(question.evidence.task)
    models = [question.candidate, *(m for m in (question.evidence.champion, question.evidence.best) if m)]
    lines = [_row(["", *(model.title for model in models)]), _row(["---"] * (1 + len(models)))]
    for name in question.candidate.scores:
        values = [model.scores.get(name) for model in models]
        lines.append(
            _row(
                [
                    titles.get(name, name),
                    *("none" if value is None else told(name, value) for value in values),
                ]
            )
        )
    return lines


def _changes(question: Question) -> list[str]:
    return [line for found in question.evidence.comparisons for line in _change(question, found)]


def _change(question: Question, found: Comparison) -> Iterator[str]:
    other = question.evidence.model(found.other).title
    better = "better" if found.advantage >= 0 else "worse"
    yield (
        f"* Beside the {other}: {shown(abs(found.advantage))} {better} by {found.metric} (90 % interval"
        f" {signed(found.low)} to {signed(found.high)}), {found.gained} rows better, {found.lost} worse."
    )
    lost = [each for each in found.slices if each.loss > 0]
    won = [each for each in reversed(found.slices) if each.loss < 0]
    for title, slices in (("lost", lost), ("won", won)):
        if slices:
            yield f"* Slices {title}: {_named(slices)}."


def _named(slices: Sequence[SliceChange]) -> str:
    shortest = [f"{each.name} {-100 * each.loss:+.1f} % of {each.rows} rows" for each in slices[:_SLICES]]
    more = len(slices) - _SLICES
    return ", ".join(shortest) + (f", and {more} more" if more > 0 else "")


def _data(question: Question) -> list[str]:
    found, candidate = question.evidence, question.candidate
    reigning = found.champion
    day = candidate.newest_day or "an unknown one"
    lines = [f"* Data set `{found.dataset_digest[:12]}`, days up to {day}; {found.rows} test rows."]
    if reigning:
        day = reigning.newest_day or "an unknown one"
        lines.append(f"* The champion: data set `{reigning.dataset_digest[:12]}`, days up to {day}.")
    if found.note:
        lines.append(f"* Of the test rows: {found.note}.")
    return lines


def _settings(context: StageContext, question: Question) -> list[str]:
    """Each field that differs between how the candidate and the champion were made."""
    from lakeloop.registry.compare import differences
    from lakeloop.registry.stored import description_in, description_of

    if question.champion is None:
        return []
    files = context.lake.files
    ours: ArtifactDescription = description_in(files, question.candidate.folder)
    theirs = description_of(files, question.champion)
    return [f"* `{each.name}`: {each.second} → {each.first}" for each in differences(ours, theirs)]


def _drift(context: StageContext) -> list[str]:
    record = context.lake.ledger.latest("monitor", status=("done", "refused"))
    return [f"* {record.partition}: {record.reason}"] if record else []


def _cost(context: StageContext, question: Question) -> list[str]:
    """What the newest training of the candidate has taken."""
    name, day = stage_named("train").record_name(question.candidate.name), question.evidence.partition
    record = context.lake.ledger.latest(name, day, "done")
    if record is None or record.outputs.get("digest") != question.candidate.digest:
        return []
    return [f"* {record.provenance.seconds:.0f} s; {record.reason}"]


def _links(links: Mapping[str, str]) -> list[str]:
    return [f"* {link}" if link.startswith("[") else f"* {name}: {link}" for name, link in links.items()]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
