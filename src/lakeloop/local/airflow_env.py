"""The environment of Airflow on one machine: every setting that differs from its default, and why.

docker-compose.yml ships the same choices for a cluster. Nothing is started here.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from lakeloop.durable import write_atomically
from lakeloop.errors import ConfigurationError, ServiceError
from lakeloop.settings import Settings

ALL_ADMINS = "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS"
USERS = "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"
PASSWORDS_FILE = "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"
_YES = ("true", "t", "1")
"""What Airflow takes for yes, in small letters."""


def admin_in(environment: Mapping[str, str]) -> str:
    """The first user with the role `admin`, as whom commands act; empty where nobody has to log in.

    Raises:
        ConfigurationError: people have to log in, and none of the users is an admin.
    """
    if environment[ALL_ADMINS].strip().lower() in _YES:
        return ""
    for user in environment[USERS].split(","):
        name, _, role = user.strip().partition(":")
        if name and role.lower() == "admin":
            return name
    raise ConfigurationError(
        "no user of Airflow is an admin",
        where=USERS,
        expected="NAME:ROLE, with commas between; one role at least is admin",
        found=environment[USERS] or "nothing",
        remedy="add one: commands such as lakeloop start act as that user",
    )


def airflow_environment(settings: Settings, airflow_url: str, server_url: str) -> dict[str, str]:
    """Variables for every process of the local stack, on top of the caller's environment."""
    home = settings.home / "airflow"
    port = airflow_url.rsplit(":", 1)[1]
    keys = _secret_keys(home / "secrets.json")
    return {
        **_inherited(),
        **_lakeloop(settings, airflow_url, server_url),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(settings.root / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(settings.root / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        # LocalExecutor, whose tasks find the slow imports done.
        "AIRFLOW__CORE__EXECUTOR": "lakeloop_airflow.executor.PreloadingExecutor",
        # A worker that has just ended a task is busy for another second; pools limit the real work.
        "AIRFLOW__CORE__PARALLELISM": str(3 * max(2, os.cpu_count() or 2)),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{airflow_url}/execution/",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
        # One person on the loopback address: no log-in, unless the caller wants users.
        ALL_ADMINS: os.environ.get(ALL_ADMINS, "True"),
        USERS: os.environ.get(USERS, "admin:admin"),
        PASSWORDS_FILE: os.environ.get(PASSWORDS_FILE) or str(home / "passwords.json"),
        # The executor's log server; the default port would collide with another Airflow on this machine.
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": f"{__name__}.{hostname.__name__}",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": port,
        "AIRFLOW__API__BASE_URL": airflow_url,
        "AIRFLOW__API__SECRET_KEY": keys["secret_key"],
        "AIRFLOW__API_AUTH__JWT_SECRET": keys["jwt_secret"],
        "AIRFLOW__API__INSTANCE_NAME": "Lakeloop",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        **_FASTER_THAN_DEFAULT,
        **_STEADIER_THAN_DEFAULT,
    }


_FASTER_THAN_DEFAULT = {
    # A task's supervisor often sees only at its next heartbeat (default: 5 s) that the task has ended.
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    # The scheduler sleeps this long when a round found nothing to do (default: 1 s); it is the dead time
    # between tasks. Each round costs 15 ms, and a training on all cores waits for it with every core.
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
    "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
    # DAG files change when a loop file changes: look for new files often, parse unchanged ones seldom.
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "60",
    "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
}

_STEADIER_THAN_DEFAULT = {
    # A scheduler that was killed and restarted adopts or resets its tasks after 30 s instead of 5 minutes.
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "30",
    # A task whose worker was killed is noticed within a minute instead of five. Not sooner: while the API
    # server is away no heartbeat arrives either, and its start on busy cores takes most of that minute.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "50",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    # So a task asks the API server again every second or two, for a minute: by default the task waits ever
    # longer, up to 8 s, gives up its request after 15 s, and ends itself after three heartbeats in vain.
    "AIRFLOW__WORKERS__EXECUTION_API_RETRY_WAIT_MAX": "2",
    "AIRFLOW__WORKERS__EXECUTION_API_RETRIES": "40",
    "AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS": "120",
    "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "15",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "3600",
    "AIRFLOW__CORE__DEFAULT_TASK_RETRIES": "3",
}


def _inherited() -> dict[str, str]:
    """The caller's environment, with this interpreter's folder first on PATH.

    Airflow starts some of its parts by name. Bytecode is written even where the caller forbids it:
    without it each task process compiles its imports again, several seconds of them.
    """
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), environment.get("PATH", "")))
    return environment


def _lakeloop(settings: Settings, airflow_url: str, server_url: str) -> dict[str, str]:
    keys = {"LAKELOOP_SERVE_KEYS_FILE": str(settings.serve_keys_file)} if settings.serve_keys_file else {}
    return {
        **keys,
        "LAKELOOP_ROOT": str(settings.root),
        "LAKELOOP_HOME": str(settings.home),
        "LAKELOOP_CACHE": str(settings.cache),
        "LAKELOOP_LAKE": settings.lake,
        "LAKELOOP_LOOPS": str(settings.loops),
        "LAKELOOP_DBT": str(settings.dbt),
        "LAKELOOP_DATA_ROOTS": json.dumps([str(p) for p in settings.data_roots]),
        "LAKELOOP_SERVER_URL": server_url,
        "LAKELOOP_AIRFLOW_URL": airflow_url,
        "LAKELOOP_ALLOWED_HOSTS": json.dumps(settings.allowed_hosts),
        "LAKELOOP_GPU_SLOTS": str(settings.gpu_slots),
        "LAKELOOP_TRIAL_LOOK_SECONDS": str(settings.trial_look_seconds),
        "LAKELOOP_TRAINING_THREADS": str(settings.training_threads),
    }


def hostname() -> str:
    """The name by which the processes of this machine find each other: no other machine takes part."""
    return "127.0.0.1"


_TRIES = 20
_OWN_PORTS = range(20_000, 32_000)
"""Below those that a system gives to connections and to who asks for any port: Linux from 32768, others from
49152. One of those could be given away before the process that it was looked up for listens."""


def free_port(wanted: int = 0) -> int:
    """A free port of 127.0.0.1: `wanted`, or another one when that is taken, or none is wanted.

    Raises:
        ServiceError: no port is free.
    """
    others = secrets.SystemRandom().sample(_OWN_PORTS, _TRIES)
    for port in (*([wanted] if wanted else []), *others, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ServiceError("no free port on 127.0.0.1")


def _secret_keys(path: Path) -> dict[str, str]:
    """Random keys of this installation, made once and readable by their owner only."""
    if not path.exists():
        keys = {name: secrets.token_urlsafe(32) for name in ("secret_key", "jwt_secret")}
        write_atomically(path, json.dumps(keys), mode=0o600)
    found: dict[str, str] = json.loads(path.read_text())
    return found
