"""What a base model is asked in which words, from its chat template or from the loop file alone.

The words are made once and sealed in the artifact: in use only the text changes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tokenizers import Tokenizer
from transformers.utils.chat_template_utils import render_jinja_template

from lakeloop.base_model import BaseModel
from lakeloop.bases.files import read_json
from lakeloop.errors import ConfigurationError
from lakeloop.spec.tasks.causal_lm import CausalLm
from lakeloop.spec.tasks.writing import PLACE, WritingTask
from lakeloop.tasks.base import OutputContract, Writing

CHAT_TEMPLATE = "chat_template.jinja"
_TOKENIZER, _WRITES = "tokenizer_config.json", "generation_config.json"
_TEXT, _ANSWER = "\ue000text\ue001", "\ue000answer\ue001"
"""Stand for what is asked and answered while a template is looked at."""
_APART = "\n\n"
"""Stands between examples where there is no chat template."""


def writing_of(base: BaseModel, tokenizer: Tokenizer, task: WritingTask, answers: Sequence[str]) -> Writing:
    """How `base` is asked for answers like `answers`.

    Raises:
        ConfigurationError: it has no chat template and has to have one, or says no token that ends a text.
    """
    told = _told(base)
    ends = _ends(told, tokenizer)
    if (template := _template(base, task)) is not None:
        assert isinstance(task, CausalLm)
        prompt, end = _in_chat(template, task, base, tokenizer)
        ends = [*dict.fromkeys([*end, *ends])]
        lead = until = ""
    else:
        prompt, lead = _in_words(task)
        shown = isinstance(task, CausalLm) and task.examples and not any(_APART in each for each in answers)
        until = _APART if shown else ""
    if not ends:
        raise ConfigurationError(
            "the base model says no token that ends a text",
            where="train.base_model",
            expected="eos_token_id in its config.json or generation_config.json",
            found=base.name,
        )
    return Writing(
        prompt=prompt,
        lead=lead,
        ends=tuple(ends),
        until=until,
        start=_start(told, base) if task.kind == "seq2seq" else None,
        pad=_number(told.get("pad_token_id"), ends[0]),
        max_new_tokens=task.max_new_tokens,
    )


def with_writing(contract: OutputContract, writing: Writing, base: BaseModel) -> OutputContract:
    """`contract` of a model on `base`."""
    vectors = read_json(base.config).get("vocab_size")
    width = vectors if isinstance(vectors, int) and vectors > 0 else contract.width
    return contract.model_copy(update={"writing": writing, "width": width})


def template_of(base: BaseModel) -> str | None:
    """The chat template of a base model; None where it has none."""
    if (file := base.folder / CHAT_TEMPLATE).is_file():
        return file.read_text(encoding="utf-8")
    found = _tokenizer_config(base).get("chat_template")
    if isinstance(found, list):
        named = {each.get("name"): each.get("template") for each in found if isinstance(each, Mapping)}
        found = named.get("default")
    return found if isinstance(found, str) else None


def _template(base: BaseModel, task: WritingTask) -> str | None:
    if not isinstance(task, CausalLm) or task.chat == "off":
        return None
    found = template_of(base)
    if found is None and task.chat == "on":
        raise ConfigurationError(
            "the base model has no chat template",
            where="task.chat",
            expected=f"{CHAT_TEMPLATE}, or chat_template in tokenizer_config.json",
            found=base.name,
            remedy="chat: off, or an instruction-tuned base model",
        )
    return found


def _in_words(task: WritingTask) -> tuple[tuple[str, str], str]:
    """The prompt without a chat template, and what stands before an answer."""
    before, behind = task.prompt.split(PLACE)
    if not isinstance(task, CausalLm):
        return (before, behind), ""
    behind = behind or "\n"
    lead = "" if behind.endswith("\n") else " "
    asked = [f"{before}{each.text}{behind.rstrip(' ')}{lead}{each.answer}{_APART}" for each in task.examples]
    told = f"{task.system}{_APART}" if task.system else ""
    return (f"{told}{''.join(asked)}{before}", behind), lead


def _in_chat(
    template: str, task: CausalLm, base: BaseModel, tokenizer: Tokenizer
) -> tuple[tuple[str, str], list[int]]:
    """The prompt as the messages of a dialogue, and the token that ends the answer, if one does."""
    messages = [*_messages(task), {"role": "user", "content": task.prompt.replace(PLACE, _TEXT)}]
    asked = _rendered(template, messages, base, go_on=True)
    whole = _rendered(template, [*messages, {"role": "assistant", "content": _ANSWER}], base, go_on=False)
    if asked.count(_TEXT) != 1 or whole.count(_ANSWER) != 1:
        raise ConfigurationError(
            "the chat template of the base model leaves out a message, or repeats it",
            where="task.chat",
            expected="one that writes each message once",
            found=base.name,
            remedy="chat: off, and say the words in task.prompt",
        )
    before, behind = asked.split(_TEXT)
    after = tokenizer.encode(whole.partition(_ANSWER)[2], add_special_tokens=False)
    special = {number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    return (before, behind), [token for token in after.ids[:1] if token in special]


def _messages(task: CausalLm) -> Iterator[dict[str, str]]:
    if task.system:
        yield {"role": "system", "content": task.system}
    for each in task.examples:
        yield {"role": "user", "content": task.prompt.replace(PLACE, each.text)}
        yield {"role": "assistant", "content": each.answer}


def _rendered(template: str, messages: list[dict[str, str]], base: BaseModel, *, go_on: bool) -> str:
    try:
        found, _ = render_jinja_template(
            conversations=[messages],
            chat_template=template,
            add_generation_prompt=go_on,
            **_special_tokens(base),
        )
    except Exception as error:  # a template raises what it likes
        raise ConfigurationError(
            "the chat template of the base model does not take such messages",
            where="task.chat",
            expected="one for messages of system, user and assistant",
            found=f"{base.name}: {error}",
            remedy="chat: off, and say the words in task.prompt",
        ) from error
    return str(found[0])


def said_again(base: BaseModel, writing: Writing) -> dict[str, dict[str, Any]]:
    """What an artifact says of `base` beside its config, to be asked as `base` was: file -> JSON."""
    files: dict[str, dict[str, Any]] = {_WRITES: {"eos_token_id": list(writing.ends)}}
    if writing.start is not None:
        files[_WRITES]["decoder_start_token_id"] = writing.start
    if template := template_of(base):
        files[_TOKENIZER] = {**_special_tokens(base), "chat_template": template}
    return files


def _special_tokens(base: BaseModel) -> dict[str, str]:
    """By their roles, as templates speak of them: `bos_token` and so on."""
    return {
        name: str(value["content"]) if isinstance(value, Mapping) else value
        for name, value in _tokenizer_config(base).items()
        if name.endswith("_token") and isinstance(value, str | Mapping)
    }


def _told(base: BaseModel) -> dict[str, Any]:
    """What config.json says, and over it generation_config.json."""
    file = base.folder / _WRITES
    own = read_json(file) if file.is_file() else {}
    return {**read_json(base.config), **{key: value for key, value in own.items() if value is not None}}


def _ends(told: Mapping[str, Any], tokenizer: Tokenizer) -> list[int]:
    said = told.get("eos_token_id")
    ends = said if isinstance(said, list) else [said]
    known = tokenizer.get_vocab_size(with_added_tokens=True)
    return [each for each in ends if isinstance(each, int) and 0 <= each < known]


def _start(told: Mapping[str, Any], base: BaseModel) -> int:
    for key in ("decoder_start_token_id", "bos_token_id"):
        if (found := _number(told.get(key), -1)) >= 0:
            return found
    raise ConfigurationError(
        "the base model says no token that answers begin behind",
        where="train.base_model",
        expected="decoder_start_token_id in its config.json",
        found=base.name,
    )


def _number(value: Any, other: int) -> int:
    return value if isinstance(value, int) and value >= 0 else other


def _tokenizer_config(base: BaseModel) -> dict[str, Any]:
    try:
        found = json.loads((base.folder / _TOKENIZER).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
