"""What each field of a sample is: a type, a format of its moments, and how sure that is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

from lakeloop.proposal.doubts import doubts
from lakeloop.proposal.either import settled, sure_format
from lakeloop.proposal.sample import Sample
from lakeloop.records import now
from lakeloop.sources.values import EXACT, parse, since_1970
from lakeloop.spec.columns import ColumnSection, ColumnType
from lakeloop.spec.normal import normalised
from lakeloop.spec.quoting import plain, quote
from lakeloop.spec.tasks.base import in_words
from lakeloop.spec.time_format import EPOCHS

_ENOUGH = 0.98
"""Share of values that must be of a type; the others will be quarantined, and that is said."""
_TRIED = 2_000
MOST_COUNTED = 1_000
"""Values of a column with more different ones are not counted one by one."""
_TIME_FORMATS = (
    "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%m/%d/%y", "%d/%m/%y", "%d.%m.%y",
    "%Y/%m/%d", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%Y", "%d-%b-%y",
)  # fmt: skip
_TIMES = (" %H:%M:%S", " %H:%M", " %I:%M:%S %p", " %I:%M %p", ", %H:%M", ", %I:%M %p", " %H:%M:%S.%f")
_WHOLE_FORMATS = (
    "%a %b %d %H:%M:%S %z %Y",
    "%a, %d %b %Y %H:%M:%S %z",
    "%d %b %Y %H:%M:%S %z",
    "%a %b %d %H:%M:%S %Y",
)
_SAYS_TIME = re.compile(r"(?i)time|date|created|updated|published|received|posted|stamp|(^|_)(ts|at|on)$")
_TYPES_OF_JSON = ("integer", "number", "boolean")
"""What is written as a string where there are such types is a name of digits: "00585", "13859509"."""
_SINCE_1970 = ("epoch_s", "epoch_ms")
_EARLIEST = "1970-01-02"
_ONE_WORD = 1.05
_LONG_TIME = 40
_FIRST_WORDLESS = "\u0e00"
"""Thai is the first script without blanks, in the order of Unicode; Chinese and Japanese come after it."""
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,99})(\.0+)?")
_FIRST_YEAR, _LAST_YEAR = 1990, 2040
"""A number of seconds is taken for a moment only between these."""


@dataclass(frozen=True)
class ProposedColumn:
    """A field, what it is, and why."""

    name: str
    """As the file calls the field."""
    section: ColumnSection
    evidence: str
    """For people: what its values are."""
    filled: float
    """Share of records that have a value."""
    distinct: int
    """Different values in the sample."""
    records: int
    """Different records of the sample: one that is there twice is read once."""
    counts: Counter[Any]
    """Value -> records, of the values as they stand there; only where they are few."""
    words: float
    """Words of a value, on average; 0 for what is no text."""
    odd: bool = False
    """A moment that lies before 1970 or in the future is among its values."""
    doubts: tuple[str, ...] = ()
    """What is also in `evidence`: what only a person can tell of its moments."""
    example: str = ""
    """A value, on one line."""
    wordless: bool = False
    """In a script that has no blanks between words."""

    @property
    def type(self) -> ColumnType:
        return self.section.type

    @property
    def single(self) -> bool:
        """Whether its values are single words: names or answers, and no texts."""
        return self.type == "string" and self.words <= _ONE_WORD and not self.wordless

    @property
    def may_be_time(self) -> bool:
        """Whether its name or its values look like times that are written in some other way."""
        digits = self.type == "string" and re.search(r"[0-9][ T:/.-]+[0-9]", self.example)
        short = len(self.example) <= _LONG_TIME and self.type != "boolean"
        return short and bool(_SAYS_TIME.search(self.name) or digits)

    @property
    def seen(self) -> str:
        """What it is, for an error."""
        return f"{self.name}: {self.type} such as {quote(self.example)}; {self.evidence}"

    @cached_property
    def in_words(self) -> Counter[str]:
        """`counts`, of the values in words as the mart has them; made once, and changed by nobody."""
        found: Counter[str] = Counter()
        for value, times in self.counts.items():
            if word := _in_words(str(value), self.type):
                found[word] += times
        return found


def _in_words(value: str, kind: ColumnType) -> str:
    """An answer as the mart has it in words; empty where it is none."""
    try:
        answer = parse(value if kind == "string" else value.strip(), kind)
    except ValueError:
        return ""
    assert isinstance(answer, str | float | int), "an answer is no moment"
    return normalised(in_words(answer))


def propose_columns(sample: Sample) -> list[ProposedColumn]:
    """A type for each field that can be a column.

    Left out are nested fields, those without any value, and those whose numbers no type takes.
    """
    known: list[tuple[str, list[Any], ColumnSection, float]] = []
    different = len({tuple(str(row.get(field)) for field in sample.fields) for row in sample.rows})
    for field in sample.fields:
        values = sample.values(field)
        if values and not any(isinstance(value, dict | list) for value in values):
            kind = sample.types.get(field)
            section, fitting = (ColumnSection(type=kind), 1.0) if kind else _section(field, values, sample)
            if not fitting:
                continue
            named = sample.has_numbers and all(isinstance(value, str) for value in values)
            if named and section.type in _TYPES_OF_JSON:
                section, fitting = ColumnSection(type="string"), 1.0
            known.append((field, values, section, fitting))
    found = []
    beside = [form for _, values, section, _ in known if (form := sure_format(_some(values), section))]
    for field, values, section, fitting in known:
        taken, why = settled(_some(values), section, beside, sample.named_days)
        filled = len(values) / len(sample.rows)
        found.append(_column(field, values, filled, different, taken, fitting, why))
    return found


def left_out(sample: Sample, columns: Iterable[ProposedColumn]) -> list[str]:
    """The fields that `propose_columns` left out."""
    return [field for field in sample.fields if field not in {column.name for column in columns}]


def nested(sample: Sample) -> dict[str, str]:
    """The fields that hold objects or lists -> such a field with the names of what is in it."""
    found = {}
    for field in sample.fields:
        inner = [value for value in sample.values(field)[:_TRIED] if isinstance(value, dict | list)]
        if inner:
            names = dict.fromkeys(name for value in inner if isinstance(value, dict) for name in value)
            found[field] = f"{field} ({', '.join(map(str, names))})" if names else field
    return found


def _column(
    name: str,
    values: Sequence[Any],
    filled: float,
    records: int,
    section: ColumnSection,
    fitting: float,
    why: str,
) -> ProposedColumn:
    """`why`: what told the month of its days."""
    distinct = Counter(map(_hashable, values))
    # Cut off, not rounded: one empty field of a thousand is said.
    parts = [f"{int(filled * 100)}% filled", f"{len(distinct)} different"]
    if fitting < 1:
        parts.append(f"{1 - fitting:.1%} are no {section.type} and will be quarantined")
    tried = _some(values)
    span, odd = _span(tried, section)
    if span:
        parts.append(span)
    doubtful = tuple(doubts(tried, section, why))
    parts += doubtful
    words = [len(str(value).split()) for value in values] if section.type == "string" else [0]
    return ProposedColumn(
        name,
        section,
        ", ".join(parts),
        filled,
        len(distinct),
        records,
        distinct if len(distinct) <= MOST_COUNTED else Counter(),
        sum(words) / len(words),
        odd,
        doubtful,
        plain(str(values[0]), _LONG_TIME),
        any(char >= _FIRST_WORDLESS for value in tried[:20] for char in str(value)),
    )


def _some(values: Sequence[Any]) -> Sequence[Any]:
    """Some of many, in their order."""
    return values[:: max(len(values) // _TRIED, 1)]


def _span(values: Sequence[Any], section: ColumnSection) -> tuple[str, bool]:
    """From which day to which, and whether that can hardly be; for moments only."""
    if section.type not in ("timestamp", "date"):
        return "", False
    days = sorted({day for value in values if (day := _day(value, section))})
    if not days:
        return "", False
    odd = days[0] < _EARLIEST or days[-1] > (now() + timedelta(days=1)).date().isoformat()
    return f"{days[0]} to {days[-1]}", odd


def _day(value: Any, section: ColumnSection) -> str:
    try:
        if isinstance(value, str):
            value = parse(value.strip(), section.type, section.named("x").moments)
        elif isinstance(value, int | float | Decimal):
            value = since_1970(int(value), EPOCHS.get(section.format or "", 1))
    except ValueError:
        return ""
    return str(value)[: len("2026-11-20")]


def _hashable(value: Any) -> Any:
    # True and 1 are one key of a dict.
    return str(value).lower() if isinstance(value, bool) else value


def _section(name: str, values: Sequence[Any], sample: Sample) -> tuple[ColumnSection, float]:
    """The column, and the share of values that are of its type; 0 where no type takes them."""
    tried = _some(values)
    if not all(isinstance(value, str) for value in tried):
        return _typed(name, tried, sample)
    texts = [value.strip() for value in tried if value.strip()]
    for kind, form in _candidates(name, texts):
        if not any(_is(text, kind, form) for text in texts[:10]):
            continue
        share = sum(_is(text, kind, form) for text in texts) / len(texts)
        if share >= _ENOUGH:
            return ColumnSection(type=kind, format=form), share
    return ColumnSection(type="string"), 1.0


def _candidates(name: str, texts: Sequence[str]) -> Iterable[tuple[ColumnType, str | None]]:
    """Types and formats to try, the likeliest first; none for texts that are plainly words."""
    if not texts or sum(map(len, texts)) / len(texts) > 40 or not any(c.isdigit() for c in texts[0]):
        if texts and {text.lower() for text in texts} <= {"true", "false"}:
            yield "boolean", None
        return
    if any(re.fullmatch(r"0[0-9]+", text) for text in texts):
        return  # a number with a zero before it is a name
    if all(map(_WHOLE.fullmatch, texts)):
        if _SAYS_TIME.search(name):
            yield from (("timestamp", form) for form in _SINCE_1970)
        yield "integer", None
        return
    if _SAYS_TIME.search(name) and all(re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) for text in texts[:10]):
        yield from (("timestamp", form) for form in _SINCE_1970)
    # A word among whole numbers makes no number of them, nor does anything where one would be rounded.
    rounds = any(abs(int(text.partition(".")[0])) > EXACT for text in texts if _WHOLE.fullmatch(text))
    if rounds or not any(_is(text, "number", None) for text in texts if not _WHOLE.fullmatch(text)):
        yield "integer", None
    if not rounds:
        yield "number", None
    yield "date", None
    yield "timestamp", None
    yield from (("timestamp", form) for form in _WHOLE_FORMATS)
    for day in _TIME_FORMATS:
        yield "date", day
        yield from (("timestamp", day + time) for time in _TIMES)


def _is(text: str, kind: ColumnType, form: str | None) -> bool:
    written = ColumnSection(type=kind, format=form).named("x").moments
    try:
        value = parse(text, kind, written)
    except ValueError:
        return False
    if form in EPOCHS:
        assert isinstance(value, datetime)
        return _FIRST_YEAR <= value.year <= _LAST_YEAR
    return True


def _typed(name: str, values: Sequence[Any], sample: Sample) -> tuple[ColumnSection, float]:
    """As `_section`, for values that have types: of JSON or Parquet."""
    kinds = Counter(_kind_of(value) for value in values)
    kind, times = kinds.most_common(1)[0]
    # JSON alone has seconds with a fraction: those of Parquet are no moments to ingest.
    countable = {"integer", "number"} if sample.has_numbers and sample.format != "parquet" else {"integer"}
    if kind in countable and _SAYS_TIME.search(name):
        numbers = [value for value in values if _kind_of(value) in countable]
        for form in _SINCE_1970:
            if all(_plausible(value, EPOCHS[form]) for value in numbers):
                return ColumnSection(type="timestamp", format=form), len(numbers) / len(values)
    if set(kinds) <= {"integer", "number"} and "integer" in kinds:
        return _whole_numbers(values)
    return ColumnSection(type=kind), times / len(values)


def _whole_numbers(values: Sequence[Any]) -> tuple[ColumnSection, float]:
    """Of numbers some of which are whole: integers where all are, or where a number would round some."""
    fitting = [value for value in values if value == value // 1 and -(2**63) <= value < 2**63]
    share = len(fitting) / len(values)
    if share == 1:
        return ColumnSection(type="integer"), 1.0
    if any(isinstance(value, int) and abs(value) > EXACT for value in values):
        return ColumnSection(type="integer"), share if share >= _ENOUGH else 0.0
    return ColumnSection(type="number"), 1.0


def _plausible(value: float | Decimal, unit: int) -> bool:
    try:
        number = value if isinstance(value, int) else str(value)
        return _FIRST_YEAR <= since_1970(number, unit).year <= _LAST_YEAR
    except ValueError:
        return False


def _kind_of(value: Any) -> ColumnType:
    if isinstance(value, Decimal):
        # decimal(18,0) is how some databases have whole numbers.
        exponent = value.as_tuple().exponent
        return "integer" if isinstance(exponent, int) and exponent >= 0 else "number"
    kinds: tuple[tuple[type, ColumnType], ...] = (
        (bool, "boolean"), (int, "integer"), (float, "number"), (datetime, "timestamp"), (date, "date"),
    )  # fmt: skip
    return next((kind for of, kind in kinds if isinstance(value, of)), "string")
