"""What a candidate is judged by, what it must reach, and how it is put into use."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lakeloop.spec.base import NOTHING, RELEASE, Identifier, Mark, Section, text_like

SmokeText = Annotated[str, text_like(r"\S", "a text that is not blank")]


class SmokeRow(Section):
    """A row with more than a text, as requests to the model server have it."""

    text: Annotated[SmokeText, NOTHING]
    text_pair: Annotated[SmokeText | None, NOTHING] = None
    features: Annotated[dict[str, float | str | None], NOTHING] = Field(default_factory=dict)
    """Values of the columns beside the text, by their names in the loop file."""


METRIC = Mark(("weights", "scores", "release"), per_run=True)


class Evaluate(Section):
    metric: Annotated[Identifier | None, METRIC] = None
    """The score that epochs and candidates are ordered by and the gate judges. Default: the first of the
    task's metrics (macro_f1 for classification, mae for regression)."""


class Gate(Section):
    min_score: Annotated[float | None, RELEASE] = None
    """A candidate that is worse than this is refused: below it, or above it where less is better (mae).
    Default: 0.8 for macro_f1 and accuracy, 0 for r2, none for others."""
    max_regression: Annotated[float | None, RELEASE] = Field(default=None, ge=0)
    """A candidate that is worse than the champion by more than this is refused; a share of the champion's
    score for metrics in the unit of the target (mae, rmse). Default: 0.01."""


class Deploy(Section):
    smoke_texts: Annotated[tuple[SmokeText | SmokeRow, ...], NOTHING] = ()
    """Texts that are sent to the server after each roll-out; the answers are shown and recorded. Where the
    model reads more than a text: sections with `text`, `text_pair` and `features`."""

    @property
    def rows(self) -> tuple[SmokeRow, ...]:
        """The texts as rows."""
        return tuple(SmokeRow(text=row) if isinstance(row, str) else row for row in self.smoke_texts)
