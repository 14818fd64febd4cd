"""The card of a version as a README.md for people and hubs, from what the lake says; nothing is fetched.

It is kept in the lake beside the version when that is registered, and never changed: what was known then. It
is no part of the artifact, so the digest of the artifact does not depend on how cards are worded.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from lakeloop.artifact import ArtifactDescription
from lakeloop.durable import write_atomically
from lakeloop.errors import ArtifactError
from lakeloop.evidence import Evidence, ModelEvidence
from lakeloop.extras import not_installed
from lakeloop.lake.files import LakeFiles
from lakeloop.measures.abstaining import Threshold
from lakeloop.measures.registry import ABSTAINING, told
from lakeloop.registry.history import ModelVersion
from lakeloop.registry.stored import description_of
from lakeloop.spec.loop import LoopSpec
from lakeloop.tasks.registry import task_class

CARD = "README.md"
_PRECISIONS = (0.0, 0.8, 0.9, 0.95, 0.98, 0.99)
"""Shares of right answers for which a card says the threshold."""

_TEMPLATE = """\
---
{{ card_data }}
---

# {{ title }}

{{ sentence }}

{{ facts }}

## Scores

{{ scores }}

## Why it was let in

{{ decision }}

{{ checks }}

## When it is unsure

{{ unsure }}

## Settings

{{ settings }}

## Limits

{{ limits }}
"""


def kept_card(
    files: LakeFiles, loop: LoopSpec, version: ModelVersion, evidence: Callable[[], Evidence | None]
) -> str:
    """The card of a version, as it was kept; made and kept now, where that was not done yet.

    `evidence` is what the gate accepted it on, asked for only where the card is made.

    Raises:
        ConfigurationError: the card has to be made, and what words it is not installed.
        ArtifactError: what the lake has is not as it was stored.
    """
    folder = f"cards/{version.name}"
    if not files.exists(folder):
        text = card_text(loop, version, description_of(files, version), evidence())
        with tempfile.TemporaryDirectory(prefix="card-") as scratch:
            write_atomically(Path(scratch) / CARD, text)
            try:
                files.put(Path(scratch), folder)
            except ArtifactError:  # another process was first, and may word it otherwise
                if not files.exists(folder):
                    raise
    return files.read(folder, CARD).decode()


def card_text(
    loop: LoopSpec, version: ModelVersion, description: ArtifactDescription, evidence: Evidence | None
) -> str:
    """The README of a version; of one without evidence the scores are those of its card in the registry.

    Raises:
        ConfigurationError: huggingface_hub, which words the head of the file, is not installed.
    """
    try:
        from huggingface_hub import EvalResult, ModelCard, ModelCardData
    except ImportError as error:
        raise not_installed(
            "model cards", "huggingface-hub", "hub", where=f"{loop.name} {version.name}", error=error
        ) from error
    results = [
        EvalResult(
            task_type=description.contract.kind.replace("_", "-"),
            dataset_type=loop.name,
            dataset_name=f"{loop.name}, test rows",
            dataset_split="test",
            dataset_revision=version.card.dataset_digest,
            metric_type=name,
            metric_value=score,
        )
        for name, score in version.card.metrics.items()
    ]
    name = f"{loop.name}-{version.name}"
    head = ModelCardData(
        model_name=name,
        library_name="lakeloop",
        eval_results=results or None,
        tags=["lakeloop", loop.name],
        license=loop.license,
        language=list(loop.language) or None,
    )
    parts = {"title": f"{loop.name} {version.name}", **_parts(loop, version, description, evidence)}
    return str(ModelCard.from_template(head, template_str=_TEMPLATE, **parts))


def _parts(
    loop: LoopSpec, version: ModelVersion, description: ArtifactDescription, evidence: Evidence | None
) -> dict[str, str]:
    """The texts of the sections."""
    decision = version.card.decision
    checks = (
        (check.name, "yes" if check.passed else "no", check.expected, check.found)
        for check in decision.checks
    )
    settings = ((name, str(_value(said))) for name, said in description.settings.items())
    return {
        "sentence": f"Answers texts, by {description.contract.kind}.",
        "facts": _table(("", ""), _facts(loop, version, description)),
        "scores": _scores(version, evidence),
        "decision": decision.reason,
        "checks": _table(("Check", "Passed", "Expected", "Found"), checks),
        "unsure": _unsure(loop, version),
        "settings": _table(("Setting", "Value"), settings),
        "limits": _limits(description, evidence),
    }


def _facts(
    loop: LoopSpec, version: ModelVersion, description: ArtifactDescription
) -> Iterator[tuple[str, str]]:
    yield "Method", f"{description.candidate}: {description.method}"
    yield "Base model", f"{description.base_model}, sha256 {description.base_digest}"
    yield "Data set", f"sha256 {version.card.dataset_digest}, {description.profile.rows} training rows"
    yield "Artifact", f"sha256 {version.digest}"
    yield "Registered", f"{version.created_at:%Y-%m-%d %H:%M} UTC"
    yield "Texts are cleaned by", ", ".join(description.clean) or "nothing"
    yield "Answers", ", ".join(description.contract.names) or description.contract.kind
    if description.contract.unlearnt:
        yield "Never learnt", f"{', '.join(description.contract.unlearnt)}: no training row had them"
    yield "Language", ", ".join(loop.language) or "unknown: the loop file says none"
    yield "License", loop.license or "unknown: the loop file says none; base model and data have their own"


def _unsure(loop: LoopSpec, version: ModelVersion) -> str:
    """From which probability on an answer is given, and what that is worth on validation rows."""
    if loop.task.kind not in ABSTAINING:
        return "Answers of this kind are not held back."
    known, abstain = version.card.thresholds, loop.deploy.abstain
    below = abstain.threshold(known)
    holds = f"Answers less probable than {below:.4f} are held back" if below else "Nothing is held back"
    why = f" {abstain.why_none(known)}." if abstain.asked and not below and known else ""
    said = f"{holds}, by `deploy.abstain` of the loop file when this card was made.{why}"
    if not known:
        return f"{said} What thresholds are worth is unknown: none were measured."
    chosen = dict.fromkeys(_nearest(known, share) for share in _PRECISIONS)
    rows = (
        (f"{each.below:.4f}", f"{100 * each.precision:.1f} %", f"{100 * each.answered:.1f} %")
        for each in chosen
    )
    return f"{said} On validation rows:\n\n{_table(('Held back below', 'Right', 'Answered'), rows)}"


def _nearest(known: Sequence[Threshold], precision: float) -> Threshold:
    """The lowest threshold with this precision, or the one that comes nearest."""
    return next((each for each in known if each.precision >= precision), known[-1])


def _scores(version: ModelVersion, evidence: Evidence | None) -> str:
    if evidence is None:
        return _table(("Score", "Test rows"), ((n, told(n, v)) for n, v in version.card.metrics.items()))
    names = dict.fromkeys(name for model in evidence.models for name in model.scores)
    rows = ((name, *(_shown(model, name) for model in evidence.models)) for name in names)
    head = ("Score", *(model.title for model in evidence.models))
    note = f" ({evidence.note})" if evidence.note else ""
    ends = "; in brackets where a score would lie with other rows, with 95 %"
    about = ends if any(model.intervals for model in evidence.models) else ""
    return f"On the same {evidence.rows} test rows{note}{about}:\n\n{_table(head, rows)}"


def _shown(model: ModelEvidence, name: str) -> str:
    return told(name, model.scores[name], model.intervals.get(name)) if name in model.scores else ""


def _limits(description: ArtifactDescription, evidence: Evidence | None) -> str:
    lines = [f"- What follows the first {description.max_tokens} tokens of a text is not read."]
    if evidence and task_class(description.contract.kind).right_or_wrong:
        wrong = f"{evidence.wrong} of {evidence.rows} test rows"
        lines.append(f"- {wrong} were answered wrong by the best candidate.")
    return "\n".join(lines)


def _value(setting: object) -> object:
    return setting["value"] if isinstance(setting, dict) and "value" in setting else setting


def _table(heading: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    found = [" | ".join(_cell(cell) for cell in row) for row in rows]
    if not found:
        return "none"
    lines = (" | ".join(heading), " | ".join("---" for _ in heading), *found)
    return "\n".join(f"| {line} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
