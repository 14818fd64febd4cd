"""What the model server is asked and what it answers, as typed data; errors are in `guard.problems`.

The docstrings are the descriptions in the API docs. Requests are strict: no value is converted, no key is
unknown. What an answer looks like is the task's (`lakeloop.tasks`).
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Self, Union

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from lakeloop.registry.trials import Phase
from lakeloop.serving.guard.identity import PATTERN
from lakeloop.serving.guard.problems import ASKED_TWICE, NOTHING_ASKED, ErrorDetail
from lakeloop.tasks.base import Answer, OutputContract
from lakeloop.tasks.reading import Instance, Reading
from lakeloop.tasks.registry import TASKS, answer_type

if TYPE_CHECKING:
    AnyAnswer = Answer
else:
    AnyAnswer = Union[tuple(map(answer_type, TASKS))]  # noqa: UP007 - the members are in a list


def _encodable(text: str) -> str:
    # JSON can escape half of a surrogate pair; tokenizers and Parquet cannot hold it.
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"not Unicode text: lone surrogate at character {error.start}") from None
    return text


def _not_blank(text: str) -> str:
    # A model would answer it all the same: with whatever it says of nothing.
    if not text.strip():
        raise ValueError("blank: there is nothing to answer")
    return text


Encodable = Annotated[str, AfterValidator(_encodable)]
Text = Annotated[Encodable, AfterValidator(_not_blank)]
RequestId = Annotated[str, StringConstraints(pattern=PATTERN)]


class _Described(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)


class AskedInstance(_Described):
    """One row of a loop whose model reads more than a text."""

    model_config = ConfigDict(strict=True, extra="forbid")

    text: Text
    text_pair: Text | None = None
    """The second text, where the model reads one."""
    features: dict[str, float | int | bool | Encodable | None] = Field(default_factory=dict)
    """Values of the columns beside the text, by their names in the loop file; null, or left out: none."""


class PredictRequest(_Described):
    """Rows to answer: texts, or instances where the model reads more than a text."""

    model_config = ConfigDict(strict=True, extra="forbid")

    texts: list[Text] = Field(default_factory=list, examples=[["Shares in London closed higher."]])
    """None may be blank, and there may be none; the limits are in the description of this service."""
    instances: list[AskedInstance] = Field(
        default_factory=list, examples=[[{"text": "Shares in London closed higher."}]]
    )
    """In place of texts."""
    request_id: RequestId | None = Field(default=None, examples=["my-request-1"])
    """Your own name for this request, printable ASCII without spaces; else it is that of the header
    X-Request-ID, or made up."""
    top_k: int | None = Field(default=None, ge=1, examples=[3])
    """How many of its scores an answer shall have, the most probable first, and those of the classes that it
    names; by default all, or what this server is set to. For tasks without scores it says nothing."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        asked = self.model_fields_set & {"texts", "instances"}
        if not asked:
            raise PydanticCustomError(NOTHING_ASKED, "no texts")
        if len(asked) > 1:
            raise PydanticCustomError(ASKED_TWICE, "texts and instances")
        return self

    @property
    def rows(self) -> list[Instance]:
        """What is asked, each a row of its own."""
        texts = [Instance(text) for text in self.texts]
        return texts or [Instance(each.text, each.text_pair, each.features) for each in self.instances]


class PredictResponse(_Described):
    """Answers in the order of the texts, all by one model version."""

    model_version: str
    predictions: list[AnyAnswer]
    """Each as the loop's task has it."""
    request_id: str


def example_request(kind: str) -> dict[str, Any]:
    """A request of one text, for a kind of task: all are asked alike."""
    named = {"texts": ["Shares in London closed higher."], "request_id": "my-request-1"}
    return {**named, "top_k": 3} if "scores" in answer_type(kind).model_fields else named


def example_response(kind: str) -> dict[str, Any]:
    """A response to one text, for a kind of task."""
    answer = answer_type(kind).model_json_schema()["examples"][0]
    return {"model_version": "v1", "predictions": [answer], "request_id": "my-request-1"}


class RefusedModel(_Described):
    """A version that this server did not take into use."""

    version: str
    digest: str
    reason: str
    at: datetime


class ChallengerInfo(_Described):
    """The version that is tried beside the champion, as this server process has it."""

    version: str
    digest: str
    phase: Phase
    """In the shadow it is asked what the champion is asked, and nobody gets its answers; a canary answers a
    share of the requests."""
    share: float
    """Of the requests that it answers; 0 in the shadow."""
    since: datetime
    """When the phase began, as the registry has it."""
    loaded_at: datetime | None = None
    """None while it is not asked because it is not loaded yet, or refused."""
    refused: str | None = None
    """Why its artifact was not taken into use."""
    postponed: str | None = None
    """Why it could not be loaded at the last try; there will be another."""
    stopped: str | None = None
    """Why this server does not ask it any more, but now and then: it failed several times in a row."""
    requests: int
    """To it in this phase."""
    failures: int
    """On these requests; the champion answered them instead."""


class ModelInfo(_Described):
    """The model in use. A kind of task may add keys of its own."""

    model_config = ConfigDict(extra="allow")

    loop: str
    version: str
    digest: str
    candidate: str
    method: str
    contract: OutputContract
    """Kind of its task, and what an answer is made of."""
    reads: Reading
    """What of a row the model reads: by default a text alone."""
    max_tokens: int
    """A text is cut after so many tokens."""
    dataset_digest: str
    scores: dict[str, float]
    """From the evaluation that let it through the gate."""
    device: str = "cpu"
    """On which it runs: cpu or cuda."""
    abstains_below: float = 0.0
    """Answers that are less probable are held back, by `deploy.abstain` of the loop file; 0: none."""
    loaded_at: datetime
    refused: RefusedModel | None = None
    """The registry's champion, when it was refused and the version above stays in use."""
    challenger: ChallengerInfo | None = None
    """The version beside it; none when there is no trial."""


class LoopState(_Described):
    """One loop that is served, and whether it answers."""

    loop: str
    task: str
    """Kind of its answers."""
    ready: bool
    version: str | None = None
    """The version that answers; none while the loop is not ready."""
    since: datetime | None = None
    """When this process began to answer with it."""
    problem: ErrorDetail | None = None
    """Why it is not ready."""
    challenger: ChallengerInfo | None = None
    """The version that is tried beside it; none when there is no trial."""


class Loops(_Described):
    """The loops that are served here."""

    loops: list[LoopState]


class Health(_Described):
    """That the process lives, or that it is ready and with which models."""

    status: str
    model_version: str | None = None
    """The version that answers, when one loop is served."""
    models: dict[str, str] | None = None
    """Version that answers, for each loop that has one."""
