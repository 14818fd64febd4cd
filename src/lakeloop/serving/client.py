"""The model server as its callers see it: the model of one loop, asked over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx

from lakeloop.errors import ServiceError
from lakeloop.serving.keys import bearer
from lakeloop.tasks.base import Answer
from lakeloop.tasks.reading import Instance, as_instances
from lakeloop.tasks.registry import task_class

REQUEST_SECONDS = 30.0


@dataclass(frozen=True)
class Answers:
    """What the model of a loop said of some texts."""

    version: str
    kind: str
    """Of the model's task."""
    answers: tuple[Answer, ...]
    """In the order of the texts."""

    @property
    def shown(self) -> list[str]:
        """Each answer in a few words."""
        return [task_class(self.kind).shown(answer) for answer in self.answers]

    @property
    def numbers(self) -> dict[str, float]:
        """What is worth watching of answers of this kind, by name."""
        return task_class(self.kind).numbers(self.answers)


class ModelServer:
    """The part of the server at `url` that serves one loop; `key` is shown to a server that has keys.

    Each request is given `seconds`.
    """

    def __init__(
        self, url: str, loop: str, key: str | None = None, *, seconds: float = REQUEST_SECONDS
    ) -> None:
        self.url = url.rstrip("/")
        self.path = f"/v1/loops/{loop}"
        self._http = httpx.Client(base_url=self.url, timeout=seconds, headers=bearer(key))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def model(self) -> dict[str, Any]:
        """What the server says of the loop's model; else a key `error` with code and message.

        The error is the server's own, or one of the same form when the server cannot be asked.
        """
        try:
            answer: dict[str, Any] = self._http.get(f"{self.path}/model").json()
        except (httpx.HTTPError, ValueError) as error:
            return {"error": {"code": type(error).__name__, "message": str(error)}}
        return answer

    def ask(self, rows: Sequence[str] | Sequence[Instance], *, request_id: str | None = None) -> Answers:
        """The answers to `rows`; when `request_id` is None the server makes one up.

        Raises:
            ServiceError: the server did not answer them.
        """
        instances = as_instances(rows)
        asked: dict[str, Any] = {"texts": [row.text for row in instances]}
        if any(row.beside for row in instances):
            asked = {"instances": [{"text": row.text, **row.beside} for row in instances]}
        request = {**asked, "request_id": request_id}
        try:
            response = self._http.post(f"{self.path}/predict", json=request)
            response.raise_for_status()
            body = response.json()
            kind = self.model()["contract"]["kind"]
            of_kind = task_class(kind).answer
            answers = tuple(of_kind.model_validate(answer) for answer in body["predictions"])
        except (httpx.HTTPError, ValueError, KeyError) as error:
            raise ServiceError(
                "the model server did not answer the texts",
                where=f"{self.url}{self.path}/predict",
                found=f"{type(error).__name__}: {error}",
                remedy="its log says why; is it running: lakeloop up, or lakeloop serve",
            ) from error
        return Answers(body["model_version"], kind, answers)
