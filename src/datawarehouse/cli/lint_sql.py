"""dw lint-sql"""

from __future__ import annotations

import argparse

from datawarehouse.cli.output import quantity, remark
from datawarehouse.cli.sql_files import add_files, declared_by, sql_in
from datawarehouse.clock import WallClock

_STATEMENT_CHARACTERS_MAX = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_files(parser)


def run(arguments: argparse.Namespace) -> int:
    """The exit code is that of the first problem: as if `dw query` had been asked."""
    from datawarehouse.query.binding import Binding
    from datawarehouse.sql.lint import problem
    from datawarehouse.sql.schema import NOTHING_DECLARED
    from datawarehouse.sql.scripts import statements

    declared = declared_by(arguments)
    binding = Binding(declared or NOTHING_DECLARED, WallClock().now_ms())
    checked, problems = 0, []
    for path, sql in [(path, sql_in(path)) for path in arguments.files]:
        for part in statements(sql):
            checked += 1
            found = problem(part, binding.planned, is_declared=declared is not None)
            if found:
                problems.append(found)
                print(f"{path}:{found.line}:{found.column}: {found.who}: {found.text}")
                print(f"    {_shortened(part.text)}")
    if declared is None:
        remark("Not checked: tables, columns, types and functions of statements that read tables, for there is no "
               "declaration (--warehouse).")  # fmt: skip
    remark(f"{quantity(checked, 'statement')}, {quantity(len(problems), 'problem')}")
    return problems[0].error.exit_code if problems else 0


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _STATEMENT_CHARACTERS_MAX else f"{line[:_STATEMENT_CHARACTERS_MAX]}..."
