"""Why a record was not converted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

PARSE_ERROR = "DataFormatConversion.ParseError"
MALFORMED_DATA = "DataFormatConversion.MalformedData"
"""Firehose's two error codes for a record (Firehose developer guide, "Error handling for data format conversion")."""

DAMAGED = "DataWarehouse.DamagedJournal"
CRASHED = "DataWarehouse.ConversionCrashed"
"""Ours: acknowledged bytes that are not what was written, and a record at which the converting process died."""

MESSAGE = (
    r"(?s)^(?:Data does not match the schema|Encountered malformed JSON)\. "
    r"(?:Column '(.*?)': e|E)xpected (.*?), got (.*)\.$"
)
"""A regular expression, for Python and Athena, of the messages of reasons: column, expected, received."""

EXCERPT_CHARACTERS = 100


@dataclass(slots=True)
class Reason:
    """Why a record cannot be converted.

    code: PARSE_ERROR or MALFORMED_DATA; expected, received: what the column accepts and what it got; column: the path
    of the value at fault, e.g. "device.width" or "tags[]", empty if it is the record as a whole.
    """

    code: str
    expected: str
    received: str
    column: str = ""

    @property
    def message(self) -> str:
        """One sentence, beginning as Firehose's messages do."""
        if self.code == PARSE_ERROR:
            return f"Encountered malformed JSON. Expected {self.expected}, got {self.received}."
        place = f"Column '{self.column}': expected" if self.column else "Expected"
        return f"Data does not match the schema. {place} {self.expected}, got {self.received}."


def counted_causes(reasons: Iterable[Reason]) -> dict[str, int]:
    """How many of the rejects have the same cause: a code and, after a space, a column.

    Keys of maps are left out, since they come from producers; so a table has no more causes than its columns allow.
    """
    causes: Counter[str] = Counter()
    for (code, column), count in Counter((reason.code, reason.column) for reason in reasons).items():
        path, bracket, _ = column.partition("[")
        causes[f"{code} {path}{bracket and '[]'}".rstrip()] += count
    return dict(causes)


class Reject(Exception):
    """Raised where the reason is found, with its code and with what was expected and received; caught once for each
    record. Only the reason is kept, without a traceback."""

    column = ""

    @property
    def reason(self) -> Reason:
        code, expected, received = self.args
        return Reason(code, expected, received, self.column)

    def within(self, name: str) -> Reject:
        """This reject with its path extended by the value that encloses it."""
        inner = self.column
        self.column = f"{name}{'.' if inner and not inner.startswith('[') else ''}{inner}"
        return self


def excerpt(text: str) -> str:
    """`text`, cut to a readable length."""
    return text if len(text) <= EXCERPT_CHARACTERS else f"{text[:EXCERPT_CHARACTERS]}... ({len(text)} characters)"
