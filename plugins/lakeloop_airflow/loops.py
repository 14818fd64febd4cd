"""The loops of this installation, as the DAG files and the Lakeloop page see them."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from lakeloop.errors import ConfigurationError
from lakeloop.settings import Settings, get_settings
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.reading.load import load_named, loop_names

log = logging.getLogger(__name__)

_CHECKOUT = Path(__file__).resolve().parents[2]


def installation() -> Settings:
    """The settings of this process; without LAKELOOP_ROOT the root is the checkout that this file is in."""
    return get_settings() if os.environ.get("LAKELOOP_ROOT") else get_settings(root=_CHECKOUT)


def readable_loops() -> list[LoopSpec]:
    """All loops whose file is right, by name.

    A broken file must not take the DAGs of the other loops down, so it is left out here; dags/loop_files.py
    shows it as an import error.
    """
    settings, loops = installation(), []
    for name in loop_names(settings):
        try:
            loops.append(load_named(name, settings))
        except ConfigurationError as error:
            log.warning("no DAGs for loop %s: %s", name, error)
    return loops
