"""A text of several statements, taken apart at its semicolons; each keeps its place in the text."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ATHENA = re.compile(r"""--[^\n]*|/\*|'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|['"`;]""", re.DOTALL)
_REDSHIFT = re.compile(r"""--[^\n]*|/\*|'(?:[^'\\]|\\.|'')*'|"(?:[^"]|"")*"|\$\$.*?\$\$|['";]""", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Part:
    """One statement, without its semicolon. line, column: where its first word is, counted from 1."""

    text: str
    line: int
    column: int

    @property
    def in_place(self) -> str:
        """The statement behind as many blank lines and blanks as precede it, so that an error's place is that of the
        whole text."""
        return "\n" * (self.line - 1) + " " * (self.column - 1) + self.text


def statements(sql: str, *, of_redshift: bool = False) -> list[Part]:
    """The statements of `sql` that are more than comments. of_redshift: a backslash escapes in its texts, `$$` quotes,
    and comments nest."""
    found = []
    at = 0
    first: int | None = None
    word = _REDSHIFT if of_redshift else _ATHENA
    while at < len(sql):
        match = word.search(sql, at)
        start = match.start() if match else len(sql)
        if first is None and (plain := re.search(r"\S", sql[at:start])):
            first = at + plain.start()
        if match is None:
            break
        at = match.end()
        if match[0] == "/*":
            at = _end_of_comment(sql, at, nested=of_redshift)
        elif match[0] == ";":
            if first is not None:
                found.append(_part(sql, first, start))
            first = None
        elif not match[0].startswith("--"):
            first = start if first is None else first
            if len(match[0]) == 1:  # a quote that nothing closes
                at = len(sql)
    if first is not None:
        found.append(_part(sql, first, len(sql)))
    return found


def _end_of_comment(sql: str, at: int, *, nested: bool) -> int:
    depth = 1
    for match in re.compile(r"/\*|\*/").finditer(sql, at):
        depth += (1 if nested else 0) if match[0] == "/*" else -1
        if depth == 0:
            return match.end()
    return len(sql)


def _part(sql: str, start: int, end: int) -> Part:
    line = sql.count("\n", 0, start) + 1
    return Part(sql[start:end].rstrip(), line, start - (sql.rfind("\n", 0, start) + 1) + 1)
