"""From texts to the tokens of prompts, and from tokens that were written to texts; in training, too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from tokenizers import Tokenizer

from lakeloop.tasks.base import Writing, Written

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Prompts:
    """Prompts by one tokenizer.

    The words of a prompt are read with their special tokens, texts without: a text that has `<|im_end|>` in
    it ends nothing. Of a text that is too long the end is left out, never of what stands around it.
    """

    def __init__(self, tokenizer: Tokenizer, writing: Writing, max_tokens: int) -> None:
        """`max_tokens` is the room for a prompt with its text."""
        own = Tokenizer.from_str(tokenizer.to_str())
        own.no_truncation()
        own.no_padding()
        before, behind = _specials(own)
        self._writing = writing
        self.most_written = writing.max_new_tokens
        """Tokens of an answer, at most."""
        # A model that only goes on must not read that the text is at an end.
        self._behind = behind if writing.start is not None else []
        first, *others = writing.prompt
        # Blanks before a word are the word's own for most tokenizers.
        self._blank = " " if first.endswith(" ") else ""
        head = own.encode(first.removesuffix(" "), add_special_tokens=False).ids
        self._head = head if head[: len(before)] == before else [*before, *head]
        self._tail = own.encode(others[-1].rstrip(" "), add_special_tokens=False).ids
        self.fixed = len(self._head) + len(self._tail) + len(self._behind)
        """Tokens of a prompt without a text."""
        self._room = max(0, max_tokens - self.fixed)
        self._around = (before, behind)
        own.encode_special_tokens = True
        # Where such a token is a word of the vocabulary, too, it is found all the same.
        added = own.get_added_tokens_decoder()
        self._not_of_texts = {n for n, token in added.items() if token.special and "unk" not in token.content}
        self._tokenizer = own

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The prompt for each of `texts`."""
        found = self._tokens([self._blank + text for text in texts])
        return [[*self._head, *each[: self._room], *self._tail, *self._behind] for each in found]

    def right(self, answers: Sequence[str]) -> list[list[int]]:
        """The tokens of right answers, their end the last; cut at `max_new_tokens`.

        What a tokenizer puts before each text comes first where a text is read apart from writing.
        """
        writing = self._writing
        before = self._around[0] if writing.start is not None else []
        found = self._tokens([writing.lead + answer.strip() for answer in answers])
        rows = [[*before, *each] for each in found]
        return [[*row[: writing.max_new_tokens - 1], writing.ends[0]] for row in rows]

    def written(self, ids: NDArray[np.int64]) -> Written:
        """The text of tokens that were written; below 0 is none."""
        writing = self._writing
        row = [int(token) for token in ids if token >= 0]
        ended = next((place for place, token in enumerate(row) if token in writing.ends), len(row))
        text = self._tokenizer.decode(row[:ended], skip_special_tokens=True)
        cut, found, _ = text.partition(writing.until) if writing.until else (text, "", "")
        return Written(cut.strip(), len(row), ended < len(row) or bool(found))

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        found = self._tokenizer.encode_batch([*texts], add_special_tokens=False)
        return [[token for token in each.ids if token not in self._not_of_texts] for each in found]


def _specials(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """Ids that the tokenizer puts before and behind each text."""
    found = tokenizer.encode("a")
    marks = found.special_tokens_mask
    first = next((place for place, mark in enumerate(marks) if not mark), len(marks))
    last = next((place for place, mark in enumerate(reversed(marks)) if not mark), 0)
    return found.ids[:first], found.ids[len(marks) - last :] if last else []
