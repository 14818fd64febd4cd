"""What the processes of the local stack are told, and who may read it."""

from __future__ import annotations

import json
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from lakeloop.errors import ConfigurationError
from lakeloop.local.airflow_env import (
    ALL_ADMINS,
    PASSWORDS_FILE,
    USERS,
    admin_in,
    airflow_environment,
    free_port,
)
from lakeloop.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
URLS = "http://127.0.0.1:8080", "http://127.0.0.1:8100"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root=tmp_path)


@pytest.mark.usefixtures("usual_umask")
def test_the_keys_are_made_once_and_are_for_their_owner_only(settings: Settings) -> None:
    first, second = (airflow_environment(settings, *URLS) for _ in range(2))
    path = settings.home / "airflow/secrets.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept = json.loads(path.read_text())
    for environment in (first, second):
        assert environment["AIRFLOW__API__SECRET_KEY"] == kept["secret_key"]
        assert environment["AIRFLOW__API_AUTH__JWT_SECRET"] == kept["jwt_secret"]


def of_this_machine(settings: Settings) -> dict[str, str]:
    return airflow_environment(settings, *URLS)


def of_containers(_: Settings) -> dict[str, str]:
    found: dict[str, str] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["x-airflow-environment"]
    return found


@pytest.mark.parametrize("environment", [of_this_machine, of_containers])
def test_a_lost_task_is_noticed_within_a_minute_and_an_api_server_may_be_away_nearly_as_long(
    settings: Settings, environment: Callable[[Settings], dict[str, str]]
) -> None:
    found = environment(settings)
    lost_after, looked_every, beat_every, asked_again, times, in_vain = (
        float(found[f"AIRFLOW__{name}"])
        for name in (
            "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT",
            "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL",
            "WORKERS__MIN_HEARTBEAT_INTERVAL",
            "WORKERS__EXECUTION_API_RETRY_WAIT_MAX",
            "WORKERS__EXECUTION_API_RETRIES",
            "WORKERS__MAX_FAILED_HEARTBEATS",
        )
    )
    assert lost_after + looked_every < 60
    # The API server is back, and the heartbeat is there before the scheduler takes the task for lost.
    assert lost_after - beat_every - asked_again >= 45
    # Nothing that a task wants of the API server is given up before; each wait is 1 s to `asked_again`.
    assert (times - 1) * (1 + asked_again) / 2 > lost_after
    # Who ends a task is the scheduler, which starts it anew, and not the task itself.
    assert in_vain * times > 2 * lost_after


def test_users_of_airflow_are_those_that_the_caller_wants(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (ALL_ADMINS, USERS, PASSWORDS_FILE):
        monkeypatch.delenv(name, raising=False)
    usual = airflow_environment(settings, *URLS)
    assert usual[ALL_ADMINS] == "True"
    assert admin_in(usual) == ""

    monkeypatch.setenv(ALL_ADMINS, "False")
    monkeypatch.setenv(USERS, "bob:viewer, ada:admin")
    wanted = airflow_environment(settings, *URLS)
    assert admin_in(wanted) == "ada"
    assert Path(wanted[PASSWORDS_FILE]).is_relative_to(settings.home)
    monkeypatch.setenv(USERS, "bob:viewer")
    with pytest.raises(ConfigurationError, match="no user of Airflow is an admin"):
        admin_in(airflow_environment(settings, *URLS))


def test_a_free_port_is_none_that_the_system_gives_to_connections() -> None:
    given = Path("/proc/sys/net/ipv4/ip_local_port_range")
    lowest = int(given.read_text().split()[0]) if given.exists() else 49_152
    found = [free_port() for _ in range(20)]
    assert max(found) < lowest
    assert len(set(found)) > 15, "two that look at once get different ones"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", found[0]))
        taken.listen()
        assert free_port(found[0]) != found[0]
    assert free_port(found[0]) == found[0]
