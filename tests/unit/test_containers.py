"""Policy of docker-compose.yml, Dockerfile and .env.example: what a change of them must not lose.

Whether the files are well formed is checked by `make lint` with docker-compose, hadolint and checkov.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from lakeloop.stages.catalogue import POOLS

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "docker-compose.yml").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE)["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
EXAMPLE = (ROOT / ".env.example").read_text()

ENDS = {"airflow-init"}
REACHABLE = {"api-server", "model-server"}
WORKERS = {"worker", "worker-gpu", "worker-cpu"}


def test_all_components_are_there() -> None:
    airflow = {"airflow-init", "api-server", "scheduler", "dag-processor", "triggerer"}
    assert SERVICES.keys() == {"postgres", "redis", "model-server"} | airflow | WORKERS


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_can_write_only_where_it_must_and_gain_no_rights(name: str) -> None:
    service = SERVICES[name]
    assert service.get("read_only") is True, f"{name}: add `<<: *hardened`"
    assert service.get("cap_drop") == ["ALL"]
    assert "no-new-privileges:true" in service.get("security_opt", [])
    assert service.get("init") is True, f"{name}: detached jobs need an init that reaps them"
    assert not service.get("privileged")
    folders = [volume for volume in service.get("volumes", []) if volume.startswith(("/", ".", "$"))]
    assert all(folder.endswith(":ro") for folder in folders), f"{name}: a folder of the machine is read only"


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - ENDS))
def test_a_service_that_stays_has_a_health_check(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"], f"{name}: say how to see that it works"


@pytest.mark.parametrize("name", SERVICES)
def test_only_the_web_ui_and_the_model_server_are_reachable_and_from_this_machine_only(name: str) -> None:
    ports = SERVICES[name].get("ports", [])
    assert bool(ports) == (name in REACHABLE)
    assert all(port.startswith("127.0.0.1:") for port in ports), f"{name}: publish on 127.0.0.1"


def test_the_database_and_the_queue_are_on_a_network_without_a_way_out() -> None:
    assert yaml.safe_load(COMPOSE)["networks"]["backend"] == {"internal": True}
    assert SERVICES["postgres"]["networks"] == SERVICES["redis"]["networks"] == ["backend"]


@pytest.mark.parametrize("name", sorted(WORKERS | {"model-server"}))
def test_no_worker_holds_the_database_or_a_signing_key(name: str) -> None:
    forbidden = re.compile(r"DATABASE|FERNET|JWT|SECRET|POSTGRES")
    assert [key for key in SERVICES[name]["environment"] if forbidden.search(key)] == []


def test_training_has_its_own_queue_with_and_without_a_gpu() -> None:
    assert SERVICES["worker"]["command"][3:5] == ["--queues", "default"]
    for name, profile in (("worker-gpu", "gpu"), ("worker-cpu", "cpu")):
        assert SERVICES[name]["command"][3:5] == ["--queues", "gpu"]
        assert SERVICES[name]["profiles"] == [profile]
        assert SERVICES[name]["build"]["target"] == "trainer"
    (device,) = SERVICES["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    assert "deploy" not in SERVICES["worker-cpu"]


def test_without_a_gpu_the_trainer_is_an_image_of_its_own_without_cuda_packages() -> None:
    gpu, cpu = SERVICES["worker-gpu"], SERVICES["worker-cpu"]
    assert cpu["build"]["args"] == {"TORCH": "cpu"}
    assert "args" not in gpu["build"], "the default of the Dockerfile is gpu"
    assert "ARG TORCH=gpu\n" in DOCKERFILE
    assert cpu["image"] != gpu["image"], "one name for two builds: the one built last would run"


@pytest.mark.parametrize(
    ("setting", "least"),
    [
        ("SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL", 30),
        ("SCHEDULER__TASK_QUEUED_TIMEOUT", 3600),
        ("WORKERS__MAX_FAILED_HEARTBEATS", 20),
        ("WORKERS__EXECUTION_API_TIMEOUT", 15),
        ("CORE__DEFAULT_TASK_RETRIES", 3),
        ("CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT", 86_400),
    ],
)
def test_every_airflow_component_has_the_settings_that_faults_taught(setting: str, least: int) -> None:
    for name in SERVICES.keys() - {"postgres", "redis", "model-server"}:
        assert int(SERVICES[name]["environment"][f"AIRFLOW__{setting}"]) >= least, name


def test_no_secret_is_in_the_file_and_all_are_asked_for() -> None:
    required = set(re.findall(r"\$\{(\w+):\?", COMPOSE))
    optional = set(re.findall(r"\$\{(\w+):-", COMPOSE))
    assert set(re.findall(r"^(\w+)=$", EXAMPLE, re.MULTILINE)) == required
    assert set(re.findall(r"^#(\w+)=", EXAMPLE, re.MULTILINE)) == optional
    assert not re.findall(r"^\w+=.+$", EXAMPLE, re.MULTILINE), "a value that works is a value that stays"
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD$|SECRET|FERNET|_KEY$|AUTH$", key):
                assert str(value).startswith("${"), f"{key}: take it from .env"


def test_every_image_is_pinned_and_runs_as_nobody_special() -> None:
    stages = re.findall(r"^FROM (\S+) AS (\S+)\n(.*?)(?=^FROM |\Z)", DOCKERFILE, re.MULTILINE | re.DOTALL)
    bodies = {name: (parent, body) for parent, name, body in stages}
    outside = {parent for parent, _, _ in stages} - bodies.keys()
    outside |= {service["image"] for service in SERVICES.values() if "build" not in service}
    assert all(re.search(r":\d+\.\d+", image) for image in outside), outside
    for service in SERVICES.values():
        if "build" not in service:
            assert service["user"] not in ("root", "0")
            continue
        stage, text = service["build"]["target"], ""
        while stage in bodies:
            stage, body = bodies[stage]
            text = body + text
        assert re.findall(r"^USER (.+)$", text, re.MULTILINE)[-1] == "10001:10001"
        assert "HEALTHCHECK" in text


def test_images_install_extras_that_exist_and_the_server_has_no_torch() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(re.findall(r"--extra (\w+)", DOCKERFILE)) <= extras.keys()
    heavy = re.compile(r"^(torch|transformers|apache-airflow|dbt|great-expectations|lakeloop\[)")
    assert [package for package in extras["serve"] if heavy.search(package)] == []


def test_each_image_installs_the_versions_of_the_locks() -> None:
    installs = re.findall(r"uv pip install (.+?)(?=\n\S)", DOCKERFILE, re.DOTALL)
    resolving = [install for install in installs if "--no-deps" not in install]
    assert len(resolving) == 3
    for install in resolving:
        locks = re.findall(r"--constraint (\S+)", install)
        assert "requirements/lock.txt" in locks
        assert all((ROOT / lock).exists() for lock in locks)
        assert ("requirements/cluster.txt" in locks) == ("--extra cluster" in install)
        assert ("requirements/cuda.txt" in locks) == ("--extra train" in install)


def test_the_workers_have_all_that_a_stage_reads_from_the_project() -> None:
    body = DOCKERFILE.partition(" AS airflow\n")[2].partition("\nFROM ")[0]
    copied = set(re.findall(r"^COPY (\w+) ", body, re.MULTILINE))
    assert copied == {"dags", "plugins", "dbt", "loops", "training"}


def test_the_pools_that_the_dags_name_are_made() -> None:
    made = set(re.findall(r"airflow pools set (\S+) ", COMPOSE))
    assert made == set(POOLS)


def test_what_an_image_copies_is_let_through_by_dockerignore() -> None:
    allowed = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    copied = [line.split()[1:-1] for line in DOCKERFILE.splitlines() if re.match(r"COPY (?!--from)", line)]
    assert {name for names in copied for name in names} == allowed
    assert all((ROOT / name).exists() for name in allowed)
