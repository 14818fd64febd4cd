"""What the model server is asked and what it answers, as typed data; errors are in `problems`.

The docstrings are the descriptions in the API docs. Requests are strict: no value is converted, no key is
unknown.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints


def _encodable(text: str) -> str:
    # JSON can escape half of a surrogate pair; tokenizers and Parquet cannot hold it.
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"not Unicode text: lone surrogate at character {error.start}") from None
    return text


Text = Annotated[str, AfterValidator(_encodable)]
RequestId = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,128}$")]


class _Described(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)


class PredictRequest(_Described):
    """Texts to classify."""

    model_config = ConfigDict(strict=True, extra="forbid")

    texts: list[Text] = Field(examples=[["Shares in London closed higher."]])
    """Any may be empty, and there may be none; the limits are in the description of this service."""
    request_id: RequestId | None = Field(default=None, examples=["my-request-1"])
    """Your own name for this request, printable ASCII without spaces; one is made up when it is absent."""


class Answer(_Described):
    """The answer for one text."""

    label: str
    score: float
    """Probability of the label."""
    scores: dict[str, float]
    """Probability of every label; they sum to 1."""


class PredictResponse(_Described):
    """Answers in the order of the texts, all by one model version."""

    model_version: str
    predictions: list[Answer]
    request_id: str


class RefusedModel(_Described):
    """A champion that this server did not take into use."""

    version: str
    digest: str
    reason: str
    at: datetime


class ModelInfo(_Described):
    """The model in use."""

    loop: str
    version: str
    digest: str
    candidate: str
    method: str
    labels: list[str]
    max_tokens: int
    dataset_digest: str
    scores: dict[str, float]
    """From the evaluation that let it through the gate."""
    loaded_at: datetime
    refused: RefusedModel | None = None
    """The registry's champion, when it was refused and the version above stays in use."""


class Health(_Described):
    """That the process lives, or that it is ready and with which model."""

    status: str
    model_version: str | None = None
