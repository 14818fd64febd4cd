"""Other words that a masked language model finds likely in the same place (after Wu et al. 2019)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Encoding, Tokenizer
from transformers import AutoModelForMaskedLM

from lakeloop.errors import ConfigurationError
from lakeloop.inference.batches import pad, pad_id_of
from lakeloop.spec import extras as spec
from training.data import load_tokenizer
from training.job import Job

_MASKS = ("[MASK]", "<mask>")
_BATCH = 32
_WHERE = "train.augment"


def masked(section: spec.MaskedWords, job: Job) -> MaskedWords:
    folder = job.config.beside.get("augment.folder", job.base.folder)
    tokenizer = job.tokenizer
    if section.folder is not None:
        tokenizer = load_tokenizer(folder / "tokenizer.json", job.config.train.max_tokens)
    model = _load(folder).to(job.device.target)
    return MaskedWords(model, tokenizer, section.share, section.among)


def _load(folder: Path) -> Any:
    """The model with its head.

    Raises:
        ConfigurationError: it has none, or its weights are not there.
    """
    try:
        model, told = AutoModelForMaskedLM.from_pretrained(
            folder,
            trust_remote_code=False,
            local_files_only=True,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
        lacking = sorted(told["missing_keys"])
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        lacking = [str(error).strip().splitlines()[0]]
    if lacking:
        raise ConfigurationError(
            "no masked language model",
            where=_WHERE,
            expected="a model with the head that fills in words",
            found=f"{folder} lacks {lacking[0]}",
            remedy="name the folder of one, as transformers saves it: train.augment.folder",
        )
    return model.eval()


class MaskedWords:
    """Replaces a share of the words that are one token, one at least."""

    def __init__(self, model: Any, tokenizer: Tokenizer, share: float, among: int) -> None:
        self._model, self._tokenizer, self._share, self._among = model, tokenizer, share, among
        found = [number for mask in _MASKS if (number := tokenizer.token_to_id(mask)) is not None]
        if not found:
            raise ConfigurationError(
                "the tokenizer has no mask", where=_WHERE, expected=" or ".join(_MASKS), found="none of them"
            )
        self._mask = found[0]
        self._pad = pad_id_of(tokenizer)
        self._words = np.array([self._is_word(each) for each in range(model.config.vocab_size)])

    def texts(self, texts: Sequence[str], random: np.random.Generator) -> Sequence[str]:
        made: list[str] = []
        for start in range(0, len(texts), _BATCH):
            made += self._others(texts[start : start + _BATCH], random)
        return made

    def _others(self, texts: Sequence[str], random: np.random.Generator) -> Iterator[str]:
        encodings = self._tokenizer.encode_batch(list(texts))
        places = [self._places(encoding, random) for encoding in encodings]
        rows = [np.array(encoding.ids) for encoding in encodings]
        for row, picked in zip(rows, places, strict=True):
            row[picked] = self._mask
        chances = self._chances(rows)
        for line, (text, encoding, picked) in enumerate(zip(texts, encodings, places, strict=True)):
            changed = text
            for place in sorted(picked, reverse=True):
                first, end = encoding.offsets[place]
                word = self._draw(chances[line, place], encoding.ids[place], random)
                changed = f"{changed[:first]}{word}{changed[end:]}"
            yield changed

    def _places(self, encoding: Encoding, random: np.random.Generator) -> list[int]:
        """Numbers of the tokens that are replaced."""
        parts = [word for word in encoding.word_ids if word is not None]
        whole = [
            place
            for place, (token, word) in enumerate(zip(encoding.ids, encoding.word_ids, strict=True))
            if word is not None and parts.count(word) == 1 and self._words[token]
        ]
        if not whole:
            return []
        count = max(1, round(self._share * len(whole)))
        return sorted(int(place) for place in random.choice(whole, size=count, replace=False))

    @torch.inference_mode()
    def _chances(self, rows: Sequence[Any]) -> Any:
        """Of each token at each place, float32 [rows, tokens, vocabulary], on the CPU."""
        padded, device = pad(rows, self._pad), self._model.device
        ids, mask = (torch.from_numpy(each).to(device) for each in (padded.input_ids, padded.attention_mask))
        return self._model(input_ids=ids, attention_mask=mask).logits.float().softmax(-1).cpu().numpy()

    def _draw(self, chances: Any, token: int, random: np.random.Generator) -> str:
        """A word that is likely there, and another than `token`."""
        chances = np.where(self._words, chances, 0.0)
        chances[token] = 0.0
        likely = np.argsort(-chances, kind="stable")[: self._among]
        weights = chances[likely].astype(np.float64) + 1e-12
        return self._tokenizer.decode([int(random.choice(likely, p=weights / weights.sum()))]).strip()

    def _is_word(self, token: int) -> bool:
        """Whether a token is a word of its own, and no part of one."""
        told = self._tokenizer.id_to_token(token) or ""
        return not told.startswith("##") and self._tokenizer.decode([token]).strip().isalpha()
