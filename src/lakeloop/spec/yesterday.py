"""What loop files and records said before format 2, in today's words.

A file of yesterday is read as before; a day that was done is recognised as done. Nothing else in the product
knows the old words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import TypeAdapter

from lakeloop.spec.checks import Checks
from lakeloop.spec.clean import Clean
from lakeloop.spec.identity import candidate_settings, decisive
from lakeloop.spec.source import Source
from lakeloop.spec.split import Split
from lakeloop.spec.tasks import Classification
from lakeloop.spec.train import Train

_METHOD_KEYS = {"top_layers": ("top_layers", "layers"), "lora_rank": ("lora", "rank")}
"""Old key of section `train` -> the method that has it now, and its name there."""


def lift_file(content: dict[str, Any]) -> dict[str, Any]:
    """The content of a loop file with keys that moved at their new place; what is wrong stays as it is.

    A task without a kind is a classification: there was no other.
    """
    content = dict(content)
    train, checks, task = content.get("train"), content.get("checks"), content.get("task")
    if isinstance(train, dict) and _METHOD_KEYS.keys() & train.keys() and _may_be_of_before(train):
        content["train"] = _lift_train(train)
    if isinstance(task, dict):
        task = content["task"] = {"kind": "classification", **task}
    if (
        isinstance(checks, dict)
        and "min_labels" in checks
        and isinstance(task, dict)
        and "min_labels" not in task
    ):
        task["min_labels"] = checks["min_labels"]
        content["checks"] = {key: value for key, value in checks.items() if key != "min_labels"}
    return content


def moved_key(key: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Where a key of today may stand in a file of yesterday."""
    match key:
        case ("task", "min_labels"):
            return ("checks", "min_labels")
        case ("train", "method", "top_layers", *_) | ("train", "method", "layers"):
            return ("train", "top_layers")
        case ("train", "method", "rank"):
            return ("train", "lora_rank")
    return key


def _may_be_of_before(train: Mapping[str, Any]) -> bool:
    """Whether section `train` has only keys of then; a key that is said twice is left to be refused."""
    return "candidates" not in train and not isinstance(train.get("method"), dict)


def _lift_train(train: Mapping[str, Any]) -> dict[str, Any]:
    method = train.get("method", "top_layers")
    lifted = {key: value for key, value in train.items() if key not in _METHOD_KEYS}
    for old, (kind, new) in _METHOD_KEYS.items():
        if old in train and method == kind:  # of another method it said nothing
            lifted["method"] = {"kind": kind, new: train[old]}
    return lifted


def lift_config(stage: str, config: Mapping[str, Any], today: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a record of format 1 says decided its output, as a record of today says it.

    `today` is what decides the output now. None for stages whose old words cannot be compared: such work is
    done again.
    """
    lift = _LIFTS.get(stage)
    lifted = lift(config) if lift else None
    if lifted and "training" in lifted:
        lifted["training"] |= _unsaid(today.get("training", {}))
    return lifted


def _lift_ingest(config: Mapping[str, Any]) -> dict[str, Any]:
    source = TypeAdapter(Source).validate_python(dict(config))
    return {"source": decisive(source, "raw")}


def _lift_transform(config: Mapping[str, Any]) -> dict[str, Any]:
    columns = config["columns"]
    event_time = columns["lakeloop_event_time"]
    return _without_empty(
        {
            "source": {
                "key": columns["lakeloop_key"],
                **({"event_time": event_time} if event_time else {}),
            },
            "clean": decisive(Clean(**config["clean"]), "built"),
            "task": {"text": columns["lakeloop_text"], "label": columns["lakeloop_label"]},
        }
    )


def _lift_validate(config: Mapping[str, Any]) -> dict[str, Any]:
    checks = dict(config["checks"])
    few = checks.pop("min_labels", 1)
    task = Classification(
        kind="classification",
        text="text",
        label="label",
        labels=tuple(config["labels"]),
        min_characters=config["min_characters"],
        min_labels=few,
    )
    return _without_empty(
        {
            "checks": decisive(Checks.model_validate(checks), "mart"),
            "task": decisive(task, "mart"),
        }
    )


def _lift_dataset(config: Mapping[str, Any]) -> dict[str, Any]:
    return _without_empty({"split": decisive(Split(**config["split"]), "dataset"), "task": _task(config)})


def _lift_evaluate(config: Mapping[str, Any]) -> dict[str, Any]:
    metric = {} if config["metric"] == "macro_f1" else {"metric": config["metric"]}
    return _without_empty(
        {"evaluate": metric, "task": _task(config), "training": lift_training(config["training"], {})}
    )


def lift_training(config: Mapping[str, Any], today: Mapping[str, Any]) -> dict[str, Any]:
    """What decided a training, as `identity.training_identity` says it; as it is when it says so already.

    `today` is the identity of a training now: a key that format 1 had no place for has changed nothing.
    """
    if "train" not in config:
        return dict(config)
    train = Train(**_lift_train(config["train"]))
    candidates = {each.name: candidate_settings(train, each) for each in train.all_candidates}
    split = decisive(Split(**config["split"]), "dataset")
    said = _without_empty({"split": split, "task": _task(config), "candidates": candidates})
    return said | _unsaid(today)


def _unsaid(training: Mapping[str, Any]) -> dict[str, Any]:
    """What of the identity of a training format 1 had no place for."""
    return {key: training[key] for key in ("clean", "evaluate") if key in training}


def _lift_release(config: Mapping[str, Any]) -> dict[str, Any]:
    gate = {"min_score": 0.8, "max_regression": 0.01}
    changed = {key: value for key, value in config["gate"].items() if value != gate.get(key)}
    metric = {} if config["metric"] == "macro_f1" else {"metric": config["metric"]}
    return _without_empty({"evaluate": metric, "gate": changed})


def _task(config: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": "classification", "labels": list(config["labels"])}


def _without_empty(sections: Mapping[str, Any]) -> dict[str, Any]:
    return {name: keys for name, keys in sections.items() if keys}


_LIFTS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "ingest": _lift_ingest,
    "transform": _lift_transform,
    "validate": _lift_validate,
    "dataset": _lift_dataset,
    "evaluate": _lift_evaluate,
    "release": _lift_release,
    "monitor": dict,
    "maintain": dict,
}
