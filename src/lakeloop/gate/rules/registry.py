"""The one list of rules, in the order in which their checks are shown."""

from __future__ import annotations

from lakeloop.gate.rules.base import GateRule
from lakeloop.gate.rules.data import SoundComparison
from lakeloop.gate.rules.floor import Floor
from lakeloop.gate.rules.improvement import NoRegression

RULES: tuple[GateRule, ...] = (SoundComparison(), Floor(), NoRegression())
