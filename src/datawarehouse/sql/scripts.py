"""A text of several statements, taken apart at its semicolons; each keeps its place in the text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_ATHENA = re.compile(r"""--[^\n]*|/\*|'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|['"`;]""", re.DOTALL)
_REDSHIFT = re.compile(r"""--[^\n]*|/\*|'(?:[^'\\]|\\.|'')*'|"(?:[^"]|"")*"|\$\$.*?\$\$|['";]""", re.DOTALL)

_WORD = re.compile(r"\S")
_PLACE = re.compile(r"\bline ([0-9]+):([0-9]+)")


@dataclass(frozen=True, slots=True)
class Part:
    """One statement, without its semicolon. line, column: where its first word is, counted from 1."""

    text: str
    line: int
    column: int

    def placed(self, line: int, column: int) -> tuple[int, int]:
        """A place of the statement as one of the whole text."""
        return self.line + line - 1, column + (self.column - 1 if line == 1 else 0)

    def told(self, message: str) -> str:
        """A message whose places, such as `line 3:14`, are of the statement, with those of the whole text."""
        return _PLACE.sub(lambda found: "line {}:{}".format(*self.placed(int(found[1]), int(found[2]))), message)


def statements(sql: str, *, of_redshift: bool = False) -> list[Part]:
    """The statements of `sql` that are more than comments. of_redshift: a backslash escapes in its texts, `$$` quotes,
    and comments nest."""
    found, lines = [], _Lines(sql)
    at = 0
    first: int | None = None
    word = _REDSHIFT if of_redshift else _ATHENA
    while at < len(sql):
        match = word.search(sql, at)
        start = match.start() if match else len(sql)
        if first is None and (plain := _WORD.search(sql, at, start)):
            first = plain.start()
        if match is None:
            break
        at = match.end()
        if match[0] == "/*":
            at = _end_of_comment(sql, at, nested=of_redshift)
        elif match[0] == ";":
            if first is not None:
                found.append(lines.part(first, start))
            first = None
        elif not match[0].startswith("--"):
            first = start if first is None else first
            if len(match[0]) == 1:  # a quote that nothing closes
                at = len(sql)
    if first is not None:
        found.append(lines.part(first, len(sql)))
    return found


ENDED, OPEN, QUOTED = "ended", "open", "quoted"


def ending(sql: str) -> str:
    """How a text of Athena SQL ends that somebody types: ENDED by a semicolon, QUOTED in a quote or a comment that
    nothing closes yet, or OPEN, where more may follow."""
    at, found = 0, OPEN
    while match := _ATHENA.search(sql, at):
        if _WORD.search(sql, at, match.start()):
            found = OPEN
        at = match.end()
        if match[0] == "/*":
            at = sql.find("*/", at) + 2
            if at == 1:
                return QUOTED
        elif match[0] == ";":
            found = ENDED
        elif not match[0].startswith("--"):
            found = OPEN
            if len(match[0]) == 1:
                return QUOTED
    return OPEN if _WORD.search(sql, at) else found


def quoted_texts(sql: str) -> Iterator[str]:
    """The texts of a statement of Redshift, as they are written, with their quotes."""
    at = 0
    while match := _REDSHIFT.search(sql, at):
        at = _end_of_comment(sql, match.end(), nested=True) if match[0] == "/*" else match.end()
        if match[0].startswith("'"):
            yield match[0]


def _end_of_comment(sql: str, at: int, *, nested: bool) -> int:
    depth = 1
    for match in re.compile(r"/\*|\*/").finditer(sql, at):
        depth += (1 if nested else 0) if match[0] == "/*" else -1
        if depth == 0:
            return match.end()
    return len(sql)


class _Lines:
    """Line and column of places that come in their order, so that a long text is counted once."""

    def __init__(self, sql: str) -> None:
        self._sql = sql
        self._at, self._line = 0, 1

    def part(self, start: int, end: int) -> Part:
        self._line += self._sql.count("\n", self._at, start)
        self._at = start
        return Part(self._sql[start:end].rstrip(), self._line, start - self._sql.rfind("\n", 0, start))
