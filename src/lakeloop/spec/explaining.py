"""How an evaluation finds the words that an answer hangs on, and what models can be asked so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from lakeloop.measures.registry import WEIGHED
from lakeloop.spec.methods import Classical, Method, ZeroShot
from lakeloop.spec.rules import Broken

Explain = Literal["occlusion", "integrated_gradients"]
OCCLUSION: Explain = "occlusion"
GRADIENTS: Explain = "integrated_gradients"
KEY = "evaluate.explain"


def has_gradients(method: Method) -> bool:
    """Whether the network that `method` leaves reads word vectors, for which there are gradients."""
    if isinstance(method, Classical):
        return method.features == "embeddings" and method.model == "linear"
    return not isinstance(method, ZeroShot) or method.features == "embeddings"


def wrong_explaining(kind: str, explain: Explain, methods: Sequence[tuple[str, Method]]) -> Iterator[Broken]:
    """What of a loop cannot be explained as it asks: its `kind` of task, or one of its candidates."""
    if explain == OCCLUSION:
        return
    if kind not in WEIGHED:
        wanted = f"{OCCLUSION}; gradients are for {', '.join(WEIGHED)}"
        yield Broken(KEY, "answers of this kind are not weighed", wanted, kind)
        return
    for name, method in methods:
        if not has_gradients(method):
            yield Broken(
                KEY,
                f"the model of candidate {name} has no gradients",
                f"{OCCLUSION}, or methods that read word vectors",
                f"{explain} with method {method.kind}",
            )
