"""dw sql"""

from __future__ import annotations

import argparse
import sys
from contextlib import closing

from datawarehouse.cli.answers import is_screen
from datawarehouse.cli.options import add_settings, settings_of
from datawarehouse.cli.output import print_error, remark
from datawarehouse.cli.shell.commands import COMMANDS, Left, run_command, run_script
from datawarehouse.cli.shell.completion import Names
from datawarehouse.cli.shell.lines import Lines
from datawarehouse.cli.shell.printing import MODES
from datawarehouse.cli.shell.session import Session, View
from datawarehouse.cli.sql_files import STDIN, sql_in
from datawarehouse.errors import DataWarehouseError
from datawarehouse.folder import check_format
from datawarehouse.runtime.asking_here import Questions
from datawarehouse.sql.scripts import ENDED, QUOTED, ending

_PROMPT, _MORE = "dw> ", "..> "
_WORDS = {"exit": "\\q", "quit": "\\q", "help": "\\?"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = "statements or a command; then the shell ends. Can be given again, also with -f"
    parser.add_argument("-c", "--command", dest="scripts", action="append", metavar="SQL", type=_given, help=what)
    what = "a file of statements and commands, or - for standard input"
    parser.add_argument("-f", "--file", dest="scripts", action="append", metavar="FILE", type=_in_file, help=what)
    parser.add_argument("--output", choices=MODES, default="table", help="how to print (default: table)")
    parser.add_argument("--workgroup", metavar="NAME", help="whose queries they are (default: as `dw query`)")
    what = "read hours without a bound, where the workgroup permits it (allow_full_scan)"
    parser.add_argument("--allow-full-scan", action="store_true", help=what)
    add_settings(parser, "data", "query_time_max_s", "query_memory_bytes_max", "query_threads", "query_result_rows_max")


def _given(text: str) -> tuple[str, str]:
    return "", text


def _in_file(path: str) -> tuple[str, str]:
    return path, ""


def run(arguments: argparse.Namespace) -> int:
    """Answer what is given, what comes from standard input, or what is typed."""
    settings = settings_of(arguments)
    check_format(settings.folder)
    is_typed = not arguments.scripts and sys.stdin is not None and sys.stdin.isatty()
    view = View(arguments.output, says_time=is_typed)
    with closing(Questions(settings, arguments.workgroup)) as questions:
        session = Session(questions, view, full_scan=arguments.allow_full_scan, is_screen=is_screen())
        if is_typed:
            where = questions.address or "read from its folder, since nothing runs"
            remark(f"{settings.folder}: {where}. \\? lists commands, \\q leaves.")
            with closing(Lines(Names(Questions(settings, ""), list(COMMANDS)).after)) as lines:
                _converse(session, lines)
        else:
            _run_scripts(session, arguments.scripts or [(STDIN, "")])
    return 0


def _run_scripts(session: Session, scripts: list[tuple[str, str]]) -> None:
    """Raises the first error."""
    for path, text in scripts:
        try:
            run_script(session, sql_in(path) if path else text)
        except Left:
            return


def _converse(session: Session, lines: Lines) -> None:
    """Answer what is typed until somebody leaves."""
    typed = ""
    while True:
        try:
            line = lines.read(_MORE if typed else _PROMPT, typed)
        except EOFError:
            print()
            return
        except KeyboardInterrupt:
            print()
            typed = ""
            continue
        line = line if typed else _WORDS.get(line.strip().rstrip(";").lower(), line)
        is_command = line.startswith("\\") and ending(typed) != QUOTED
        text, typed = (line, typed) if is_command else (f"{typed}{line}\n", "")
        if not is_command and text.strip() and ending(text) != ENDED:
            typed = text
            continue
        lines.remember(text)
        try:
            (run_command if is_command else Session.run)(session, text)
        except Left:
            return
        except DataWarehouseError as error:
            print_error(str(error))
        except KeyboardInterrupt:
            remark("The query was ended.")
