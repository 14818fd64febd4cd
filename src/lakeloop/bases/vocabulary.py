"""The ids that a tokenizer.json can give, whatever kind of tokenizer it describes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakeloop.bases.files import read_json

MANY_UNKNOWN = 0.2
"""Share of tokens that a base model does not know from which on it seems to be of another language."""


@dataclass(frozen=True)
class Vocabulary:
    """Which tokens there are."""

    ids: Mapping[str, int]
    """Token -> id; those that were added, too."""
    unknown: int | None
    """The id of what the tokenizer does not know; None where it knows everything (byte by byte)."""

    def above(self, limit: int) -> list[str]:
        """The tokens whose ids are `limit` or more, by id."""
        return sorted(
            (token for token, number in self.ids.items() if number >= limit), key=self.ids.__getitem__
        )


def read_vocabulary(file: Path) -> Vocabulary:
    """The vocabulary of a tokenizer.json.

    Raises:
        ConfigurationError: it is no JSON object.
    """
    content = read_json(file)
    model = content.get("model")
    told = model if isinstance(model, dict) else {}
    ids = {token: number for token, number in _entries(content, told.get("vocab")) if isinstance(number, int)}
    unknown = told.get("unk_id") if told.get("unk_token") is None else ids.get(str(told["unk_token"]))
    return Vocabulary(ids, unknown if isinstance(unknown, int) else None)


def _entries(content: Mapping[str, Any], vocabulary: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(vocabulary, dict):
        yield from vocabulary.items()
    elif isinstance(vocabulary, list):  # Unigram: pairs of token and score, the place is the id
        yield from ((str(pair[0]), number) for number, pair in enumerate(vocabulary))
    for added in content.get("added_tokens") or ():
        yield str(added.get("content")), added.get("id")
    specials = (content.get("post_processor") or {}).get("special_tokens")
    if isinstance(specials, dict):
        for token, told in specials.items():
            yield from ((token, number) for number in told.get("ids", ()))
