"""The one list of rules, in the order in which their checks are shown."""

from __future__ import annotations

from lakeloop.gate.rules.base import GateRule
from lakeloop.gate.rules.data import SoundComparison
from lakeloop.gate.rules.floor import Floor
from lakeloop.gate.rules.improvement import NoRegression
from lakeloop.gate.rules.leaks import NoLeak
from lakeloop.gate.rules.limits import Limits
from lakeloop.gate.rules.reason import ReasonToReplace
from lakeloop.gate.rules.slices import NoSliceLost
from lakeloop.gate.rules.untested import Untested

RULES: tuple[GateRule, ...] = (
    NoLeak(),
    SoundComparison(),
    Untested(),
    Floor(),
    Limits(),
    NoRegression(),
    NoSliceLost(),
    ReasonToReplace(),
)
