"""Texts in other words by way of another language (Sennrich et al. 2016), with two models that are given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from lakeloop.errors import ConfigurationError
from lakeloop.spec import extras as spec
from training.job import Job

_BATCH = 16
_TOP = 0.9
"""Words are drawn from the likeliest that have this chance together."""


def back_translation(_section: spec.BackTranslation, job: Job) -> BackTranslation:
    folders = (job.config.beside[f"augment.{key}"] for key in spec.BackTranslation.folders)
    there, back = (_Translator(folder, job) for folder in folders)
    return BackTranslation(there, back)


class BackTranslation:
    """Translates there and back."""

    def __init__(self, there: _Translator, back: _Translator) -> None:
        self._there, self._back = there, back

    def texts(self, texts: Sequence[str], random: np.random.Generator) -> Sequence[str]:
        torch.manual_seed(int(random.integers(2**31)))
        return self._back(self._there(texts))


class _Translator:
    """A model that makes texts of texts, and its tokenizer."""

    def __init__(self, folder: Path, job: Job) -> None:
        self._tokens = job.config.train.max_tokens
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
            model = AutoModelForSeq2SeqLM.from_pretrained(
                folder,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=torch.float32,
            )
        except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
            raise ConfigurationError(
                "no model that translates",
                where="train.augment",
                expected="encoder, decoder and tokenizer in a folder, as transformers saves them",
                found=f"{folder}: {str(error).strip().splitlines()[0]}",
            ) from None
        self._model: Any = model.to(job.device.target).eval()

    @torch.inference_mode()
    def __call__(self, texts: Sequence[str]) -> list[str]:
        made: list[str] = []
        for start in range(0, len(texts), _BATCH):
            batch = self._tokenizer(
                list(texts[start : start + _BATCH]),
                return_tensors="pt",
                padding=True,
                truncation=True,
                max_length=self._tokens,
            ).to(self._model.device)
            wanted = {key: batch[key] for key in ("input_ids", "attention_mask")}
            found = self._model.generate(**wanted, do_sample=True, top_p=_TOP, max_new_tokens=self._tokens)
            made += self._tokenizer.batch_decode(found, skip_special_tokens=True)
        return made
