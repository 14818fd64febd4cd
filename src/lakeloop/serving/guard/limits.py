"""What the model server accepts and how long it is willing to work on it, as settings (`LAKELOOP_SERVE_*`).

Limits on connections and heads are applied in `connections` and `head`, on bodies in `bodies`, on what a body
says (texts, characters) in `app`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Limits(BaseSettings):
    """Limits of one server process; each can be set by the variable LAKELOOP_SERVE_<FIELD>."""

    model_config = SettingsConfigDict(
        env_prefix="LAKELOOP_SERVE_", frozen=True, extra="ignore", use_attribute_docstrings=True
    )

    processes: int = Field(default=1, ge=1)
    """Processes that take connections from the one port; what follows is of each of them."""
    connections: int = Field(default=512, ge=1)
    """Connections that may be open; for one more, the one that waits longest for a request is closed."""
    head_bytes: int = Field(default=32 << 10, ge=1024)
    """Bytes of a request's path and headers."""
    head_fields: int = Field(default=100, ge=1)
    """Headers of a request."""
    head_seconds: float = Field(default=10.0, gt=0)
    """A head that takes longer to arrive is given up."""
    idle_seconds: float = Field(default=5.0, gt=0)
    """A connection that is open after an answer is closed when no new request begins by then."""
    send_seconds: float = Field(default=30.0, gt=0)
    """A client that does not read its answer by then is given up."""
    texts: int = Field(default=128, ge=1)
    """Texts in one request."""
    top_k: int = Field(default=0, ge=0)
    """Scores in one answer, the most probable first, where a request does not say how many; 0 is all."""
    characters: int = Field(default=50_000, ge=1)
    """Characters of one text; a model itself cuts at its own number of tokens."""
    body_bytes: int = Field(default=2 << 20, ge=1)
    """Bytes of one request's body."""
    open_bodies: int = Field(default=256, ge=1)
    """Bodies that may be arriving at once; this times `body_bytes` bounds their memory."""
    body_seconds: float = Field(default=10.0, gt=0)
    """A body that takes longer to arrive is given up."""
    answer_seconds: float = Field(default=30.0, gt=0)
    """A request that was not answered by then is refused with 503."""
    lanes: int = Field(default=1, ge=1)
    """Requests that are worked on at the same time, of all loops together; and as many short ones."""
    waiting: int = Field(default=64, ge=0)
    """Requests that may wait for a lane; one more is refused with 503. Long ones get half of these places."""
    threads: int = Field(default=1, ge=1)
    """CPU threads of one call of a model."""
    device: Literal["cpu", "cuda", "auto"] = "cpu"
    """What models run on. `cuda`: an NVIDIA device, or the server does not start; `auto`: one where it can be
    used, else the CPU, which the log says."""
    poll_seconds: float = Field(default=2.0, gt=0)
    """How often the registries are asked which versions answer: champions, and trials that begin or end."""
    flush_seconds: float = Field(default=10.0, gt=0)
    """Predictions reach the lake at least this often, and earlier when a batch is full."""
    batch_rows: int = Field(default=1_000, ge=1)
    """Predictions in one batch of the log."""
    backlog_bytes: int = Field(default=512 << 20, ge=1)
    """Predictions of one loop kept on disk while the lake is away, and as much of its observations; new ones
    beyond that are not logged."""
    drain_seconds: float = Field(default=10.0, gt=0)
    """Time for open requests, and then again for the prediction log, when the server is told to stop."""
