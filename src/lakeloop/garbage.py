"""How often this process looks for garbage: rarely, where heavy libraries are imported."""

from __future__ import annotations

import gc

THRESHOLDS = (50_000, 20, 20)
"""Of the three generations of Python's collector, whose own are 700, 10 and 10."""


def collect_rarely() -> None:
    """Look for cycles of objects that nothing needs each 50,000 new objects instead of each 700.

    torch, Airflow, dbt and Great Expectations make a million objects that stay while they are imported;
    with Python's thresholds a tenth of the time that this takes goes into looking at them again and again.
    """
    gc.set_threshold(*THRESHOLDS)
