"""The one list of cleaning steps, which of them a loop file asks for, and running them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from lakeloop.errors import ArtifactError

if TYPE_CHECKING:
    import pyarrow as pa

    from lakeloop.spec.clean import Clean


def _normalise(texts: pa.Array, told: str) -> pa.Array:  # noqa: ARG001
    from lakeloop.cleaning.text import normalise

    return normalise(texts)


def _invisible(texts: pa.Array, told: str) -> pa.Array:  # noqa: ARG001
    from lakeloop.cleaning.invisible import without_invisible

    return without_invisible(texts)


def _mask(texts: pa.Array, told: str) -> pa.Array:
    from lakeloop.cleaning.personal.registry import mask

    return mask(texts, *told.split(","))


def _blot(texts: pa.Array, told: str) -> pa.Array:
    from lakeloop.cleaning.personal.registry import mask

    return mask(texts, *told.split(","), keep_length=True)


STEPS: Mapping[str, Callable[[pa.Array, str], pa.Array]] = {
    "invisible": _invisible,
    "normalise": _normalise,
    "mask": _mask,
    "blot": _blot,
}
"""Name of a step -> the step, in the order in which they run. Artifacts have the name, and behind a colon
what the step is told: `mask:phone,GB`. A step changes nothing in texts that went through all of them."""


_LEAVE_PLAIN = frozenset({"invisible", "normalise"})
"""Steps that change nothing in a plain text."""


def steps_of(clean: Clean, *, keep_length: bool = False) -> tuple[str, ...]:
    """The steps that a text of the loop goes through, in order.

    Args:
        clean: section of the loop file.
        keep_length: answers are places in the text, or words of it: what is masked stays as long.
    """
    from lakeloop.cleaning.personal.registry import KINDS

    kinds = (name for name in KINDS if name in clean.mask)
    regional = {name: f",{clean.phone_region}" for name, kind in KINDS.items() if kind.regional}
    told = [f"{name}{regional.get(name, '') if clean.phone_region else ''}" for name in kinds]
    return (
        *(["invisible"] if clean.invisible else []),
        *(["normalise"] if clean.normalise else []),
        *(f"{'blot' if keep_length else 'mask'}:{each}" for each in told),
    )


def run_step(texts: pa.Array, step: str, where: str = "") -> pa.Array:
    """Arrow strings after one step, as an artifact names it.

    Raises:
        ArtifactError: this version knows no such step; `where` names the artifact or file that asks for it.
    """
    name, _, told = step.partition(":")
    if name not in STEPS:
        raise ArtifactError(
            "the model was trained behind a cleaning step that is not known here",
            where=where,
            expected=", ".join(STEPS),
            found=name,
            remedy="serve it with the version that wrote it, or release the model again",
        )
    return STEPS[name](texts, told)


def clean_texts(texts: Sequence[str], steps: Sequence[str], where: str = "") -> list[str]:
    """`texts` after `steps`.

    Raises:
        ArtifactError: as `run_step`.
    """
    if not steps or not texts:
        return list(texts)
    if _LEAVE_PLAIN.issuperset(steps) and all(map(_plain, texts)):
        return list(texts)  # a call of Arrow takes as long as a short text in the tokenizer
    import pyarrow as pa

    array = pa.array(texts, pa.large_string())
    for step in steps:
        array = run_step(array, step, where)
    cleaned: list[str] = array.to_pylist()
    return cleaned


def _plain(text: str) -> bool:
    """Printable ASCII, one blank between words."""
    return text.isascii() and text.isprintable() and "  " not in text and text == text.strip(" ")
