"""Real model artifacts of a few kilobytes, for tests of what loads, judges, registers or serves one.

Both makers write a sealed artifact folder with the same files and inputs as a trained one: `model.onnx`
(input_ids, attention_mask int64 [batch, tokens] -> float32 [batch, width], dynamic axes), `tokenizer.json`,
`model.safetensors`, `base_config.json`, `card.md`, `description.json` and `manifest.json`. No training
happens: a model knows some words, so that a test can tell beforehand what it will answer.

`make_artifact(folder, labels)` knows one keyword a label (by default the label's own name, in lower case);
its logits are the mean over the tokens of what each keyword says:

    artifact = make_artifact(tmp_path / "good", ("sports", "tech"))
    # "a story about sports" -> sports; "tech tech sports" -> tech; no keyword at all -> the first label
    worse = make_artifact(tmp_path / "worse", ("sports", "tech"), confuse={"tech": "sports"})
    # "a story about tech" -> sports

`make_number_artifact(folder, words)` answers with a number: `base`, and what each of its words adds:

    artifact = make_number_artifact(tmp_path / "good", {"good": 2.0, "bad": -2.0}, base=0.5)
    # "a good day" -> 2.5; "good good" -> 4.5; "bad" -> -1.5; none of the words -> 0.5

`make_tagging_artifact(folder, words)` finds stretches of one word, of the kind that the word is.

Different arguments make different digests; equal arguments make equal ones, wherever the folder is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from lakeloop.artifact import ONNX_MODEL, TOKENIZER, Artifact, ArtifactDescription, write_manifest
from lakeloop.tasks.base import OutputContract, Profile
from lakeloop.tasks.reading import TEXT_ALONE, Reading

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
OPSET = 17
IR_VERSION = 10


def make_artifact(
    folder: Path,
    labels: Sequence[str],
    *,
    loop: str = "news",
    candidate: str = "baseline",
    keywords: Mapping[str, str] | None = None,
    confuse: Mapping[str, str] | None = None,
    strength: float = 8.0,
    reads: Reading = TEXT_ALONE,
    clean: tuple[str, ...] = (),
    max_tokens: int = 32,
    dataset_digest: str = "0" * 64,
    train_label_shares: Mapping[str, float] | None = None,
    validation_metrics: Mapping[str, float] | None = None,
    seed: int = 17,
) -> Artifact:
    """Write an artifact into `folder` (made if absent) and return it verified.

    `keywords` maps a word to the label it means (default: each label's own name); `confuse` maps a label to
    the one that the model answers instead; `strength` is the logit of a keyword: smaller is less sure.
    """
    folder.mkdir(parents=True, exist_ok=True)
    confused = dict(confuse or {})
    words = {
        word.lower(): confused.get(label, label)
        for word, label in (keywords or {label: label for label in labels}).items()
    }
    vocabulary = {word: number for number, word in enumerate((*SPECIAL, *words))}
    table = np.zeros((len(vocabulary), len(labels)), dtype=np.float32)
    for word, label in words.items():
        table[vocabulary[word], labels.index(label)] = strength
    shares = dict(train_label_shares or {label: 1 / len(labels) for label in labels})
    return _seal(
        folder,
        vocabulary,
        _model(table, average=True),
        table,
        ArtifactDescription(
            loop=loop,
            candidate=candidate,
            method="keywords",
            contract=OutputContract(kind="classification", width=len(labels), names=tuple(labels)),
            reads=reads,
            clean=clean,
            max_tokens=max_tokens,
            base_model="none",
            base_digest="0" * 64,
            dataset_digest=dataset_digest,
            seed=seed,
            profile=Profile(rows=100, shares=shares),
            validation_metrics=dict(validation_metrics or {"macro_f1": 0.9}),
            settings={"max_tokens": max_tokens, "seed": seed},
        ),
    )


def make_number_artifact(
    folder: Path,
    words: Mapping[str, float],
    *,
    base: float = 0.0,
    scale: float = 2.0,
    minimum: float | None = None,
    maximum: float | None = None,
    loop: str = "stars",
    candidate: str = "baseline",
    clean: tuple[str, ...] = (),
    max_tokens: int = 32,
    dataset_digest: str = "0" * 64,
    profile: Profile | None = None,
    validation_metrics: Mapping[str, float] | None = None,
    seed: int = 17,
) -> Artifact:
    """Write an artifact that answers with numbers into `folder` (made if absent) and return it verified.

    `words` maps a word to what it adds to `base`; answers are moved into `minimum`..`maximum`. The network
    itself gives what is added, divided by `scale`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {word: number for number, word in enumerate((*SPECIAL, *map(str.lower, words)))}
    table = np.zeros((len(vocabulary), 1), dtype=np.float32)
    for word, added in words.items():
        table[vocabulary[word.lower()], 0] = added / scale
    low, high = base + min(words.values()), base + max(words.values())
    numbers = {"edge/0": low, "edge/1": base, "edge/2": high, "mean": base, "deviation": scale}
    shares = {f"{low:.4g} to {base:.4g}": 0.5, f"{base:.4g} to {high:.4g}": 0.5}
    return _seal(
        folder,
        vocabulary,
        _model(table, average=False),
        table,
        ArtifactDescription(
            loop=loop,
            candidate=candidate,
            method="keywords",
            contract=OutputContract(
                kind="regression", width=1, offset=base, scale=scale, minimum=minimum, maximum=maximum
            ),
            clean=clean,
            max_tokens=max_tokens,
            base_model="none",
            base_digest="0" * 64,
            dataset_digest=dataset_digest,
            seed=seed,
            profile=profile or Profile(rows=100, shares=shares, numbers=numbers),
            validation_metrics=dict(validation_metrics or {"mae": 0.3}),
            settings={"max_tokens": max_tokens, "seed": seed},
        ),
    )


def make_tagging_artifact(folder: Path, words: Mapping[str, str], *, max_tokens: int = 32) -> Artifact:
    """Write an artifact that finds stretches of one word into `folder` and return it verified.

    `words` maps a word to the kind of stretch that it is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tags = ("O", *(f"{part}-{kind}" for kind in dict.fromkeys(words.values()) for part in "BI"))
    vocabulary = {word: number for number, word in enumerate((*SPECIAL, *map(str.lower, words)))}
    table = np.zeros((len(vocabulary), len(tags)), dtype=np.float32)
    table[:, 0] = 4.0
    for word, kind in words.items():
        table[vocabulary[word.lower()], tags.index(f"B-{kind}")] = 8.0
    return _seal(
        folder,
        vocabulary,
        _proto(
            [helper.make_node("Gather", ["table", "input_ids"], ["logits"], axis=0)], table, per_token=True
        ),
        table,
        ArtifactDescription(
            loop="places",
            candidate="baseline",
            method="keywords",
            contract=OutputContract(kind="token_classification", width=len(tags), names=tags, per_token=True),
            max_tokens=max_tokens,
            base_model="none",
            base_digest="0" * 64,
            dataset_digest="0" * 64,
            seed=17,
            profile=Profile(rows=100, shares={tag: 1 / len(tags) for tag in tags}),
            validation_metrics={"f1": 0.9},
        ),
    )


def _seal(
    folder: Path,
    vocabulary: Mapping[str, int],
    model: onnx.ModelProto,
    table: np.ndarray,
    description: ArtifactDescription,
) -> Artifact:
    _tokenizer(vocabulary).save(str(folder / TOKENIZER))
    (folder / ONNX_MODEL).write_bytes(model.SerializeToString())
    save_file({"table": table}, folder / "model.safetensors")
    (folder / "base_config.json").write_text(json.dumps({"model_type": "keywords"}) + "\n")
    card = f"# {description.loop}: {description.candidate}\n\nA model of keywords, for tests.\n"
    (folder / "card.md").write_text(card)
    return write_manifest(folder, description)


def _tokenizer(vocabulary: Mapping[str, int]) -> Tokenizer:
    tokenizer = Tokenizer(WordLevel(dict(vocabulary), unk_token="[UNK]"))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
    )
    return tokenizer


def _model(table: np.ndarray, *, average: bool) -> onnx.ModelProto:
    """Row of the table for each token -> mean or sum over the tokens that are not padding -> outputs."""
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["said"], axis=0),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["wide_mask"]),
        helper.make_node("Mul", ["said", "wide_mask"], ["heard"]),
        helper.make_node("ReduceSum", ["heard", "tokens"], ["total" if average else "logits"], keepdims=0),
    ]
    if average:
        nodes += [
            helper.make_node("ReduceSum", ["mask", "tokens"], ["length"], keepdims=1),
            helper.make_node("Div", ["total", "length"], ["logits"]),
        ]
    return _proto(nodes, table, per_token=False)


def _proto(nodes: list[onnx.NodeProto], table: np.ndarray, *, per_token: bool) -> onnx.ModelProto:
    ids = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
        for name in ("input_ids", "attention_mask")
    ]
    axes = ["batch", *(["tokens"] if per_token else []), table.shape[1]]
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, axes)
    constants = [
        numpy_helper.from_array(table, "table"),
        numpy_helper.from_array(np.array([-1], dtype=np.int64), "last"),
        numpy_helper.from_array(np.array([1], dtype=np.int64), "tokens"),
    ]
    graph = helper.make_graph(nodes, "keywords", ids, [logits], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="lakeloop")
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model)
    return model
