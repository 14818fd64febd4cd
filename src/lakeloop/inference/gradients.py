"""Which words an answer hangs on: the gradients of the answer, summed on the way from no words to the text.

Integrated gradients (Sundararajan, Taly and Yan 2017), of Captum's LayerIntegratedGradients, with respect to
the word vectors. What the words add up to is what the answer is apart from that to a text of nothing but
masks (completeness), which occlusion does not promise. It is of the network that the training sealed beside
the ONNX file; where the two differ, nothing is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from captum.attr import LayerIntegratedGradients
from safetensors import safe_open
from torch import nn

from lakeloop.artifact import ENCODER
from lakeloop.bases.files import SEALED_CONFIG, WEIGHTS
from lakeloop.inference.encoders.reading import embedding
from lakeloop.inference.encoders.sealed import ENCODER as OF_ENCODER
from lakeloop.inference.encoders.sealed import sealed
from lakeloop.inference.occlusion import Part, parts_of
from lakeloop.measures.registry import WEIGHED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenizers import Encoding

    from lakeloop.inference.predictor import Predictor
    from lakeloop.tasks.base import Answer, OutputContract
    from lakeloop.tasks.reading import Instance

FIRST_STEPS, MOST_STEPS = 32, 512
"""Points on the way from no words to the text; twice as many until the words add up."""
ADDS_UP = 0.01
"""How far the words may be from what the answers differ by: of a probability, or of the deviation."""
_AT_ONCE = 32
"""Points in one call of the network."""
_APART = 0.1
"""From which difference on, of the same, what was sealed is not what is served: such as one in eight bits."""
_HEAD = ("head.weight", "head.bias")
_MASKS = ("[MASK]", "<mask>")


class Weighed(nn.Module):
    """Token ids and mask, int64 [rows, tokens], features -> how much the network says an answer, [rows]."""

    def __init__(
        self, encoder: nn.Module, head: Mapping[str, torch.Tensor], contract: OutputContract
    ) -> None:
        super().__init__()
        self.encoder: Any = encoder
        self._weight, self._bias = (head[name] for name in _HEAD)
        self._contract = contract
        self.said = 0
        """Number of the answer among the contract's names."""

    def forward(
        self, ids: torch.Tensor, mask: torch.Tensor, features: torch.Tensor | None = None
    ) -> torch.Tensor:
        known = embedding(self.encoder, ids, mask)
        known = known if features is None else torch.cat([known, features], dim=1)
        outputs = nn.functional.linear(known, self._weight, self._bias)
        if self._contract.names:
            return outputs.softmax(dim=1)[:, self.said]
        return self._contract.offset + self._contract.scale * outputs[:, 0]


def attributions(
    predictor: Predictor, rows: Sequence[Instance], answers: Sequence[Answer]
) -> list[tuple[Part, ...]]:
    """What each part of each row's text adds to the answer that `predictor` gave it, in the text's order.

    Raises:
        LookupError: the model has no such gradients; says why.
    """
    torch.set_num_threads(predictor.threads)
    network = _opened(predictor)
    blank = _blank(predictor)
    read = predictor.with_places(rows)
    return [
        _parts(network, predictor, instance, encoding, answer, blank)
        for (instance, encoding), answer in zip(read, answers, strict=True)
    ]


def _opened(predictor: Predictor) -> Weighed:
    description, folder = predictor.description, predictor.folder
    if description.engine != ENCODER or description.contract.kind not in WEIGHED:
        raise LookupError(f"answers of {description.contract.kind} are not weighed")
    with safe_open(folder / WEIGHTS, framework="pt") as weights:
        names = set(weights.keys())
        if not names.issuperset(_HEAD) or not any(name.startswith(OF_ENCODER) for name in names):
            raise LookupError(f"a model by {description.method} has no gradients")
        head = {name: weights.get_tensor(name).float() for name in _HEAD}
    encoder, missing = sealed(folder / SEALED_CONFIG, folder / WEIGHTS)
    if missing:
        raise LookupError(f"its sealed weights lack {min(missing)}")
    encoder.eval().requires_grad_(False)
    return Weighed(encoder, head, description.contract)


def _blank(predictor: Predictor) -> int:
    """The token that stands for no word."""
    found = (predictor.token(name) for name in _MASKS)
    return next((number for number in found if number is not None), predictor.pad)


def _parts(
    network: Weighed,
    predictor: Predictor,
    instance: Instance,
    encoding: Encoding,
    answer: Answer,
    blank: int,
) -> tuple[Part, ...]:
    contract, reads = predictor.description.contract, predictor.description.reads
    weight = answer.weight_of(answer)
    own = [place for place, number in enumerate(encoding.sequence_ids) if number == 0]
    spans = parts_of(instance.text, predictor.description.max_tokens)
    if weight is None or not own or not spans:
        return ()
    if contract.names:
        network.said = contract.names.index(answer.guess or "")  # type: ignore[attr-defined]
    ids = torch.tensor([encoding.ids])
    without = ids.clone()
    without[0, own] = blank
    numbers = reads.numbers([instance])
    features = None if numbers is None else torch.from_numpy(numbers)
    adds, said = _integrated(network, ids, without, features, _unit(contract))
    if abs(said - weight) > _APART * _unit(contract):
        raise LookupError(f"it answers {weight:.3f} where its sealed network answers {said:.3f}")
    return _of_parts(instance.text, spans, encoding, own, adds)


def _unit(contract: OutputContract) -> float:
    return 1.0 if contract.names else contract.scale


def _integrated(
    network: Weighed, ids: torch.Tensor, without: torch.Tensor, features: torch.Tensor | None, unit: float
) -> tuple[torch.Tensor, float]:
    """What each token adds, float [tokens], and how much the network says the answer."""
    given = (torch.ones_like(ids), features)
    method = LayerIntegratedGradients(network, network.encoder.get_input_embeddings())
    steps = FIRST_STEPS
    while True:
        found, delta = method.attribute(
            ids,
            baselines=without,
            additional_forward_args=given,
            n_steps=steps,
            internal_batch_size=_AT_ONCE,
            return_convergence_delta=True,
        )
        if abs(float(delta)) <= ADDS_UP * unit or steps >= MOST_STEPS:
            break
        steps *= 2
    with torch.inference_mode():
        said = float(network(ids, *given))
    return found.sum(dim=-1)[0].detach(), said


def _of_parts(
    text: str, spans: Sequence[tuple[int, int]], encoding: Encoding, own: Sequence[int], adds: torch.Tensor
) -> tuple[Part, ...]:
    """The tokens' numbers summed over the parts; marks between two go with the one before them."""
    sums = [0.0] * len(spans)
    read = 0
    for place in own:
        begin, end = encoding.offsets[place]
        token = text[begin:end]
        begin += len(token) - len(token.lstrip())  # some tokenizers count the blank to the token behind it
        number = sum(first <= begin for first, _ in spans[1:])
        sums[number] += float(adds[place])
        read = max(read, number + 1)
    return tuple(Part(text[a:b], added) for (a, b), added in zip(spans[:read], sums[:read], strict=True))
