"""Airflow and the model server on this machine: start them, find them again, stop them.

What the processes do once they run is not known here. Writing down which run is `state`; starting one again
when it has died is `watcher`.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
import psutil

from lakeloop import jobs
from lakeloop.errors import ServiceError
from lakeloop.local import processes
from lakeloop.local.airflow_api import AirflowApi
from lakeloop.local.airflow_env import PASSWORDS_FILE, admin_in, airflow_environment, free_port
from lakeloop.local.processes import Component
from lakeloop.local.state import WATCHER, Stack, StackFile
from lakeloop.ports import AIRFLOW_PORT, SERVER_PORT
from lakeloop.serving.keys import own_key, read_keys
from lakeloop.settings import Settings, protect_home
from lakeloop.stages.catalogue import GPU, POOLS

Say = Callable[[str], None]

START_SECONDS = 180.0
"""Longest that starting may take; on two busy cores it was seen to take 40 s."""

_AIRFLOW_PARTS: dict[str, tuple[str, ...]] = {
    "api-server": (),
    "scheduler": (),
    "dag-processor": (),
    # Its log server listens on every address, and on a port that two stacks would quarrel over.
    "triggerer": ("--skip-serve-logs",),
}
_SERVER = "model-server"


def start(settings: Settings, *, say: Say, ports: tuple[int, int] | None = None) -> Stack:
    """Start Airflow and the model server of all loops, and return when both answer.

    A stack that already runs from the same home is returned as it is. `ports` (Airflow, server) defaults to
    8080 and 8100, or free ones when these are taken.

    Raises:
        ConfigurationError: the file of the server's keys is wrong, or no user of Airflow is an admin;
            nothing was started.
        ServiceError: a process ended by itself or did not answer in time; everything was stopped again.
    """
    key_names = _key_names(settings)
    if running := find(settings):
        say(f"already running: Airflow at {running.airflow_url}")
        return running if running.watched else _watch_again(settings, running)
    protect_home(settings)
    # What is left of a broken stack; a training goes on, its task finds it again.
    _stop_processes(settings)
    airflow_port, server_port = ports or (free_port(AIRFLOW_PORT), free_port(SERVER_PORT))
    urls = f"http://127.0.0.1:{airflow_port}", f"http://127.0.0.1:{server_port}"
    env = airflow_environment(settings, *urls)
    stack = Stack(
        airflow_url=urls[0],
        server_url=urls[1],
        components=(),
        key_names=key_names,
        admin=admin_in(env),
        passwords=env[PASSWORDS_FILE],
    )
    try:
        say("preparing Airflow's database")
        _migrate(settings, env)
        for name in (*_AIRFLOW_PARTS, _SERVER):
            stack = _add(settings, stack, _start(settings, name, env, server_port))
        _wait_healthy(stack, say)
        _make_pools(stack, settings.gpu_slots)
        # Last: until here a process that ends is an error, and is not started again.
        return _add(settings, stack, _start_watcher(settings, env))
    except BaseException:
        processes.stop(stack.components)
        raise


def _key_names(settings: Settings) -> int:
    """How many keys the model server will have, after a look at their file by both of its sides."""
    if settings.serve_keys_file is None:
        return 0
    own_key(settings.serve_keys_file)
    return len(read_keys(settings.serve_keys_file).hashes)


def _watch_again(settings: Settings, stack: Stack) -> Stack:
    # What the watcher starts must fit the processes that run: ports and keys are in their environment.
    env = psutil.Process(stack.component("api-server").pid).environ()
    return _add(settings, stack, _start_watcher(settings, env))


def _start_watcher(settings: Settings, env: Mapping[str, str]) -> Component:
    argv = [sys.executable, "-m", "lakeloop.local.watcher"]
    log = settings.home / "logs" / f"{WATCHER}.log"
    return processes.start(WATCHER, argv, env=env, log=log, cwd=settings.root)


def _add(settings: Settings, stack: Stack, component: Component) -> Stack:
    """The stack with one more process, written down at once: a crash here must not lose track of it."""
    grown = stack.having(component)
    StackFile(settings).write(grown)
    return grown


def find(settings: Settings) -> Stack | None:
    """The stack that runs from this home, if all of it is alive."""
    stack = StackFile(settings).read()
    return stack if stack and stack.alive else None


def stop(settings: Settings) -> bool:
    """Stop what runs from this home, its training jobs too; False when nothing ran."""
    stopped = _stop_processes(settings)
    # A job outlives its task on purpose; it must not outlive the installation that a person stops.
    for record in settings.home.glob("work/*/*/*/*/job.json"):
        job = str(record.parent)
        if jobs.status(job).state in jobs.AT_WORK:
            jobs.cancel(job)
            stopped = True
    return stopped


def _stop_processes(settings: Settings) -> bool:
    file = StackFile(settings)
    stack = file.read()
    if stack is None:
        return False
    # First the watcher, or it would start again what is stopped here; it may have done so a moment ago.
    processes.stop([component for component in stack.components if component.name == WATCHER])
    processes.stop((file.read() or stack).components)
    file.remove()
    return True


def _start(settings: Settings, name: str, env: dict[str, str], port: int) -> Component:
    if name == _SERVER:
        argv = [sys.executable, "-m", "lakeloop.cli.main", "serve", "--port", str(port)]
    else:
        argv = [sys.executable, "-m", "airflow", name, *_AIRFLOW_PARTS[name]]
    log = settings.home / "logs" / f"{name}.log"
    return processes.start(name, argv, env=env, log=log, cwd=settings.root)


def _migrate(settings: Settings, env: dict[str, str]) -> None:
    log = settings.home / "logs" / "db-migrate.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-m", "airflow", "db", "migrate"]
    with log.open("wb") as output:
        done = subprocess.run(
            argv, env=env, cwd=settings.root, stdout=output, stderr=subprocess.STDOUT, check=False
        )
    if done.returncode != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise ServiceError("airflow db migrate failed", where=str(log), found=tail)


def _wait_healthy(stack: Stack, say: Say) -> None:
    deadline = time.monotonic() + START_SECONDS
    waiting: list[str] = []
    while time.monotonic() < deadline:
        for component in stack.components:
            processes.require_alive(component)
        now_waiting = _not_ready(stack)
        if not now_waiting:
            return
        if now_waiting != waiting:
            say(f"waiting for {', '.join(now_waiting)}")
        waiting = now_waiting
        time.sleep(0.5)
    raise ServiceError(
        f"not ready after {START_SECONDS:.0f} s: {', '.join(waiting)}",
        where=str(Path(stack.components[0].log).parent),
        remedy="read the logs there",
    )


def wait_for_server(server: Component, url: str) -> None:
    """Return when the model server answers; without a champion it does so too.

    Raises:
        ServiceError: the server ended by itself, or did not answer in time.
    """
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        processes.require_alive(server)
        if _answers(url):
            return
        time.sleep(0.5)
    raise ServiceError("the model server does not answer", where=url, found=server.log_tail())


def _answers(server_url: str) -> bool:
    try:
        return httpx.get(f"{server_url}/healthz", timeout=5).is_success
    except httpx.HTTPError:
        return False


def _not_ready(stack: Stack) -> list[str]:
    try:
        with AirflowApi(stack.airflow_url) as api:
            states = api.health()
    except ServiceError:
        return ["Airflow's API server"]
    missing = [name for name, state in states.items() if state != "healthy"]
    if not _answers(stack.server_url):
        missing.append(_SERVER)
    return missing


def _make_pools(stack: Stack, gpu_slots: int) -> None:
    with AirflowApi(stack.airflow_url, login=stack.login) as api:
        for name, (slots, purpose) in POOLS.items():
            api.set_pool(name, gpu_slots if name == GPU else slots, purpose)
