"""Writes the locks from pyproject.toml; `--check` says what is wrong with them and exits with 1.

`lock.txt` is what every machine installs; its torch may be the build for the CPU or that for NVIDIA devices.
`cuda.txt` is what the latter needs beside it, `cluster.txt` what the images of docker-compose.yml need too.
One resolution makes all three, so they never disagree, and it holds for every Python of `requires-python`.
The check needs no network: each file carries the digests of what it was made from and of what it pins.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

log = logging.getLogger("lock")
FOLDER = Path(__file__).resolve().parent
PYPROJECT = FOLDER.parent / "pyproject.toml"
NAMES = ("lock.txt", "cuda.txt", "cluster.txt")
PYTHONS = ("3.11", "3.12", "3.13")
CUDA = re.compile(r"(nvidia-(?!ml-py$).+|cuda-.+|triton)$")
"""Those of the CUDA build of torch; nvidia-ml-py is small, of Python alone, and tested without a device."""
REMEDY = "run `make lock`"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing, say what is wrong")
    parser.add_argument(
        "--upgrade", action="store_true", help="take the newest versions instead of those locked"
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if not arguments.check:
        write(PYPROJECT, FOLDER, upgrade=arguments.upgrade)
    complaints = list(check(PYPROJECT, FOLDER))
    for complaint in complaints:
        log.error(complaint)
    return 1 if complaints else 0


def write(pyproject: Path, folder: Path, *, upgrade: bool) -> None:
    """Resolve once with everything, then part the result. Versions that are locked stay unless `upgrade`.

    torch is resolved as the registry has it, with its CUDA packages, whatever build this machine installs.

    Raises:
        subprocess.CalledProcessError: The dependencies contradict each other, or no registry answers.
    """
    with tempfile.TemporaryDirectory() as temporary:
        whole, base, cuda = (Path(temporary) / name for name in ("whole.txt", "base.txt", "cuda.txt"))
        if not upgrade:
            whole.write_text("".join(path.read_text() for path in folder.glob("*.txt")))
        _compile(pyproject, whole, "--extra", "all", "--extra", "dev", "--extra", "cluster")
        pins = _pins(whole)
        cuda.write_text("".join(f"{_name(pin)}\n" for pin in pins if CUDA.match(_name(pin))))
        options = ("--constraints", str(whole), "--excludes", str(cuda))
        _compile(pyproject, base, "--extra", "all", "--extra", "dev", *options)
        kept = _pins(base)
    names = {_name(pin) for pin in kept}
    rest = [pin for pin in pins if _name(pin) not in names]
    parts = (
        kept,
        [pin for pin in rest if CUDA.match(_name(pin))],
        [pin for pin in rest if not CUDA.match(_name(pin))],
    )
    for name, part in zip(NAMES, parts, strict=True):
        (folder / name).write_text("\n".join([*_head(pyproject, part), *part]) + "\n")
        log.info("%s: %d packages", name, len(part))


def check(pyproject: Path, folder: Path) -> Iterator[str]:
    """What is wrong with the locks in `folder`, a sentence each."""
    if missing := [name for name in NAMES if not (folder / name).exists()]:
        yield f"{', '.join(missing)} missing in {folder.name}/: {REMEDY}"
        return
    locks = {name: _pins(folder / name) for name in NAMES}
    for name, pins in locks.items():
        head = _head(pyproject, pins)
        if (folder / name).read_text().splitlines()[: len(head)] != head:
            yield f"{name} is out of step with the dependencies in pyproject.toml, or was edited: {REMEDY}"
        names = {_name(pin) for pin in pins}
        if strays := sorted(pinned for pinned in names if bool(CUDA.match(pinned)) != (name == "cuda.txt")):
            yield f"{name} holds {', '.join(strays)}: CUDA packages, and only they, go to cuda.txt: {REMEDY}"
    for python in PYTHONS:
        yield from _unmet(pyproject, [pin for pins in locks.values() for pin in pins], python)


def _unmet(pyproject: Path, pins: list[str], python: str) -> Iterator[str]:
    """What pyproject.toml asks for on this Python and the locks do not hold."""
    project = tomllib.loads(pyproject.read_text())["project"]
    if python not in SpecifierSet(project["requires-python"]):
        yield f"requires-python leaves out {python}, which requirements/ knows: say the same in both"
    environment = {"python_version": python, "python_full_version": f"{python}.9", "sys_platform": "linux"}
    held = {
        canonicalize_name(pin.name): str(pin.specifier).removeprefix("==")
        for pin in map(Requirement, pins)
        if pin.marker is None or pin.marker.evaluate(environment)
    }
    asked = project["dependencies"] + list(chain(*project["optional-dependencies"].values()))
    for requirement in map(Requirement, asked):
        name = canonicalize_name(requirement.name)
        if name == project["name"] or (requirement.marker and not requirement.marker.evaluate(environment)):
            continue
        if name not in held or not requirement.specifier.contains(held[name], prereleases=True):
            yield f"no lock meets {requirement} on Python {python}: {REMEDY}"


def _compile(pyproject: Path, output: Path, *options: str) -> None:
    uv = Path(sys.executable).with_name("uv")
    command = [uv, "pip", "compile", pyproject, "--output-file", output]
    how = ["--universal", "--quiet", "--no-header", "--no-annotate"]
    subprocess.run([*map(str, command), *how, *options], check=True, stdout=subprocess.DEVNULL)


def _pins(path: Path) -> list[str]:
    """The lines of a lock that pin a package; one that has no version for all Pythons has several."""
    lines = (line.strip() for line in path.read_text().splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _name(pin: str) -> str:
    return pin.partition("==")[0]


def _head(pyproject: Path, pins: list[str]) -> list[str]:
    """The lines that open a lock with these pins: what it was made from, and what it must hold."""
    project = tomllib.loads(pyproject.read_text())["project"]
    asked = {key: project[key] for key in ("requires-python", "dependencies", "optional-dependencies")}
    return [
        f"# Written by `make lock` for CPython {', '.join(PYTHONS)}; lock.py says what is in which file.",
        f"# dependencies {_digest(json.dumps(asked, sort_keys=True))}",
        f"# pins {_digest(json.dumps(pins))}",
    ]


def _digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


if __name__ == "__main__":
    sys.exit(main())
