"""A text gets a number: answers in the unit of the target, scores by their errors, residuals by slice."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, JsonValue

from lakeloop.errors import DataError
from lakeloop.measures.base import Outcomes
from lakeloop.spec import tasks as spec
from lakeloop.spec.quoting import scalar
from lakeloop.spec.tasks.base import ANSWER_NAMES
from lakeloop.tasks.base import Answer, Grid, OutputContract, Profile, Tokenised
from lakeloop.tasks.proposing import SeenColumn, TaskProposal

if TYPE_CHECKING:
    import pyarrow as pa

    from lakeloop.tasks.base import Outputs

_NAMES = rf"{ANSWER_NAMES}|score|rating|stars|valence|value|price|amount"
"""How columns with numbers to predict are called."""
_SLICES = 10
_POINTS = 400
"""Rows that a scatter shows, spread evenly over the sorted truth."""


class Value(Answer):
    """One number."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"value": 3.5}]})

    value: float
    """In the unit of the target."""

    @property
    def plain(self) -> Mapping[str, str | float | None]:
        return {"value": self.value}

    def weight_of(self, said: Answer) -> float | None:  # noqa: ARG002 - a number is weighed by itself
        return self.value


class Proposed:
    """Numbers; whole ones where their name says that they measure something."""

    def fit(self, column: SeenColumn, *, named: bool = False) -> float:
        taken = {"number": 1.0, "integer": 0.5}.get(column.type, 0.0)
        if named:
            return taken
        says = re.search(_NAMES, column.name, re.IGNORECASE)
        if column.filled < 0.5 or column.distinct < 2 or not says:
            return 0
        return 0.9 * taken * column.filled

    def answers(self, column: SeenColumn) -> Counter[str]:  # noqa: ARG002 - they are as many as records
        return Counter()

    def unknown(self, column: SeenColumn) -> int:  # noqa: ARG002 - every number is known
        return 0

    def keys(self, column: SeenColumn, remark: str) -> Iterator[str]:
        yield f"value: {scalar(column.name)}{remark}"

    def gate(self) -> Iterator[str]:
        yield "evaluate:"
        yield "  metric: r2 # or mae, rmse (less is better), spearman"
        yield "gate:"
        yield "  min_score: 0.1 # R² on held-out rows; 0 is what answering the mean would reach"


class Regression:
    """The task of a loop whose texts get numbers."""

    kind: ClassVar[str] = "regression"
    target: ClassVar[str] = spec.Regression.target
    answer: ClassVar[type[Answer]] = Value
    proposal: ClassVar[TaskProposal] = Proposed()
    error: ClassVar[str] = "absolute error"
    right_or_wrong: ClassVar[bool] = False

    def __init__(self, section: spec.Regression) -> None:
        self.section = section
        self.minimum, self.maximum = section.minimum, section.maximum

    def require_known(self, rows: pa.Table, loop: str) -> None:
        values = np.asarray(rows["target"].to_numpy(), dtype=np.float64)
        low = -np.inf if self.minimum is None else self.minimum
        high = np.inf if self.maximum is None else self.maximum
        outside = ~((values >= low) & (values <= high))
        if not outside.any():
            return
        days = sorted({day for day, out in zip(rows["partition"].to_pylist(), outside, strict=True) if out})
        raise DataError(
            "published rows have values outside of the task's limits",
            where=f"{loop} mart, {len(days)} day(s), {days[0]}..{days[-1]}",
            expected=f"values from {low:g} to {high:g}",
            found=f"{int(outside.sum())} rows from {values[outside].min():g} to {values[outside].max():g}",
            remedy=f"validate these days again (lakeloop validate {loop} --partition {days[0]}),"
            " or widen task.minimum and task.maximum",
        )

    def truths(self, rows: pa.Table) -> list[Any]:
        found: list[Any] = rows[self.target].to_pylist()
        return found

    def require_learnable(self, targets: Mapping[str, Sequence[Any]], where: str) -> None:
        learnt = set(targets["train"])
        if len(learnt) < 2:
            raise DataError(
                "nothing to learn: the training rows have one value",
                where=where,
                expected="at least two values",
                found=", ".join(f"{value:g}" for value in learnt),
                remedy="publish more partitions, or change split in the loop file",
            )

    def require_comparable(self, before: Sequence[Any], after: Sequence[Any]) -> str:
        return "" if len(after) >= 2 or len(before) < 2 else "fewer than two rows"

    def digested(self, said: Mapping[str, Any]) -> dict[str, Any]:
        return {"task": dict(said)}

    def profile(self, targets: Sequence[Any]) -> Profile:
        values = np.asarray(targets, dtype=np.float64)
        edges = np.unique(np.quantile(values, np.linspace(0, 1, _SLICES + 1))) if len(values) else np.zeros(1)
        numbers = {f"edge/{n}": float(edge) for n, edge in enumerate(edges)}
        if len(values):
            numbers |= {"mean": float(values.mean()), "deviation": float(values.std())}
        return Profile(rows=len(values), shares=_shares(values, edges), numbers=numbers)

    def contract(self, profile: Profile) -> OutputContract:
        # The network learns a number around 0 of size 1; the answer is in the unit of the target again.
        return OutputContract(
            kind=self.kind,
            width=1,
            offset=profile.numbers["mean"],
            scale=profile.numbers["deviation"] or 1.0,
            minimum=self.minimum,
            maximum=self.maximum,
        )

    @staticmethod
    def decode(
        contract: OutputContract,
        outputs: Outputs,
        read: Sequence[Tokenised] = (),  # noqa: ARG004
    ) -> list[Answer]:
        outputs = np.asarray(outputs, dtype=np.float64)
        values = contract.offset + contract.scale * outputs[:, 0]
        values = np.clip(
            values,
            -np.inf if contract.minimum is None else contract.minimum,
            np.inf if contract.maximum is None else contract.maximum,
        )
        return [Value.model_construct(value=value) for value in values.tolist()]

    def outcomes(self, answers: Sequence[Answer], targets: Sequence[Any]) -> Outcomes:
        values = np.array([_value(answer) for answer in answers], dtype=np.float64)
        return Outcomes(np.asarray(targets, dtype=np.float64), values, values[:, None])

    def tables(self, outcomes: Outcomes) -> tuple[Grid, ...]:
        order = np.argsort(outcomes.truth, kind="stable")
        shown = order[np.linspace(0, len(order) - 1, min(_POINTS, len(order))).astype(np.int64)]
        return (
            Grid(
                title="Truth and answer",
                kind="scatter",
                columns=("truth", "answer"),
                rows=tuple((float(outcomes.truth[n]), float(outcomes.answer[n])) for n in shown),
                note="Each dot is a test row; on the line truth and answer are equal.",
            ),
            Grid(
                title="Residuals by slice",
                columns=("truth from", "to", "rows", "mean residual", "mean absolute error"),
                rows=tuple(
                    _residuals(outcomes, part) for part in np.array_split(order, _SLICES) if len(part)
                ),
                compared="mean absolute error",
                note="Residual: answer less truth. Slices of equally many rows, by the truth.",
            ),
        )

    def errors(self, answers: Sequence[Answer], targets: Sequence[Any]) -> NDArray[Any]:
        found = self.outcomes(answers, targets)
        return np.asarray(np.abs(found.answer - found.truth))

    @staticmethod
    def shown(answer: Answer) -> str:
        return f"{_value(answer):.4g}"

    def right(self, answer: Answer, target: Any) -> str:  # noqa: ARG002 - other tasks need the answer
        return f"{target:.4g}"

    @staticmethod
    def facts(contract: OutputContract) -> dict[str, JsonValue]:  # noqa: ARG004 - others have some
        return {}

    @staticmethod
    def shares(answers: Sequence[Answer], profile: Profile) -> dict[str, float]:
        edges = [value for name, value in profile.numbers.items() if name.startswith("edge/")]
        return _shares(np.array([_value(answer) for answer in answers]), np.array(edges))

    @staticmethod
    def numbers(answers: Sequence[Answer]) -> dict[str, float]:
        values = np.array([_value(answer) for answer in answers])
        return {"mean": float(values.mean()), "deviation": float(values.std())} if len(values) else {}


def _value(answer: Answer) -> float:
    assert isinstance(answer, Value)
    return answer.value


def _residuals(outcomes: Outcomes, part: NDArray[np.int64]) -> tuple[Any, ...]:
    truth, residual = outcomes.truth[part], outcomes.answer[part] - outcomes.truth[part]
    return (
        float(truth.min()),
        float(truth.max()),
        len(part),
        float(residual.mean()),
        float(np.abs(residual).mean()),
    )


def _shares(values: NDArray[np.float64], edges: NDArray[np.float64]) -> dict[str, float]:
    """Share of `values` in each interval between `edges`; those outside count to the nearest one."""
    if len(edges) < 2 or not len(values):
        return {}
    inside = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    counts = np.bincount(inside, minlength=len(edges) - 1)
    return dict(zip(_intervals(edges), (counts / len(values)).tolist(), strict=True))


def _intervals(edges: NDArray[np.float64]) -> list[str]:
    """Names of what lies between different `edges`, with as few digits, from four on, as keep them apart."""
    told: list[str] = []
    for digits in range(4, 18):  # 17 digits tell any two floats apart
        told = [f"{edge:.{digits}g}" for edge in edges]
        if len(set(told)) == len(told):
            break
    return [f"{low} to {high}" for low, high in itertools.pairwise(told)]
