"""What the tests of the command share: a small loop file and what a run of the command ended with."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

DAY = "2026-11-20"
LOOP = """\
name: tickets
source:
  kind: files
  path: data/{partition}.jsonl
  key: id
  columns: {id: string, text: string, team: string}
task:
  text: text
  label: team
  labels: [billing, technical]
"""


class Ended(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Ended]
