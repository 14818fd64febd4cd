"""The Airflow plugin: the page "Lakeloop" in the menu, files behind links, the guard of hosts, the timetable.

Every Airflow process loads this file, the tasks too, so the web application is imported only when an API
server asks for it.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from airflow.plugins_manager import AirflowPlugin
from lakeloop_airflow.links import MOUNT, page


class LakeloopPlugin(AirflowPlugin):
    """Registered by Airflow because it is a subclass of `AirflowPlugin` in the plugins folder."""

    name = "lakeloop"
    external_views = [  # noqa: RUF012  (declared so by Airflow)
        {
            "name": "Lakeloop",
            "href": page(""),
            "destination": "nav",
            "url_route": "lakeloop",
            "icon": page("icon.svg"),
            "nav_top_level": True,
        }
    ]

    @cached_property
    def timetables(self) -> list[Any]:  # type: ignore[override] # made on first use
        from lakeloop_airflow.timetable import DayBefore

        return [DayBefore]

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override] # made on first use
        from lakeloop_ui.app import create_app

        return [{"app": create_app(), "url_prefix": MOUNT, "name": "Lakeloop"}]

    @cached_property
    def fastapi_root_middlewares(self) -> list[dict[str, Any]]:  # type: ignore[override] # made on first use
        from airflow.configuration import conf
        from lakeloop_airflow.loops import installation

        from lakeloop.hosts import HostGuard, allowed_hosts

        own = (
            conf.get("api", "base_url", fallback=""),
            conf.get("core", "execution_api_server_url", fallback=""),
        )
        hosts = allowed_hosts(installation(), conf.get("api", "host"), *own)
        return [{"name": "Hosts", "middleware": HostGuard, "kwargs": {"hosts": hosts}}]
