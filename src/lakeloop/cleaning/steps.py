"""The one list of cleaning steps, which of them a loop file asks for, and running them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from lakeloop.errors import ArtifactError

if TYPE_CHECKING:
    import pyarrow as pa

    from lakeloop.spec.clean import Clean


def _normalise(texts: pa.Array) -> pa.Array:
    from lakeloop.cleaning.text import normalise

    return normalise(texts)


STEPS: Mapping[str, Callable[[pa.Array], pa.Array]] = {"normalise": _normalise}
"""Name of a step, as artifacts have it -> the step. A step changes nothing in texts that went through it."""


def steps_of(clean: Clean) -> tuple[str, ...]:
    """The steps that a text of the loop goes through, in order."""
    return ("normalise",) if clean.normalise else ()


def clean_texts(texts: Sequence[str], steps: Sequence[str], where: str = "") -> list[str]:
    """`texts` after `steps`.

    Raises:
        ArtifactError: this version knows no such step; `where` names the artifact or file that asks for it.
    """
    if not steps or not texts:
        return list(texts)
    for name in steps:
        if name not in STEPS:
            raise ArtifactError(
                "the model was trained behind a cleaning step that is not known here",
                where=where,
                expected=", ".join(STEPS),
                found=name,
                remedy="serve it with the version that wrote it, or release the model again",
            )
    if all(map(_plain, texts)):  # a call of Arrow takes as long as a short text in the tokenizer
        return list(texts)
    import pyarrow as pa

    array = pa.array(texts, pa.large_string())
    for name in steps:
        array = STEPS[name](array)
    cleaned: list[str] = array.to_pylist()
    return cleaned


def _plain(text: str) -> bool:
    """Printable ASCII, one blank between words: no step changes it."""
    return text.isascii() and text.isprintable() and "  " not in text and text == text.strip(" ")
