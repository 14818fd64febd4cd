"""What a candidate is judged by, what it must reach, and how it is put into use."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from lakeloop.measures.abstaining import Threshold, threshold_for
from lakeloop.spec.base import NOTHING, RELEASE, Identifier, Mark, Section, Words, text_like
from lakeloop.spec.columns import ColumnName
from lakeloop.spec.explaining import OCCLUSION, Explain
from lakeloop.spec.rules import Broken, refuse_broken

VisibleText = Annotated[str, text_like(r"\S", "a text that is not blank")]


class SmokeRow(Section):
    """A row with more than a text, as requests to the model server have it."""

    text: Annotated[VisibleText, NOTHING]
    text_pair: Annotated[VisibleText | None, NOTHING] = None
    features: Annotated[dict[str, float | str | None], NOTHING] = Field(default_factory=dict)
    """Values of the columns beside the text, by their names in the loop file."""


METRIC = Mark(("weights", "scores", "release"), per_run=True)


class Evaluate(Section):
    metric: Annotated[Identifier | None, METRIC] = None
    """The score that epochs and candidates are ordered by and the gate judges. Default: the first of the
    task's metrics (macro_f1 for classification, mae for regression)."""
    slices: Annotated[tuple[ColumnName, ...], Mark(("scores",))] = ()
    """Columns of the source, read by the model or not, such as a region or a channel: each model is also
    judged on the test rows of each value, or of each third of numbers. The worst slices of all that are known
    (answers, columns beside the text, these, length and script of the text) are looked for without being
    named."""
    out_of_scope: Annotated[Words | None, Mark(("scores",))] = None
    """For classification: a file, relative to the project, with texts that have none of the answers, one on
    each line (the first 2000 count). The evaluation says how many of them each threshold turns away, see
    `deploy.abstain`."""
    synonyms: Annotated[Words | None, Mark(("scores",))] = None
    """Words of one meaning, by which texts are asked again: a file, relative to the project, with a group on
    each line and commas between its words, such as `car, automobile`; or a folder with the files of WordNet
    (`/usr/share/wordnet` of the Debian package wordnet-base), whose words are shown beside `invariance`."""
    explain: Annotated[Explain, Mark(("scores",))] = OCCLUSION
    """How the words are found on which the worst mistakes hang. `occlusion`: each is left out in turn, of any
    model. `integrated_gradients`: for classification and regression, of models that read word vectors; what
    the words add sums up to the answer. Needs the extra `explain` where loops are evaluated."""


class Gate(Section):
    min_score: Annotated[float | None, RELEASE] = None
    """A candidate that is worse than this is refused: below it, or above it where less is better (mae).
    Default: 0.8 for macro_f1 and accuracy, 0 for r2, none for others."""
    max_regression: Annotated[float | None, RELEASE] = Field(default=None, ge=0)
    """A candidate that is worse than the champion by more than this is refused; a share of the champion's
    score for metrics in the unit of the target (mae, rmse). Default: 0.01. The same is asked against the best
    version of the loop's history, so that small losses do not add up."""
    replace: Annotated[Literal["better", "fresher", "any"], RELEASE] = "fresher"
    """What suffices for the place of a champion, besides being no worse. `better`: a paired test on the same
    rows shows it better. `fresher`: that, or it was trained on newer days, or it is a fifth smaller. `any`:
    nothing more."""
    max_slice_regression: Annotated[float, RELEASE] = Field(default=0.05, ge=0, le=1)
    """A candidate is refused that loses a larger share of the rows of a slice than this (an answer, a value
    of a column, short or long texts), where that is more than chance. 1: whatever slices lose."""
    untested: Annotated[Literal["name", "refuse"], RELEASE] = "name"
    """What to do where an answer that was learnt has no test rows: name it in the decision, or refuse."""
    limits: Annotated[dict[Identifier, float], Mark(("release",))] = Field(default_factory=dict)
    """Further scores and the worst value of each that is let through, such as `{log_loss: 0.5}`: any metric
    of the task, also those that are only reported, `invariance` (share of texts that get the same answer when
    they are typed differently), `out_of_scope_auc`, `fairness_gap`, `selection_gap` and `odds_gap` (where
    section `evaluate` asks for them), `doubtful_rows`, `texts_per_second`, `latency_ms` (of a text alone) and
    `megabytes` (of the artifact)."""


class Approval(Section):
    """Whether a person has to agree before a candidate that the gate lets in becomes champion."""

    kind: Annotated[Literal["none", "human"], NOTHING] = "none"
    """`none`: the gate's word is enough. `human`: a person is asked, by the task `approve` of the deploy DAG,
    or answers by `lakeloop approve`; until then the champion stays. A newer candidate that the gate lets in
    ends the question about an older one."""
    users: Annotated[tuple[VisibleText, ...], NOTHING] = ()
    """Who may answer, by their names in Airflow and on this machine. Default: everybody."""
    hours: Annotated[float, NOTHING] = Field(default=72, gt=0, le=8760)
    """How long the task waits for an answer."""
    otherwise: Annotated[Literal["reject", "approve"], NOTHING] = "reject"
    """What counts when nobody answers in time."""

    @property
    def idle(self) -> str:
        said = bool(self.model_fields_set - {"kind"})
        return "asks nobody without kind: human" if self.kind == "none" and said else ""


Requests = Annotated[int, NOTHING, Field(ge=20, le=1_000_000)]
Hours = Annotated[float, NOTHING, Field(gt=0, le=720)]
OTHERWISE = Literal["go_on", "end"]


class Shadow(Section):
    """A time in which a new version is asked what the champion is asked, and nobody gets its answers."""

    requests: Requests = 200
    """After so many it goes on."""
    hours: Hours = 24
    """How long they are waited for."""
    otherwise: Annotated[OTHERWISE, NOTHING] = "go_on"
    """What to do where too few came in time to tell anything: go on as if they had, or end the trial."""


class Canary(Section):
    """A time in which a new version answers a share of the requests; where it does worse it is taken back."""

    shares: Annotated[
        tuple[Annotated[float, Field(gt=0, lt=1)], ...], NOTHING, Field(min_length=1, max_length=10)
    ] = (0.1,)
    """Of the requests, one step after the other, each larger than the one before; then it answers all."""
    requests: Requests = 300
    """That it answers in each step before the next."""
    hours: Hours = 24
    """How long these are waited for, in each step."""
    otherwise: Annotated[OTHERWISE, NOTHING] = "go_on"
    """What to do where too few came in time to tell anything: go on as if they had, or end the trial."""

    @model_validator(mode="after")
    def _ascends(self) -> Self:
        for place, (before, share) in enumerate(itertools.pairwise(self.shares), start=1):
            if share <= before:
                refuse_broken(
                    [
                        Broken(
                            f"shares.{place}",
                            "a step with no more requests than the one before",
                            f"shares that ascend, here more than {before:g}",
                            f"{share:g}",
                        )
                    ]
                )
        return self


class Step(NamedTuple):
    """One step of a trial, in which a version is beside the champion."""

    phase: Literal["shadow", "canary"]
    share: float
    """Of the requests that it answers; 0 in the shadow."""
    asked: Shadow | Canary

    @property
    def title(self) -> str:
        """For people: where the version is."""
        return "in the shadow" if self.phase == "shadow" else f"canary of {self.share:.0%}"


Kept = Literal["text", "mask", "hash"]
"""What the prediction log keeps of a text."""


class Abstain(Section):
    """When a label is held back because the model is not sure of it: by one of the two keys, or never."""

    precision: Annotated[float | None, NOTHING] = Field(default=None, ge=0.5, lt=1)
    """This share of the labels that are given shall be right. The probability that it takes is chosen for
    each version on its validation rows, when it is evaluated, and kept with it; where none is enough, it is
    the one that comes nearest."""
    below: Annotated[float | None, NOTHING] = Field(default=None, gt=0, lt=1)
    """Labels that are less probable than this are held back, whatever the version."""

    @property
    def idle(self) -> str:
        return "" if self.asked else "holds nothing back without one of precision, below"

    @property
    def asked(self) -> bool:
        """Whether labels are held back at all."""
        return self.precision is not None or self.below is not None

    def threshold(self, known: Sequence[Threshold]) -> float:
        """The probability below which a version holds its labels back, of whose thresholds these are `known`.

        0 where it holds none back.
        """
        if self.below is not None:
            return self.below
        return 0.0 if self.precision is None else threshold_for(self.precision, known)

    def why_none(self, known: Sequence[Threshold]) -> str:
        """Why such a version holds nothing back, for people."""
        if not known:
            return "it was released without thresholds; the next version has some, or name one: below"
        return f"{self.precision:g} of its answers are right as it is; texts of another kind ask for `below`"


NEVER = Abstain()


class Deploy(Section):
    smoke_texts: Annotated[tuple[VisibleText | SmokeRow, ...], NOTHING] = ()
    """Texts that are sent to the server after each roll-out; the answers are shown and recorded. Where the
    model reads more than a text: sections with `text`, `text_pair` and `features`."""
    shadow: Annotated[Shadow | None, NOTHING] = None
    """Ask a new version in the shadow of the champion first. Default: do not."""
    canary: Annotated[Canary | None, NOTHING] = None
    """Let a new version answer a share of the requests first. Default: it answers all of them at once."""
    abstain: Abstain = NEVER
    """For classification: the model server and `lakeloop score` answer that they are unsure, in place of a
    label that is not sure enough. A change trains, evaluates and releases nothing; the server reads it when
    it starts."""
    log: Annotated[Kept, NOTHING] = "text"
    """What the prediction log keeps of what the server is asked. `text`: all of it. `mask`: the same with
    each letter and digit of e-mail and IP addresses and of numbers of cards, bank accounts (with British sort
    codes), phones and US social security as `#`; names and streets stay. `hash`: no text and nothing beside
    it, only the text's SHA-256. What a model finds in a text, or writes, is treated alike, and both keep of
    `request_id` what `mask` leaves. The server reads it when it takes the loop up."""

    @property
    def tried_first(self) -> bool:
        """A version that the gate lets in is tried beside the champion before it takes its place."""
        return bool(self.steps)

    @property
    def steps(self) -> tuple[Step, ...]:
        """Of a trial, in order; none where a version answers all requests at once."""
        shadow = (Step("shadow", 0.0, self.shadow),) if self.shadow else ()
        canary = self.canary
        return shadow + (tuple(Step("canary", share, canary) for share in canary.shares) if canary else ())

    @property
    def rows(self) -> tuple[SmokeRow, ...]:
        """The texts as rows."""
        return tuple(SmokeRow(text=row) if isinstance(row, str) else row for row in self.smoke_texts)
