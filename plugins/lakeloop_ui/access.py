"""Who may see what. Airflow does not guard the applications of plugins: every route here does it itself."""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import Annotated

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView, DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_view
from airflow.configuration import conf
from fastapi import Depends, Form, HTTPException, status
from lakeloop_airflow.loops import installation

from lakeloop.spec.reading.load import loop_names

User = GetUserDep

LOGGED_IN = Depends(requires_access_view(AccessView.WEBSITE))
"""Dependency of the whole application: a user who may open Airflow's web UI."""


def may_see(loop: str, user: BaseUser) -> bool:
    """Whether `user` may see a loop: every user may who may read the DAG `<loop>.ingest`."""
    first = DagDetails(id=f"{loop}.ingest")
    return bool(get_auth_manager().is_authorized_dag(method="GET", details=first, user=user))


def visible_loop(loop: str, user: User) -> str:
    """The path parameter `loop`, when there is such a loop and the user may see it; 404 else."""
    if loop in loop_names(installation()) and may_see(loop, user):
        return loop
    raise HTTPException(status.HTTP_404_NOT_FOUND, f"no loop {loop!r}")


LoopName = Annotated[str, Depends(visible_loop)]


def may_start(loop: str, user: BaseUser) -> bool:
    """Whether `user` may change a loop's DAGs; Airflow asks again, for each DAG, when it comes to it."""
    first = DagDetails(id=f"{loop}.ingest")
    return bool(get_auth_manager().is_authorized_dag(method="PUT", details=first, user=user))


def startable_loop(loop: LoopName, user: User) -> str:
    """The path parameter `loop`, when the user may change it; 403 else."""
    if may_start(loop, user):
        return loop
    raise HTTPException(status.HTTP_403_FORBIDDEN, f"you may look at {loop}, and not change it")


StartableLoop = Annotated[str, Depends(startable_loop)]


def may_release(loop: str, user: BaseUser) -> bool:
    """Whether `user` may move the champion of a loop: every user may who may trigger its DAG `deploy`."""
    deploy = DagDetails(id=f"{loop}.deploy")
    run = DagAccessEntity.RUN
    return bool(
        get_auth_manager().is_authorized_dag(method="POST", access_entity=run, details=deploy, user=user)
    )


def releasable_loop(loop: LoopName, user: User) -> str:
    """The path parameter `loop`, when the user may move its champion; 403 else."""
    if may_release(loop, user):
        return loop
    raise HTTPException(
        status.HTTP_403_FORBIDDEN, f"you may look at {loop}, and not say which version is its champion"
    )


ReleasableLoop = Annotated[str, Depends(releasable_loop)]


def form_token(loop: str, user: BaseUser) -> str:
    """What a form about `loop` must carry that `user` sends: a page of another site cannot read it here.

    A browser sends the session's cookie with whatever form is posted to this address; without the token any
    page could post one. It is valid for this user and loop, for an hour.
    """
    until = str(int(time.time()) + _TOKEN_SECONDS)
    return f"{until}.{_signature(until, loop, user)}"


def require_form_token(loop: LoopName, user: User, token: Annotated[str, Form()]) -> None:
    """Refuse (403) a form that did not come from a page of ours, made for this user and loop.

    Whether the user may do what the form asks is the route's question.
    """
    until, _, signature = token.partition(".")
    right = hmac.compare_digest(signature.encode(), _signature(until, loop, user).encode())
    if not right or int(until) < time.time():
        raise HTTPException(
            status.HTTP_403_FORBIDDEN, "this form is not from here, or too old: open the page again"
        )


FROM_OUR_FORM = Depends(require_form_token)

_TOKEN_SECONDS = 3600


def _signature(until: str, loop: str, user: BaseUser) -> str:
    # All API servers of an installation share this key; Airflow signs its own sessions with it.
    key = conf.get_mandatory_value("api", "secret_key").encode()
    message = f"lakeloop form\n{until}\n{loop}\n{user.get_id()}".encode()
    return hmac.new(key, message, hashlib.sha256).hexdigest()
