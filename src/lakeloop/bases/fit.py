"""Whether a training fits its base model, as far as files tell: `lakeloop check` asks, and each job again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lakeloop.bases.families import cannot_write, depth_of, family_of, positions_of
from lakeloop.bases.parts import BEFORE_TEXTS, parts_of, virtual_tokens_of
from lakeloop.bases.vocabulary import read_vocabulary
from lakeloop.errors import ConfigurationError
from lakeloop.spec.methods import METHODS, FrozenPart, MethodBase, TopLayers, kind_of
from lakeloop.spec.quoting import Key, plain
from lakeloop.spec.tasks.base import TaskBase
from lakeloop.spec.tasks.writing import WritingTask
from lakeloop.spec.train import SHORTEST, Candidate, Train

Misfit = tuple[Key, ConfigurationError]
"""The key of section `train` that says it, and what is wrong with it."""

_WRITERS = {
    "seq2seq": "an encoder with a decoder, such as T5 or BART, as a folder or on the hub",
    "causal_lm": "a decoder, such as Llama or GPT-2, as a folder or on the hub",
}
"""Kind of task -> what writes its answers."""


def misfits(
    config: Mapping[str, Any],
    tokenizer: Path,
    train: Train,
    candidates: Sequence[Candidate],
    task: TaskBase | None = None,
) -> Iterator[Misfit]:
    """What of `train`, and of these candidates, does not fit the base model with this config.json.

    Without a `task` it is one whose answers are no texts.

    Raises:
        ConfigurationError: the tokenizer cannot be read.
    """
    family, kind = family_of(config), plain(str(config.get("model_type")))
    writing = task if isinstance(task, WritingTask) else None
    if why := cannot_write(config, writing.kind) if writing else family.refused:
        yield (
            ("base_model",),
            ConfigurationError(
                f"{kind} cannot be a base model: {why}",
                expected=_WRITERS[writing.kind] if writing else "another architecture",
                found=train.base_model,
            ),
        )
        return
    yield from _tokens(config, tokenizer, train, writing)
    for candidate in candidates:
        if error := _method(config, candidate.method, train):
            yield _key(train, candidate), error


def _tokens(
    config: Mapping[str, Any], tokenizer: Path, train: Train, writing: WritingTask | None
) -> Iterator[Misfit]:
    most, size = _room(config), config.get("vocab_size")
    if most is not None and writing is not None and writing.kind == "causal_lm":
        most -= writing.max_new_tokens  # the answer stands behind the prompt
    if most is not None and train.max_tokens > most:
        yield (
            ("max_tokens",),
            ConfigurationError(
                "base model cannot read texts that long",
                expected=f"at most {most}",
                found=str(train.max_tokens),
                remedy=f"max_tokens: {most}, or a base model with more positions"
                if most >= SHORTEST
                else "a base model with more positions, or shorter answers (task.max_new_tokens)",
            ),
        )
    if isinstance(size, int) and (beyond := read_vocabulary(tokenizer).above(size)):
        yield ("base_model",), without_vectors(beyond, size, train.base_model)


def without_vectors(tokens: Sequence[str], vectors: int, name: str) -> ConfigurationError:
    """The error that `tokens` of a tokenizer have ids from `vectors` on, for which a model has no vectors."""
    return ConfigurationError(
        f"the tokenizer has {len(tokens):,} token(s) that the base model has no vectors for",
        expected=f"ids below {vectors:,}, the number of its word vectors",
        found=f"{name}: {plain(ascii(tokens[0]))} and so on",
        remedy="save the model again after resize_token_embeddings, or take its own tokenizer",
    )


def _method(config: Mapping[str, Any], method: MethodBase, train: Train) -> ConfigurationError | None:
    family, depth = family_of(config), depth_of(config)
    kind = kind_of(type(method))
    for need in method.needs:
        if need in family.lacks:
            others = [kind_of(other) for other in METHODS if not set(other.needs) & set(family.lacks)]
            return ConfigurationError(
                f"method {kind} does not fit {plain(str(config.get('model_type')))}: {family.lacks[need]}",
                expected=", ".join(others),
                found=f"{kind}, base model {train.base_model}",
            )
    if error := _layers(depth, method):
        return error
    return _beside_parts(config, method, train) or _before_texts(config, method, train)


def _layers(depth: int | None, method: MethodBase) -> ConfigurationError | None:
    """What is wrong with how many layers `method` speaks of."""
    match method:
        case TopLayers(layers=said):
            most = depth
        case FrozenPart(lowest=said):
            most = None if depth is None else depth - 1
        case _:
            return None
    if most is None or said <= most:
        return None
    return ConfigurationError("base model has fewer layers", expected=f"at most {most}", found=str(said))


def _beside_parts(config: Mapping[str, Any], method: MethodBase, train: Train) -> ConfigurationError | None:
    """What is wrong with what `method` leaves, beside what trainings before left in a champion."""
    there, (kind, size) = parts_of(config), method.leaves or ("", 0)
    if there.get(kind, size) != size:
        return ConfigurationError(
            f"{train.base_model} has a {kind} of another size, which is trained on",
            expected=str(there[kind]),
            found=str(size),
            remedy="say that size, or name the pretrained model as base_model",
        )
    others = [each for each in BEFORE_TEXTS if each in there and kind in BEFORE_TEXTS and each != kind]
    if others:
        return ConfigurationError(
            f"{train.base_model} has a {others[0]} before its texts, and there is room for one",
            expected="another method",
            found=kind_of(type(method)),
            remedy=f"train it by method {others[0]}, or name the pretrained model as base_model",
        )
    return None


def _before_texts(config: Mapping[str, Any], method: MethodBase, train: Train) -> ConfigurationError | None:
    """What is wrong with how many vectors `method` puts before texts."""
    room = _room(config)
    if room is None or not method.virtual_tokens or virtual_tokens_of(config):
        return None
    if train.max_tokens + method.virtual_tokens <= room:
        return None
    ways = [
        f"{key}: {most}"
        for key, most, least in (
            ("max_tokens", room - method.virtual_tokens, SHORTEST),
            ("tokens", room - train.max_tokens, 1),
        )
        if most >= least
    ]
    return ConfigurationError(
        f"texts and the {method.virtual_tokens} vectors before each are longer than the base model can read",
        expected=f"at most {room} together",
        found=f"{train.max_tokens} + {method.virtual_tokens}",
        remedy=f"{' or '.join(ways) or 'another method'}, or a base model with more positions",
    )


def _room(config: Mapping[str, Any]) -> int | None:
    """How many tokens the encoder reads beside the vectors that stand before each text already."""
    positions = positions_of(config)
    return None if positions is None else positions - virtual_tokens_of(config)


def _key(train: Train, candidate: Candidate) -> Key:
    if candidate in train.candidates:
        return ("candidates", train.candidates.index(candidate), "method")
    return ("method",)
