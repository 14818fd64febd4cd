"""The seam of a kind of task: everything else speaks of answers, outcomes and profiles only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, TypeAlias

from pydantic import ConfigDict, Field, JsonValue

from lakeloop.records import Frozen

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from lakeloop.measures.base import Outcomes
    from lakeloop.spec.tasks.base import TaskBase
    from lakeloop.tasks.proposing import TaskProposal

    Outputs: TypeAlias = NDArray[Any] | Sequence[NDArray[Any]] | Sequence["Written"]
    """What a network gives: float [rows, width], or of each row float [tokens, width], or a text."""


class Answer(Frozen):
    """What the model says of one row: the server's JSON, and column `answer` of the prediction log.

    Its JSON schema has an example.
    """

    model_config = ConfigDict(use_attribute_docstrings=True)

    @property
    def certainty(self) -> float | None:
        """How sure the model is of the whole answer, a probability; None where it does not say."""
        return None

    @property
    def given(self) -> bool:
        """Whether something is answered; false where it is held back."""
        return True

    @property
    def plain(self) -> Mapping[str, str | float | None]:
        """What of it stands in columns of its own in table `scores`, see `lake.tables.PLAIN`."""
        return {"score": self.certainty}

    def cut(self, most: int) -> Answer:  # noqa: ARG002 - for those that have scores
        """The answer with `most` of its scores, the most probable first, where it has any."""
        return self

    def hidden(self, asked: str, hide: Callable[[str], str]) -> Answer:  # noqa: ARG002 - for those with texts
        """The answer to the text `asked` with all that it tells of it, or that a model wrote, put by `hide`.

        `hide` gives a text of the same length.
        """
        return self

    def weight_of(self, said: Answer) -> float | None:  # noqa: ARG002 - for those that can be weighed
        """How much this answer says what `said` says: a probability, or a number; None: it cannot be told."""
        return None

    def moved(self, back: Callable[[int, int], tuple[int, int]]) -> Answer:  # noqa: ARG002 - for those with places
        """The answer with its places, from and up to a character, where `back` puts them."""
        return self

    def unless_unsure(self, below: float) -> Answer:  # noqa: ARG002 - for those that have a probability
        """The answer, or that there is none: where it is less probable than `below`."""
        return self


class Writing(Frozen):
    """How a language model is asked for a text, and where that ends: all that a base model says of it."""

    prompt: tuple[str, ...] = Field(min_length=2)
    """What stands before the text that is asked, and behind it: its words, special tokens among them."""
    lead: str = ""
    """Stands before each right answer in the training, and is no part of it."""
    ends: tuple[int, ...] = Field(min_length=1)
    """Ids of the tokens that end an answer; the first is learnt."""
    until: str = ""
    """An answer ends before this, too, where it is said."""
    start: int | None = None
    """Id of the token that an answer begins behind, of a model that reads the text apart from writing."""
    pad: int
    """Id that is put where a batch has no token."""
    max_new_tokens: int = Field(ge=1)
    """An answer ends there at the latest, its end among them."""


class OutputContract(Frozen):
    """What a network gives for a row and how an answer is made of it; sealed in the artifact."""

    kind: str
    """Of the task."""
    width: int = Field(ge=1)
    """Numbers that the network gives for each row, or for each of its tokens."""
    names: tuple[str, ...] = ()
    """Of these numbers, where they have one."""
    offset: float = 0.0
    scale: float = 1.0
    """An answer in the unit of the target is offset + scale * output."""
    minimum: float | None = None
    maximum: float | None = None
    """Answers outside are moved to the limit."""
    threshold: float = Field(default=0.5, exclude_if=lambda threshold: threshold == 0.5)
    """Of several answers to a row, those are given whose probability is at least this."""
    per_token: bool = Field(default=False, exclude_if=lambda per_token: not per_token)
    """The network gives its numbers for each token of a row."""
    separator: str = Field(default=",", exclude_if=lambda separator: separator == ",")
    """Stands between several answers in a value of the target's column."""
    unlearnt: tuple[str, ...] = Field(default=(), exclude_if=lambda names: not names)
    """Answers of the task that no training row had: the network has no number for them."""
    writing: Writing | None = Field(default=None, exclude_if=lambda writing: writing is None)
    """The network writes a text, token by token; `width` is the number of tokens that it knows."""


class Written(NamedTuple):
    """A text that a network wrote."""

    text: str
    tokens: int
    """How many it has, its end among them."""
    finished: bool
    """It came to its end before it had to stop."""


class Tokenised(NamedTuple):
    """A text as a network has read it."""

    sent: str
    """As it was asked."""
    text: str
    """After cleaning."""
    offsets: NDArray[Any]
    """int [tokens, 2]: characters of the text from which and up to which each token is; none: the same."""
    words: NDArray[Any]
    """int [tokens]: number of the word that the token is of; -1 where it is of none."""


class Profile(Frozen):
    """How the target is spread over a set of rows: for cards, and for monitoring to compare with."""

    rows: int
    shares: dict[str, float]
    """Share of the rows in each class, or in each interval, 0..1."""
    numbers: dict[str, float] = Field(default_factory=dict)
    """What else is known: `mean`, `deviation`, the `edge/<n>` between intervals."""


class Grid(Frozen):
    """A table for people: a heading for each column, then rows of words and numbers."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[JsonValue, ...], ...]
    kind: str = "table"
    """How a page draws it: `table`, `confusion` or `scatter`."""
    compared: str = ""
    """Of a `table`: the column in which models are compared, row by row; the first column names the row."""
    note: str = ""
    of_rows: bool = False
    """It holds values of rows: it stays in the lake, and no tracker is told."""


class Task(Protocol):
    """One kind of prediction. Made from its section of the loop file by `registry.task_of`."""

    section: TaskBase
    """Of the loop file."""
    kind: ClassVar[str]
    target: ClassVar[str]
    """Column of the mart with the right answer."""
    answer: ClassVar[type[Answer]]
    proposal: ClassVar[TaskProposal]
    """Its part of a loop file that is proposed from data."""
    error: ClassVar[str]
    """What `errors` counts, in a few words for people."""
    right_or_wrong: ClassVar[bool]
    """An answer is right or wrong, and how large its error is says nothing of how wrong it is."""

    def require_known(self, rows: pa.Table, loop: str) -> None:
        """Published rows of the loop must still fit the task, which may have changed since.

        Raises:
            DataError: some do not; says which days to validate again.
        """

    def truths(self, rows: pa.Table) -> list[Any]:
        """The right answer of each of `rows` (columns of the mart), as others take targets: JSON values."""

    def require_learnable(self, targets: Mapping[str, Sequence[Any]], where: str) -> None:
        """Raises DataError when there is nothing to learn from the targets of the splits."""

    def require_comparable(self, before: Sequence[Any], after: Sequence[Any]) -> str:
        """What is missing when only the rows with targets `after` are left of `before`; empty: nothing."""

    def digested(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """What of the task is digested with the rows of a data set, from what the loop file says of it."""

    def profile(self, targets: Sequence[Any]) -> Profile:
        """How the targets of some rows are spread."""

    def contract(self, profile: Profile) -> OutputContract:
        """What a network that was trained on rows of this profile must give."""

    def outcomes(self, answers: Sequence[Answer], targets: Sequence[Any]) -> Outcomes:
        """The answers beside the truth, as arrays that metrics understand."""

    def tables(self, outcomes: Outcomes) -> tuple[Grid, ...]:
        """What a person wants to see of the outcomes beside the scores."""

    def errors(self, answers: Sequence[Answer], targets: Sequence[Any]) -> NDArray[Any]:
        """float64 [rows]: how wrong each answer is, 0 for a right one; the worst are shown first."""

    @staticmethod
    def shown(answer: Answer) -> str:
        """An answer in a few words."""

    def right(self, answer: Answer, target: Any) -> str:
        """The right answer in a few words, with what `answer` says of it where it says something."""

    @staticmethod
    def facts(contract: OutputContract) -> dict[str, JsonValue]:
        """What the model server says of a model of this kind besides what it says of all."""

    @staticmethod
    def decode(contract: OutputContract, outputs: Outputs, read: Sequence[Tokenised] = ()) -> list[Answer]:
        """Answers of `outputs`, one of each row: the half of the task that needs no loop file.

        `read` are the texts of the rows as the network has read them; empty where outputs are of whole rows.
        """

    @staticmethod
    def shares(answers: Sequence[Answer], profile: Profile) -> dict[str, float]:
        """Share of the answers in each class or interval of `profile`, and in classes that it lacks."""

    @staticmethod
    def numbers(answers: Sequence[Answer]) -> dict[str, float]:
        """What else is worth watching of the answers of a day, by name."""
