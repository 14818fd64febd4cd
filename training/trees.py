"""Trees of scikit-learn as a layer of a network, so that they are saved, exported and served as all others.

All trees of a layer lie one behind another in flat tables; a leaf points at itself, so that a row walks as
many steps as the deepest tree has, in all trees at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sklearn
import torch
from numpy.typing import NDArray
from torch import nn

from lakeloop.errors import ArtifactError

TOLERANCE = 2e-2
"""Largest difference of a share between the layer and scikit-learn, which rules no answer out."""
SMALLEST_SHARE = 1e-4
"""A forest in which no tree has seen an answer does not rule it out."""


@dataclass(frozen=True)
class Table:
    """One tree; of every node, the first is the root."""

    feature: NDArray[np.int64]
    """[nodes]: column that the node asks for; any, of a leaf."""
    threshold: NDArray[np.float64]
    """[nodes]: up to this value a row goes left."""
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    """[nodes]: numbers of nodes; of a leaf its own."""
    value: NDArray[np.float32]
    """[nodes, width]: what a row adds to the outputs that ends there."""


class Trees(nn.Module):
    """float32 [rows, in_features] -> float32 [rows, width]: the sum over trees of what their leaves say."""

    feature: torch.Tensor
    threshold: torch.Tensor
    left: torch.Tensor
    right: torch.Tensor
    value: torch.Tensor
    roots: torch.Tensor
    base: torch.Tensor

    def __init__(
        self, tables: Sequence[Table], base: NDArray[np.float32], in_features: int, *, shares: bool = False
    ) -> None:
        """`base`, float32 [width], is what the sum begins with; of `shares` the logarithm is given."""
        super().__init__()
        self.in_features, self.out_features = in_features, len(base)
        self.depth = max(map(_depth, tables))
        self.shares = shares
        roots = np.cumsum([0, *(len(table.left) for table in tables)][:-1])
        parts = {
            "feature": np.concatenate([table.feature for table in tables]),
            "threshold": np.concatenate([_not_above(table.threshold) for table in tables]),
            "left": np.concatenate([root + t.left for root, t in zip(roots, tables, strict=True)]),
            "right": np.concatenate([root + t.right for root, t in zip(roots, tables, strict=True)]),
            "value": np.concatenate([table.value for table in tables]),
            "roots": roots,
            "base": base,
        }
        for name, part in parts.items():
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(part)))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        node = self.roots.expand(inputs.shape[0], -1)
        for _ in range(self.depth):
            asked = inputs.gather(1, self.feature[node])
            node = torch.where(asked <= self.threshold[node], self.left[node], self.right[node])
        outputs = self.base + self.value[node].sum(1)
        return outputs.clamp(min=SMALLEST_SHARE).log() if self.shares else outputs

    @torch.inference_mode()
    def of(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Its outputs, float32 [rows, width], for `inputs` [rows, in_features]."""
        parts = [self(torch.from_numpy(inputs[at : at + 256])).numpy() for at in range(0, len(inputs), 256)]
        return np.concatenate(parts)


def as_trees(model: Any, inputs: NDArray[np.float32]) -> Trees:
    """A fitted forest, or boosting by histograms, of scikit-learn as a layer.

    Of the classes of a forest the layer gives the logarithm of their shares, of others their scores.

    Raises:
        ArtifactError: for `inputs`, [rows, in_features], the layer does not give what the model says.
    """
    forested = hasattr(model, "estimators_")
    shares = forested and hasattr(model, "classes_")
    trees = _forest(model, inputs.shape[1], shares=shares) if forested else _boosting(model, inputs.shape[1])
    said = model.predict_proba(inputs) if hasattr(model, "classes_") else model.predict(inputs)[:, None]
    found = trees.of(inputs)
    if hasattr(model, "classes_"):
        found = torch.softmax(torch.from_numpy(found), 1).numpy()
    difference = float(np.abs(found - said).max())
    if not difference <= TOLERANCE:
        raise ArtifactError(
            "trees as a layer of a network do not give what scikit-learn says",
            expected=f"within {TOLERANCE:g}",
            found=f"{difference:g} apart",
            remedy=f"report it with the version of scikit-learn, {sklearn.__version__}",
        )
    return trees


def _forest(model: Any, in_features: int, *, shares: bool) -> Trees:
    number = len(model.estimators_)
    tables = [_of_forest(estimator.tree_, number, shares=shares) for estimator in model.estimators_]
    return Trees(tables, np.zeros(tables[0].value.shape[1], np.float32), in_features, shares=shares)


def _of_forest(tree: Any, number: int, *, shares: bool) -> Table:
    value = tree.value[:, 0, :]  # [nodes, width]
    if shares:
        value = value / value.sum(1, keepdims=True)
    value = (value / number).astype(np.float32)
    return _table(tree.feature, tree.threshold, tree.children_left, tree.children_right, value)


def _boosting(model: Any, in_features: int) -> Trees:
    """Where the model has one score for two classes, both outputs have half of it, as softmax wants them."""
    # Private, and all that there is: what comes out is compared with what the model says.
    rounds, base = model._predictors, model._baseline_prediction.reshape(-1).astype(np.float32)  # noqa: SLF001
    signs = np.eye(len(base), dtype=np.float32)
    if len(base) == 1 and len(getattr(model, "classes_", ())) == 2:
        signs = np.array([[-0.5, 0.5]], dtype=np.float32)
    tables = [
        _of_boosting(predictor.nodes, signs[output])
        for round_ in rounds
        for output, predictor in enumerate(round_)
    ]
    return Trees(tables, base @ signs, in_features)


def _of_boosting(nodes: Any, sign: NDArray[np.float32]) -> Table:
    leaf = nodes["is_leaf"].astype(bool)
    left, right = (np.where(leaf, -1, nodes[side].astype(np.int64)) for side in ("left", "right"))
    value = nodes["value"].astype(np.float32)[:, None] * sign
    return _table(nodes["feature_idx"], nodes["num_threshold"], left, right, value)


def _table(feature: Any, threshold: Any, left: Any, right: Any, value: NDArray[np.float32]) -> Table:
    itself = np.arange(len(left))
    return Table(
        np.maximum(feature, 0).astype(np.int64),
        np.asarray(threshold, dtype=np.float64),
        np.where(left < 0, itself, left).astype(np.int64),
        np.where(right < 0, itself, right).astype(np.int64),
        value,
    )


def _depth(table: Table) -> int:
    """Questions on the longest way from the root to a leaf."""
    level, depth = np.zeros(1, dtype=np.int64), 0
    while len(level := level[table.left[level] != level]):
        level, depth = np.concatenate([table.left[level], table.right[level]]), depth + 1
    return depth


def _not_above(threshold: NDArray[np.float64]) -> NDArray[np.float32]:
    """In float32 the same question of a float32 number: the next one below where rounding went up."""
    rounded = threshold.astype(np.float32)
    return np.where(rounded > threshold, np.nextafter(rounded, np.float32(-np.inf)), rounded)
