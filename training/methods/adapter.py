"""A small network behind each layer (Houlsby et al. 2019; one a layer as in Bapna and Firat 2019)."""

from __future__ import annotations

from lakeloop.spec import methods as spec
from training.gradient import Gradient
from training.methods.added import Added
from training.methods.base import Method


def adapter(section: spec.Adapter) -> Method:
    return Gradient(Added(spec.ADAPTER, section.size))
