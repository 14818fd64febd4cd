"""What a job has cost: read from the machine, and left out where the machine does not tell."""

from __future__ import annotations

import time
from pathlib import Path

import torch

from training.cost import Load, Meter, together
from training.device import Device

CPU = Device("CPU", torch.device("cpu"), bf16=False, threads=1)


def package(rapl: Path, name: str, *, microjoules: int, limit: int = 10_000_000) -> Path:
    folder = rapl / name
    folder.mkdir(parents=True)
    (folder / "max_energy_range_uj").write_text(f"{limit}\n")
    (folder / "energy_uj").write_text(f"{microjoules}\n")
    return folder / "energy_uj"


def test_seconds_and_memory_are_those_of_this_process(tmp_path: Path) -> None:
    found = Meter(tmp_path).read(CPU)
    assert found["gpu_seconds"] == 0
    assert found["cpu_seconds"] > 0
    assert found["wall_seconds"] >= 0
    assert found["peak_memory_mb"] > 50, "torch is loaded"


def test_energy_that_cannot_be_read_is_absent_and_not_zero(tmp_path: Path) -> None:
    unreadable = package(tmp_path, "intel-rapl:0", microjoules=0)
    unreadable.write_text("permission denied, as it were")
    for rapl in (tmp_path, tmp_path / "nowhere"):
        assert {"energy_joules", "energy_of"} & Meter(rapl).read(CPU).keys() == set()


def test_energy_is_that_of_all_packages_also_when_a_counter_begins_anew(tmp_path: Path) -> None:
    first = package(tmp_path, "intel-rapl:0", microjoules=9_000_000)
    second = package(tmp_path, "intel-rapl:1", microjoules=1_000_000)
    part = package(tmp_path, "intel-rapl:0:0", microjoules=0)
    meter = Meter(tmp_path)
    first.write_text("2000000")  # 1 J to its end, and 2 J
    second.write_text("1500000")
    part.write_text("9000000")  # counted in its package already
    found = meter.read(CPU)
    assert (found["energy_joules"], found["energy_of"]) == (3.5, {"cpu": 3.5})


def test_the_load_is_that_since_it_was_last_asked() -> None:
    load = Load()
    until = time.process_time() + 0.2
    while time.process_time() < until:
        pass
    busy = load.read()
    time.sleep(0.2)
    idle = load.read()
    assert busy["system/cores"] > 3 * idle["system/cores"]
    assert busy["system/memory_mb"] > 50


def test_what_processes_of_one_job_have_cost_is_added_up() -> None:
    own = {
        "wall_seconds": 10.0, "cpu_seconds": 9.0, "gpu_seconds": 10.0, "peak_memory_mb": 500.0,
        "peak_gpu_memory_mb": 80.0, "energy_joules": 70.0, "energy_of": {"cpu": 40.0, "gpu": 30.0},
    }  # fmt: skip
    other = {**own, "wall_seconds": 8.0, "gpu_seconds": 8.0, "peak_gpu_memory_mb": 90.0}
    assert together(own, [other, {"cpu_seconds": 3.0}]) == {
        "wall_seconds": 10.0, "cpu_seconds": 21.0, "gpu_seconds": 18.0, "peak_memory_mb": 1000.0,
        "peak_gpu_memory_mb": 90.0, "energy_joules": 100.0, "energy_of": {"cpu": 40.0, "gpu": 60.0},
    }  # fmt: skip
    alone = {"wall_seconds": 1.0, "cpu_seconds": 1.0, "gpu_seconds": 0.0, "peak_memory_mb": 5.0}
    assert together(alone, []) == alone
