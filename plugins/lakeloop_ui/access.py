"""Who may see what. Airflow does not guard the applications of plugins: every route here does it itself."""

from __future__ import annotations

from typing import Annotated

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_view
from fastapi import Depends, HTTPException, status
from lakeloop_airflow.loops import installation

from lakeloop.spec.load import loop_names

User = GetUserDep

LOGGED_IN = Depends(requires_access_view(AccessView.WEBSITE))
"""Dependency of the whole application: a user who may open Airflow's web UI."""


def may_see(loop: str, user: BaseUser) -> bool:
    """Whether `user` may see a loop: who may read its first DAG may."""
    first = DagDetails(id=f"{loop}.ingest")
    return bool(get_auth_manager().is_authorized_dag(method="GET", details=first, user=user))


def visible_loop(loop: str, user: User) -> str:
    """The path parameter `loop`, when there is such a loop and the user may see it; 404 else."""
    if loop in loop_names(installation()) and may_see(loop, user):
        return loop
    raise HTTPException(status.HTTP_404_NOT_FOUND, f"no loop {loop!r}")


LoopName = Annotated[str, Depends(visible_loop)]
