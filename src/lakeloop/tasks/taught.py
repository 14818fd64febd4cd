"""What a network is taught where the training rows lack some answers, and the rows that can judge it then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakeloop.spec.tasks.base import TaskBase, parts_of
from lakeloop.tasks.base import OutputContract, Profile

if TYPE_CHECKING:
    import pyarrow as pa

OUTSIDE = "O"
"""Tag of a word that is in nothing."""


def taught(contract: OutputContract, profile: Profile, section: TaskBase) -> OutputContract:
    """The contract of a network that learns from training rows of this profile: answers without rows are out.

    As it is where every answer has rows, where none has, and for tasks whose answers are numbers or texts.
    """
    missing = tuple(name for name in section.asked_for if not profile.shares.get(name))
    if not missing or len(missing) == len(section.asked_for):
        return contract
    kind = (lambda name: name[2:]) if contract.per_token else str
    names = tuple(name for name in contract.names if kind(name) not in missing)
    return contract.model_copy(update={"names": names, "width": len(names), "unlearnt": missing})


def known_rows(rows: pa.Table, contract: OutputContract, section: TaskBase) -> pa.Table:
    """`rows` without answers that a network of this contract does not have.

    Where a row has one answer it is left out, else the others of its answers stay.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    target = section.target
    if not contract.unlearnt:
        return rows
    if section.classes:
        return rows.filter(pc.invert(pc.is_in(rows[target], value_set=pa.array(contract.unlearnt))))
    separator = " " if contract.per_token else contract.separator

    def rest(value: str | None) -> str | None:
        if value is None or not contract.per_token:
            parts = [part for part in parts_of(value or "", separator) if part not in contract.unlearnt]
            return separator.join(parts) or None
        return " ".join(OUTSIDE if tag[2:] in contract.unlearnt else tag for tag in value.split())

    values = pa.array(map(rest, rows[target].to_pylist()), rows[target].type)
    return rows.set_column(rows.column_names.index(target), target, values)
