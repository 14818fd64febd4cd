"""The space of a search in Optuna's terms."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from lakeloop.spec.search import Dimension, Search, grid_of, is_fractional
from lakeloop.spec.train import Train

_AT_RANDOM = 10
"""Trials before TPE has enough to learn from, at most; of few trials a third."""


def distributions(train: Train, search: Search) -> dict[str, BaseDistribution]:
    """Key -> the values it is tried with, of the same kind as the key's own."""
    fields = train.triable(train.candidate(search.candidate))
    return {
        key: _distribution(dimension, fractional=is_fractional(fields[key]))
        for key, dimension in search.space.items()
    }


def _distribution(dimension: Dimension, *, fractional: bool) -> BaseDistribution:
    if dimension.choices:
        return CategoricalDistribution(dimension.choices)
    low, high, step = dimension.low, dimension.high, dimension.step
    assert low is not None, "the loop file was checked"
    assert high is not None, "the loop file was checked"
    if step is not None and (values := grid_of(dimension)):
        high = float(values[-1])
    if fractional:
        return FloatDistribution(float(low), float(high), log=dimension.log, step=step)
    return IntDistribution(int(low), int(high), log=dimension.log, step=int(step or 1))


def grid(search: Search) -> list[dict[str, Any]]:
    """All combinations, in an order that looks random and is the same each time: a part of it is spread."""
    axes = [[(key, value) for value in grid_of(each) or ()] for key, each in search.space.items()]
    points = [dict(point) for point in itertools.product(*axes)]
    return sorted(points, key=lambda point: hashlib.sha256(repr(sorted(point.items())).encode()).digest())


def sampler_of(search: Search, study: str, number: int) -> BaseSampler:
    """Chooses the values of trial `number`, from a seed of its own: workers with one seed choose the same."""
    digest = hashlib.sha256(f"{study}/{number}".encode()).digest()
    seed = int.from_bytes(digest[:4], "big")
    if search.sampler == "tpe":
        return TPESampler(seed=seed, n_startup_trials=min(_AT_RANDOM, max(2, search.trials // 3)))
    return RandomSampler(seed=seed)


def suggest(trial: optuna.Trial, space: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    """The values of a trial, chosen now where they were not before."""
    values: dict[str, Any] = {}
    for key, distribution in space.items():
        if isinstance(distribution, CategoricalDistribution):
            values[key] = trial.suggest_categorical(key, distribution.choices)
        elif isinstance(distribution, FloatDistribution):
            values[key] = trial.suggest_float(
                key, distribution.low, distribution.high, step=distribution.step, log=distribution.log
            )
        elif isinstance(distribution, IntDistribution):
            values[key] = trial.suggest_int(
                key, distribution.low, distribution.high, step=distribution.step, log=distribution.log
            )
    return values
