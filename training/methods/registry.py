"""The one list of methods on the side of training. Each is imported when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from lakeloop.errors import ConfigurationError
from lakeloop.spec.methods import MethodBase, kind_of
from training.methods.base import Method

METHODS: Mapping[str, str] = {
    "head": "training.methods.head:head",
    "zero_shot": "training.methods.zero_shot:zero_shot",
    "classical": "training.methods.classical:classical",
    "few_shot": "training.methods.few_shot:few_shot",
    "top_layers": "training.methods.top_layers:top_layers",
    "frozen": "training.methods.frozen:frozen",
    "lora": "training.methods.lora:lora",
    "dora": "training.methods.dora:dora",
    "adalora": "training.methods.adalora:adalora",
    "ia3": "training.methods.ia3:ia3",
    "vera": "training.methods.vera:vera",
    "oft": "training.methods.oft:oft",
    "bitfit": "training.methods.bitfit:bitfit",
    "adapter": "training.methods.adapter:adapter",
    "prompt": "training.methods.prompt:prompt",
    "p_tuning": "training.methods.p_tuning:p_tuning",
    "prefix": "training.methods.prefix:prefix",
    "full": "training.methods.full:full",
}
"""Kind, as `lakeloop.spec.methods` has it -> the function that makes the method from its section."""


def method_of(section: MethodBase) -> Method:
    """The method that a section of the loop file describes.

    Raises:
        ConfigurationError: there is no code for it; names the methods that there are.
    """
    kind = kind_of(type(section))
    if kind not in METHODS:
        raise ConfigurationError(
            "no such method", where="train.method", expected=", ".join(METHODS), found=kind
        )
    module, name = METHODS[kind].split(":")
    build: Any = getattr(importlib.import_module(module), name)
    method: Method = build(section)
    return method
