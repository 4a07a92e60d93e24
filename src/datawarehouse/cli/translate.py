"""dw translate"""

from __future__ import annotations

import argparse
from collections import Counter
from typing import TYPE_CHECKING

from datawarehouse.cli.output import quantity, remark
from datawarehouse.cli.sql_files import add_files, declared_by, sql_in
from datawarehouse.clock import WallClock
from datawarehouse.errors import QueryRefused

if TYPE_CHECKING:
    from datawarehouse.sql.redshift.translation import Translation
    from datawarehouse.sql.scripts import Part

_BOUNDED = (
    "Bounded by arrival too, so that Athena leaves out the hours before; events that say they happened more than an "
    "hour after they arrived are left out with them:"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--from", dest="dialect", choices=("redshift",), required=True, help="what the statements are in"
    )
    add_files(parser)


def run(arguments: argparse.Namespace) -> int:
    from datawarehouse.query.binding import Binding
    from datawarehouse.sql.redshift.translation import translate
    from datawarehouse.sql.schema import NOTHING_DECLARED
    from datawarehouse.sql.scripts import statements

    declared, now_ms = declared_by(arguments), WallClock().now_ms()
    binding = Binding(declared or NOTHING_DECLARED, now_ms)
    counts: Counter[str] = Counter()
    for path, sql in [(path, sql_in(path)) for path in arguments.files]:
        if len(arguments.files) > 1:
            print(f"{_comment(path)}\n")
        for number, part in enumerate(statements(sql, of_redshift=True), 1):
            found = translate(part.text, declared, binding.planned, now_ms)
            counts[_state(found)] += 1
            print("\n".join([f"-- {number}, line {part.line}: {_state(found)}", *_lines(part, found), ""]))
    listed = ", ".join(f"{number} {state}" for state, number in sorted(counts.items())) or "none"
    remark(f"{quantity(counts.total(), 'statement')}: {listed}")
    return QueryRefused.exit_code if counts[_NEEDS_PERSON] else 0


_NEEDS_PERSON = "needs a person"


def _state(found: Translation) -> str:
    if found.sql is None:
        return _NEEDS_PERSON
    return "translated, not all of it checked" if found.unchecked else "translated"


def _lines(part: Part, found: Translation) -> list[str]:
    if found.sql is not None:
        lines = [f"{found.sql};"]
        lines += [_comment(f"Not checked: {text}.") for text in found.unchecked]
        lines += [_comment(f"Note: {text}.") for text in found.notes]
        return lines + (_comments(_BOUNDED, f"{found.bounded};") if found.bounded else [])
    lines = [_comment(f"Why: {part.told(reason)}") for reason in found.reasons] + _comments("It is:", part.text)
    if found.query is not None:
        lines.append("-- The query in it:")
        inner = [line for text in _lines(part, found.query) for line in text.splitlines()]
        lines += [line if line.startswith("--") else f"--   {line}" for line in inner]
    return lines


def _comment(text: str) -> str:
    """One line, whatever is quoted in it: the output is a file of SQL."""
    return f"-- {' '.join(text.splitlines())}"


def _comments(head: str, text: str) -> list[str]:
    return [f"-- {head}", *(f"--   {line}" for line in text.splitlines())]
