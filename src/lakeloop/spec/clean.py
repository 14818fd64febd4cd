"""How rows are cleaned, on their way into the mart and on their way to a model."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from lakeloop.spec.base import Mark, Section, text_like
from lakeloop.spec.languages import LANGUAGES
from lakeloop.spec.rules import Broken, refuse_broken

PersonalKind = Literal["mail", "iban", "card", "ip", "account", "phone"]
"""What `lakeloop.cleaning.personal.registry` knows."""
LengthUnit = Literal["characters", "words"]
"""Words are what stands between white space."""
_TEXT = Mark(("built", "weights"))


class TextLength(Section):
    """How long texts may be, in the column `task.text`, after all other steps. Without a key: any length.

    It takes rows out and changes no text, so that a request is answered whatever its length.
    """

    unit: Annotated[LengthUnit, Mark(("mart", "dataset"))] = "characters"
    """Of all three."""
    min: Annotated[int, Mark(("mart",))] = Field(default=0, ge=0)
    """A row with a shorter text is quarantined."""
    max: Annotated[int | None, Mark(("mart",))] = Field(default=None, ge=1)
    """A row with a longer text is quarantined."""
    outliers: Annotated[float | None, Mark(("dataset",))] = Field(default=None, ge=1, le=20)
    """Without a number of your own for a length: texts that are unusual among all that are published are left
    out of the training rows, those whose logarithm of the length is more than so many standard deviations,
    told robustly, from the median. 4 takes the few that hardly belong to the others. The mart, validation and
    test rows keep them."""

    @property
    def bounded(self) -> bool:
        """Whether rows are quarantined for it."""
        return self.min > 0 or self.max is not None

    def leaves_out(self, text: str) -> bool:
        """Whether a row with this text would be quarantined."""
        # Python's white space has five separators more than Unicode's, which no text of people has.
        found = len(text.split()) if self.unit == "words" else len(text.strip())
        return found < self.min or (self.max is not None and found > self.max)

    @model_validator(mode="after")
    def _some_length_can_pass(self) -> Self:
        if self.max is not None and self.max < self.min:
            refuse_broken([Broken("max", "no length can pass", f"at least min ({self.min})", str(self.max))])
        return self


class Clean(Section):
    """Steps that texts go through, in this order, in the lake and again in front of a model."""

    invisible: Annotated[bool, _TEXT] = False
    """Take out what nobody sees: soft hyphens, zero-width blanks, marks of direction, control characters,
    tags. White space and the joiners that spell words and emoji stay."""
    normalise: Annotated[bool, _TEXT] = True
    """Unicode NFC, trimmed, runs of white space made one space."""
    mask: Annotated[tuple[PersonalKind, ...], _TEXT] = ()
    """What identifies a person gets the name of its kind in its place: [mail], [iban], [card], [ip],
    [account] (British, with a sort code or the word before it), [phone].
    Where answers are words of the text, each letter and digit of it becomes # instead.
    Raw rows stay as they were delivered."""
    phone_region: Annotated[
        str | None, _TEXT, text_like(r"^[A-Z]{2}$", "a country in two capital letters: GB")
    ] = Field(default=None)
    """Country whose phone numbers are masked when they are written without + and country; without it only
    those that begin with + are."""
    language: Annotated[bool, Mark(("built",))] = False
    """Tag each row with the language of its text, in column `language` of the mart (ISO 639: en, de; `und`
    for a text too short to tell), for checks, for slices of the evaluation, for your own SQL."""
    languages: Annotated[tuple[str, ...], Mark(("built", "mart"))] = ()
    """Languages that texts may be in; a row in another one is quarantined, one too short to tell is not."""
    length: TextLength = Field(default=TextLength())
    drop_near_duplicates: Annotated[bool, Mark(("built", "mart"))] = True
    """Of the good rows of a day whose texts differ only in case, white space and the punctuation between
    words, keep the first. Letters, numbers, symbols, emoji and signs such as # % @ / count: C, C++ and C#
    are three texts, and so are 1.50, 150 and -150."""

    drop_similar: Annotated[float | None, Mark(("dataset",)), Field(gt=0, le=1)] = None
    """Leave a text out of data sets when the pairs of neighbouring words that it shares with an earlier one,
    of its day or a day before, are at least this share of all pairs in the two (Jaccard); 0.7 finds texts in
    which a few words were changed. The mart keeps it. None: only near-duplicates are left out."""

    @property
    def tags_language(self) -> bool:
        """Whether the mart has the column `language`."""
        return self.language or bool(self.languages)

    @model_validator(mode="after")
    def _languages_can_be_told(self) -> Self:
        wanted, known = "codes of ISO 639, such as en, de or zh", tuple(sorted(LANGUAGES))
        refuse_broken(
            [
                Broken(f"languages.{number}", "no language that texts are told to be in", wanted, name, known)
                for number, name in enumerate(self.languages)
                if name not in LANGUAGES
            ]
        )
        return self

    @model_validator(mode="after")
    def _is_a_country_of_phones(self) -> Self:
        if self.phone_region is None:
            return self
        if "phone" not in self.mask:
            wanted = "clean.mask with phone, or no phone_region"
            refuse_broken([Broken("phone_region", "no phone numbers are masked", wanted, self.phone_region)])
        from phonenumbers import SUPPORTED_REGIONS

        if self.phone_region not in (known := SUPPORTED_REGIONS):
            wanted = "two letters of ISO 3166, such as GB, US or DE"
            message = "no country whose phone numbers are known"
            refuse_broken([Broken("phone_region", message, wanted, self.phone_region, tuple(sorted(known)))])
        return self
