"""The locks are in step with pyproject.toml, and a machine gets the Python and the torch that it can run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from requirements.lock import CUDA, NAMES, PYPROJECT, PYTHONS, check

FOLDER = PYPROJECT.parent / "requirements"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of pyproject.toml and the locks."""
    shutil.copytree(FOLDER, tmp_path / "requirements", ignore=shutil.ignore_patterns("*.py*", "__pycache__"))
    shutil.copy(PYPROJECT, tmp_path)
    return tmp_path


def complaints(project: Path) -> str:
    return "\n".join(check(project / "pyproject.toml", project / "requirements"))


def edit(path: Path, pattern: str, replacement: str) -> None:
    text, count = re.subn(pattern, replacement, path.read_text(), count=1, flags=re.MULTILINE)
    assert count, f"{pattern} is not in {path.name}"
    path.write_text(text)


def test_the_locks_are_those_of_pyproject_for_every_python() -> None:
    assert list(check(PYPROJECT, FOLDER)) == []


def test_a_machine_without_a_device_gets_no_cuda_package() -> None:
    pins = {
        name: [line.partition("==")[0] for line in (FOLDER / name).read_text().splitlines() if "==" in line]
        for name in NAMES
    }
    assert "torch" in pins["lock.txt"]
    assert [pin for pin in pins["lock.txt"] + pins["cluster.txt"] if CUDA.match(pin)] == []
    assert {"triton", "nvidia-cublas"} <= set(pins["cuda.txt"])


def test_a_dependency_that_was_not_locked_is_named_for_each_python(project: Path) -> None:
    edit(project / "pyproject.toml", r"^dependencies = \[$", 'dependencies = [\n  "no-such-package>=1",')
    found = complaints(project)
    assert "lock.txt is out of step with the dependencies in pyproject.toml" in found
    assert all(f"no lock meets no-such-package>=1 on Python {python}" in found for python in PYTHONS)


def test_a_comment_or_a_setting_of_a_tool_asks_for_no_new_lock(project: Path) -> None:
    edit(project / "pyproject.toml", r"^line-length = 110", "line-length = 100 # narrower")
    assert complaints(project) == ""


def test_a_pin_edited_by_hand_is_noticed_also_when_pyproject_allows_it(project: Path) -> None:
    edit(project / "requirements" / "lock.txt", r"^idna==.*$", "idna==3.1")
    assert complaints(project).startswith("lock.txt is out of step")


def test_a_pin_that_pyproject_does_not_allow_is_named(project: Path) -> None:
    edit(project / "requirements" / "lock.txt", r"^torch==.*$", "torch==2.0.0")
    assert "no lock meets torch==2.13.0 on Python 3.12" in complaints(project)


def test_a_cuda_package_in_the_lock_of_all_machines_is_named(project: Path) -> None:
    edit(project / "requirements" / "lock.txt", r"^numpy==", "nvidia-cublas==13.1.1.3\nnumpy==")
    assert "lock.txt holds nvidia-cublas" in complaints(project)


def test_a_lock_that_is_not_there_is_named(project: Path) -> None:
    (project / "requirements" / "cuda.txt").unlink()
    assert complaints(project) == "cuda.txt missing in requirements/: run `make lock`"


class Machine:
    """A machine whose path holds what install.sh calls, and the Pythons that a test puts there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / "bin"
        self.path.mkdir()
        for tool in ("bash", "dirname", "env", "sed", "sort", "tr"):
            (self.path / tool).symlink_to(shutil.which(tool) or tool)
        self.wheels = root / "wheels"
        self.wheels.mkdir()

    def program(self, name: str, body: str) -> None:
        (self.path / name).write_text(f"#!{self.path}/bash\n{body}\n")
        (self.path / name).chmod(0o755)

    def python(self, version: str, name: str = "", *, venv: bool = True) -> None:
        answers = f"*version_info*) echo {version} ;; *ensurepip*) exit {0 if venv else 1} ;; *) exit 1 ;;"
        self.program(name or f"python{version}", f'case "$2" in {answers} esac')

    def wheel(self, name: str) -> None:
        (self.wheels / name).touch()

    def plan(self, **settings: str) -> str:
        done = self.run(**settings)
        assert done.returncode == 0, done.stderr
        return (
            done.stdout.replace(f"{self.path}/", "").partition("==> virtual environment .venv: ")[2].strip()
        )

    def run(self, **settings: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(self.path), "PIP_FIND_LINKS": str(self.wheels), "TORCH": "cpu"} | settings
        command = [str(self.path / "bash"), str(FOLDER / "install.sh"), "--plan"]
        return subprocess.run(
            command, cwd=self.root, env=environment, capture_output=True, text=True, check=False
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


TORCH = re.search(r"^torch==(\S+)", (FOLDER / "lock.txt").read_text(), re.MULTILINE)
assert TORCH, "lock.txt pins no torch"
WHEEL = f"torch-{TORCH[1]}+cpu-cp311-cp311-manylinux_2_28_x86_64.whl"


def test_the_newest_python_is_taken_and_torch_for_the_cpu_is_fetched(machine: Machine) -> None:
    for version in ("3.11", "3.12", "3.13", "3.14"):
        machine.python(version)
    assert machine.plan() == "Python 3.13 (python3.13), torch for cpu from pytorch"


def test_a_python3_that_is_newer_than_the_numbered_ones_is_found(machine: Machine) -> None:
    machine.python("3.11")
    machine.python("3.12", "python3")
    assert machine.plan() == "Python 3.12 (python3), torch for cpu from pytorch"


def test_the_python_for_which_torch_lies_in_a_folder_comes_first(machine: Machine) -> None:
    machine.python("3.11")
    machine.python("3.13")
    machine.wheel(WHEEL)
    assert machine.plan() == "Python 3.11 (python3.11), torch for cpu from folder"
    assert machine.plan(TORCH="gpu") == "Python 3.13 (python3.13), torch for gpu from registry"


@pytest.mark.parametrize(
    "other", ["torch-2.0.0+cpu-cp311-cp311-linux_x86_64.whl", WHEEL.replace("cp311-cp311", "cp313-cp313t")]
)
def test_a_wheel_of_another_torch_or_another_python_decides_nothing(machine: Machine, other: str) -> None:
    machine.python("3.11")
    machine.python("3.13")
    machine.wheel(other)
    assert machine.plan() == "Python 3.13 (python3.13), torch for cpu from pytorch"


def test_a_python_that_does_not_run_or_makes_no_environment_is_passed_over(machine: Machine) -> None:
    machine.program("python3.13", "echo 'pyenv: command not found' >&2; exit 127")
    machine.python("3.12", venv=False)
    machine.python("3.11")
    assert machine.plan().startswith("Python 3.11")


def test_uv_makes_an_environment_for_a_python_that_cannot(machine: Machine) -> None:
    machine.python("3.12", venv=False)
    machine.program("uv", "exit 1")
    assert machine.plan().startswith("Python 3.12 (python3.12)")


def test_uv_fetches_a_python_where_there_is_none(machine: Machine) -> None:
    machine.program("uv", "exit 1")
    assert machine.plan() == "Python 3.13 (3.13), torch for cpu from pytorch"
    machine.wheel(WHEEL)
    assert machine.plan() == "Python 3.11 (3.11), torch for cpu from folder"


def test_without_python_and_uv_it_says_what_to_install(machine: Machine) -> None:
    machine.python("3.10", "python3")
    done = machine.run()
    assert done.returncode == 1
    assert "There is no Python of 3.13 3.12 3.11" in done.stderr
    assert "make PYTHON=" in done.stderr


def test_a_named_python_is_taken_or_refused(machine: Machine) -> None:
    machine.python("3.11")
    machine.python("3.13")
    machine.python("3.10", "old")
    assert machine.plan(PYTHON="python3.11").startswith("Python 3.11")
    for name in ("old", "nowhere"):
        done = machine.run(PYTHON=name)
        assert done.returncode == 1
        assert f"PYTHON={name} is no Python of 3.13 3.12 3.11" in done.stderr


def test_an_nvidia_device_brings_the_build_for_it_unless_told_otherwise(machine: Machine) -> None:
    machine.python("3.12")
    machine.program("nvidia-smi", "echo 'GPU 0: NVIDIA H100'")
    assert machine.plan(TORCH="").endswith("torch for gpu from registry")
    assert machine.plan(TORCH="cpu").endswith("torch for cpu from pytorch")
    assert "say cpu or gpu" in machine.run(TORCH="rocm").stderr


def test_what_is_installed_stays_the_choice_when_the_locks_change(machine: Machine) -> None:
    machine.python("3.11")
    machine.python("3.13")
    (machine.root / ".venv" / "bin").mkdir(parents=True)
    (machine.root / ".venv" / "bin" / "python").symlink_to(machine.path / "python3.11")
    (machine.root / ".venv" / ".installed").write_text("python=3.11 torch=gpu\n")
    assert machine.plan(TORCH="") == "Python 3.11 (.venv/bin/python), torch for gpu from registry"
    assert machine.plan(PYTHON="python3.13").startswith("Python 3.13 (python3.13), torch for cpu")


def test_what_is_up_to_date_is_left_alone(machine: Machine) -> None:
    (machine.root / "pyproject.toml").touch()
    (machine.root / ".venv").mkdir()
    (machine.root / ".venv" / ".installed").write_text("python=3.11 torch=cpu\n")
    newest = max(path.stat().st_mtime for path in FOLDER.glob("*.txt"))
    os.utime(machine.root / ".venv" / ".installed", (newest + 10**6, newest + 10**6))
    command = [str(machine.path / "bash"), str(FOLDER / "install.sh")]
    environment = {"PATH": str(machine.path)}
    done = subprocess.run(
        command, cwd=machine.root, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
