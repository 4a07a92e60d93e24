"""The shell's own commands, each a line that begins with a backslash."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from datawarehouse.cli.output import print_table, remark
from datawarehouse.cli.shell.printing import MODES
from datawarehouse.cli.shell.session import Session
from datawarehouse.cli.sql_files import sql_in
from datawarehouse.errors import BadRequest, QueryFailed
from datawarehouse.sql.scripts import QUOTED, ending

_TABLES = """select table_name as "table", lower(replace(table_type, 'BASE ', '')) as kind, count(*) as columns
from information_schema.tables join information_schema.columns using (table_schema, table_name)
where table_schema <> 'information_schema' group by 1, 2 order by 1"""
_COLUMNS = """select column_name as "column", data_type as type, coalesce(extra_info, '') as remark
from information_schema.columns where table_schema <> 'information_schema' and table_name = ?
order by ordinal_position"""
_ON_OFF = {"on": True, "off": False}


class Left(Exception):
    """Somebody leaves the shell."""


def _describe(session: Session, arguments: Sequence[str]) -> None:
    if not arguments:
        rows = session.rows(_TABLES)
        print_table(("table", "kind", "columns"), [[str(cell) for cell in row.values()] for row in rows])
        return
    name = arguments[0].strip('"').rpartition(".")[2].lower()
    if rows := session.rows(_COLUMNS, [name]):
        print_table(("column", "type", "remark"), [[str(cell) for cell in row.values()] for row in rows])
        return
    tables = [row["table"] for row in session.rows(_TABLES)]
    close = difflib.get_close_matches(name, tables, 1)
    hint = f" Did you mean {close[0]}?" if close else ""
    raise QueryFailed(f"There is no table {name!r}.{hint} There are {', '.join(tables) or 'none'}.")


def _expanded(session: Session, arguments: Sequence[str]) -> None:
    is_on = _switched(arguments, now=session.view.mode == "expanded")
    session.view.mode = "expanded" if is_on else "table"
    remark(f"Answers are printed {'a line for each value' if is_on else 'as a table'}.")


def _timing(session: Session, arguments: Sequence[str]) -> None:
    session.view.says_time = _switched(arguments, now=session.view.says_time)
    remark(f"The time of a query is {'said' if session.view.says_time else 'not said'}.")


def _pager(session: Session, arguments: Sequence[str]) -> None:
    session.view.has_pager = _switched(arguments, now=session.view.has_pager)
    remark("All rows go to the pager (PAGER)." if session.view.has_pager else "No pager is used.")


def _mode(session: Session, arguments: Sequence[str]) -> None:
    if not arguments:
        remark(f"The mode is {session.view.mode}; there are:")
        for name, each in MODES.items():
            remark(f"  {name:9} {each.means}")
        return
    if arguments[0] not in MODES:
        raise BadRequest(f"There is no mode {arguments[0]!r}; there are {', '.join(MODES)}.")
    session.view.mode = arguments[0]


def _rows(session: Session, arguments: Sequence[str]) -> None:
    if arguments:
        given = arguments[0]
        if given != "all" and not (given.isascii() and given.isdigit() and int(given)):
            raise BadRequest(f"\\rows takes all, or a number of rows from 1; got {given!r}.")
        session.view.rows_max = None if given == "all" else int(given)
    remark(f"Of an answer are shown: {session.view.rows_max or 'all'} rows.")


def _workgroup(session: Session, arguments: Sequence[str]) -> None:
    if arguments:
        session.questions.workgroup = arguments[0]
    remark(f"Workgroup: {session.questions.workgroup or 'that of people, by the size of what is stored'}.")


def _include(session: Session, arguments: Sequence[str]) -> None:
    if not arguments:
        raise BadRequest("\\i takes a file of statements.")
    path = Path(arguments[0]).absolute()
    if path in session.including:
        raise BadRequest(f"{arguments[0]} includes itself.")
    session.including.append(path)
    try:
        run_script(session, sql_in(arguments[0]))
    finally:
        session.including.pop()


def _leave(session: Session, arguments: Sequence[str]) -> None:
    raise Left


def _help(session: Session, arguments: Sequence[str]) -> None:
    for name, (takes, means, _) in COMMANDS.items():
        print(f"  {name + ' ' + takes:22} {means}")
    print("  Ctrl-C                 ends the query, or drops what was typed; Ctrl-D leaves the shell")
    print("  A statement ends with a semicolon. Tab completes names. What begins with a blank is not remembered.")


Command = Callable[[Session, Sequence[str]], None]
COMMANDS: dict[str, tuple[str, str, Command]] = {
    "\\?": ("", "this list", _help),
    "\\d": ("[TABLE]", "the tables, or the columns of one", _describe),
    "\\x": ("[on|off]", "a line for each value", _expanded),
    "\\mode": ("[MODE]", "how answers are printed: " + ", ".join(MODES), _mode),
    "\\rows": ("[N|all]", "how many rows of an answer are shown", _rows),
    "\\pager": ("[on|off]", "all rows, in a pager", _pager),
    "\\timing": ("[on|off]", "how long a query took, and what it read", _timing),
    "\\workgroup": ("[NAME]", "whose queries they are", _workgroup),
    "\\i": ("FILE", "the statements and commands of a file", _include),
    "\\q": ("", "leave", _leave),
}
"""For each command what it takes and does."""


def run_command(session: Session, line: str) -> None:
    """Raises BadRequest for a line that is no command, Left, and the errors of queries."""
    try:
        name, *arguments = shlex.split(line.strip().rstrip(";").replace("\\", "\\\\"))
    except ValueError as error:
        raise BadRequest(f"{line.strip()!r} cannot be read: {error}.") from None
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, 1)
        raise BadRequest(f"There is no command {name}. " + (f"Did you mean {close[0]}? " if close else "")
                         + "\\? lists them.")  # fmt: skip
    takes, _, run = COMMANDS[name]
    if len(arguments) > bool(takes):
        raise BadRequest(f"{name} takes {takes or 'nothing'}; got {' '.join(arguments)}.")
    run(session, arguments)


def run_script(session: Session, text: str) -> None:
    """Run the statements and commands of a text. Raises the errors of both, and Left."""
    for each in _steps(text):
        (run_command if each.startswith("\\") else Session.run)(session, each)


def _steps(text: str) -> list[str]:
    """The commands, and the statements between them. Lines that are no statements stay, so that places are right."""
    steps, typed = [], ""
    for number, line in enumerate(text.splitlines(keepends=True)):
        if line.startswith("\\") and ending(typed) != QUOTED:
            steps += [typed, line]
            typed = "\n" * (number + 1)
        else:
            typed += line
    return [step for step in (*steps, typed) if step.strip()]


def _switched(arguments: Sequence[str], *, now: bool) -> bool:
    if arguments and arguments[0] not in _ON_OFF:
        raise BadRequest(f"Valid are on and off; got {arguments[0]!r}.")
    return _ON_OFF[arguments[0]] if arguments else not now
