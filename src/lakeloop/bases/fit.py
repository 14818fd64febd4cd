"""Whether a training fits its base model, as far as files tell: `lakeloop check` asks, and each job again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lakeloop.bases.families import depth_of, family_of, positions_of
from lakeloop.bases.vocabulary import read_vocabulary
from lakeloop.errors import ConfigurationError
from lakeloop.spec.methods import METHODS, MethodBase, TopLayers, kind_of
from lakeloop.spec.quoting import Key, plain
from lakeloop.spec.train import Candidate, Train

Misfit = tuple[Key, ConfigurationError]
"""The key of section `train` that says it, and what is wrong with it."""


def misfits(
    config: Mapping[str, Any], tokenizer: Path, train: Train, candidates: Sequence[Candidate]
) -> Iterator[Misfit]:
    """What of `train`, and of these candidates, does not fit the base model with this config.json.

    Raises:
        ConfigurationError: the tokenizer cannot be read.
    """
    family, kind = family_of(config), plain(str(config.get("model_type")))
    if family.refused:
        yield (
            ("base_model",),
            ConfigurationError(
                f"{kind} cannot be a base model: {family.refused}",
                expected="another architecture",
                found=train.base_model,
            ),
        )
        return
    yield from _tokens(config, tokenizer, train)
    for candidate in candidates:
        if error := _method(config, candidate.method, train):
            yield _key(train, candidate), error


def _tokens(config: Mapping[str, Any], tokenizer: Path, train: Train) -> Iterator[Misfit]:
    most, size = positions_of(config), config.get("vocab_size")
    if most is not None and train.max_tokens > most:
        yield (
            ("max_tokens",),
            ConfigurationError(
                "base model cannot read texts that long",
                expected=f"at most {most}",
                found=str(train.max_tokens),
                remedy=f"max_tokens: {most}, or a base model with more positions",
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
    if isinstance(method, TopLayers) and depth is not None and method.layers > depth:
        return ConfigurationError(
            "base model has fewer layers", expected=f"at most {depth}", found=str(method.layers)
        )
    return None


def _key(train: Train, candidate: Candidate) -> Key:
    if candidate in train.candidates:
        return ("candidates", train.candidates.index(candidate), "method")
    return ("method",)
