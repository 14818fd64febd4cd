"""What runs a network: this machine's CPU, or a CUDA device where there is one and its packages are."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any, Literal, cast, get_args

from lakeloop.errors import ConfigurationError

log = logging.getLogger(__name__)

Device = Literal["cpu", "cuda"]
Wanted = Literal["cpu", "cuda", "auto"]
CPU: Device = "cpu"
CUDA: Device = "cuda"
AUTO: Wanted = "auto"

ON_CPU, ON_CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
"""Names of ONNX Runtime."""
SETTING = "LAKELOOP_SERVE_DEVICE"
_OF_ONNX = (
    "put its build for CUDA in place of the other, they share a folder: pip uninstall onnxruntime, then"
    ' pip install "onnxruntime-gpu[cuda,cudnn]"; or serve on the CPU'
)
_OF_TORCH = "install torch for CUDA (make setup TORCH=gpu), or serve on the CPU"


def chosen(wanted: Wanted, there: Collection[str], runtime: str = "ONNX Runtime") -> Device:
    """The device for what is `wanted`, of the providers that are `there`; `auto`: the CPU where it is alone.

    Raises:
        ConfigurationError: CUDA is asked for and not there; says what is, and what to install.
    """
    if wanted == CPU:
        return CPU
    if ON_CUDA in there:
        return CUDA
    if wanted == AUTO:
        log.info("%s has no CUDA device here (%s): the CPU answers", runtime, ", ".join(there))
        return CPU
    raise _not_there(runtime, ", ".join(there))


def wanted(said: str, where: str) -> Wanted:
    """What somebody `said`.

    Raises:
        ConfigurationError: it is no such device.
    """
    if said not in get_args(Wanted):
        raise ConfigurationError(
            "no such device", where=where, expected=", ".join(get_args(Wanted)), found=said
        )
    return cast("Wanted", said)


def providers_of_onnx() -> list[str]:
    """The providers that the installed ONNX Runtime was built with; whether they work, a session tells."""
    import onnxruntime

    return list(onnxruntime.get_available_providers())


def providers_of_torch() -> list[str]:
    """The same of torch, by the names of ONNX Runtime."""
    import torch

    return [ON_CUDA, ON_CPU] if torch.cuda.is_available() else [ON_CPU]


def providers_for(device: Device) -> list[str | tuple[str, dict[str, Any]]]:
    """What a session of ONNX Runtime is opened with."""
    # Without TF32: the answers are to be those that were judged.
    return [(ON_CUDA, {"use_tf32": 0}), ON_CPU] if device == CUDA else [ON_CPU]


def require_works(wanted: Wanted, device: Device, in_use: Collection[str], where: str) -> Device:
    """The device that a session which was opened for `device` has, of the providers that it has `in_use`.

    ONNX Runtime goes on with the CPU where the libraries of CUDA cannot be loaded, and only prints so.

    Raises:
        ConfigurationError: CUDA is `wanted`, and the session does without it.
    """
    if device == CPU or ON_CUDA in in_use:
        return device
    if wanted == AUTO:
        log.warning("%s: CUDA cannot be used, see what ONNX Runtime says above: the CPU answers", where)
        return CPU
    raise _not_there("ONNX Runtime", f"{', '.join(in_use)}; the libraries of CUDA or the device do not load")


def _not_there(runtime: str, found: str) -> ConfigurationError:
    return ConfigurationError(
        f"{runtime} has no CUDA device here",
        where=SETTING,
        expected=ON_CUDA,
        found=found,
        remedy=_OF_TORCH if runtime == "torch" else _OF_ONNX,
    )
