"""One session of `dw sql`: statements and commands, one after the other.

1. A statement is asked of whoever can answer: a running warehouse, or a child process that reads the data folder.
2. Its answer is printed as it comes, a screen of it where a person looks.
3. Giving up, as by Ctrl-C, ends the query and the work of the engine with it, and not the session.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgspec

from datawarehouse.cli.answers import SCREEN_ROWS_MAX, Shown, begun, drained, screen_columns
from datawarehouse.cli.colour import FAINT
from datawarehouse.cli.output import quantity, remark, size
from datawarehouse.cli.shell.printing import MODES, Page, paged
from datawarehouse.errors import DataWarehouseError
from datawarehouse.runtime.asking import Question
from datawarehouse.runtime.asking_here import Questions
from datawarehouse.sql.scripts import statements


@dataclass(slots=True)
class View:
    """How answers are printed. rows_max: on a screen; None: all. has_pager: all rows go to a pager."""

    mode: str = "table"
    rows_max: int | None = SCREEN_ROWS_MAX
    says_time: bool = True
    has_pager: bool = False


class Session:
    def __init__(self, questions: Questions, view: View, *, full_scan: bool, is_screen: bool) -> None:
        """is_screen: whether a person sees what is printed."""
        self.questions, self.view = questions, view
        self.including: list[Path] = []  # the files whose statements and commands are run at the moment
        self._full_scan, self._is_screen = full_scan, is_screen

    def run(self, text: str) -> None:
        """Answer the statements of a text. Raises the errors of queries, whose places are those of the text."""
        parts = statements(text)
        for part in parts:
            try:
                self.answer(part.text)
            except DataWarehouseError as error:
                if error.args and part.line + part.column > 2:
                    error.args = (part.told(str(error)), *error.args[1:])
                raise

    def answer(self, sql: str, parameters: Sequence[str] = (), *, is_whole: bool = False) -> None:
        """Print the answer of one statement. is_whole: all rows, whatever the view says."""
        began = time.perf_counter()
        view, mode = self.view, MODES[self.view.mode]
        asking = Question(sql, parameters, mode.form, self.questions.workgroup, full_scan=self._full_scan)
        is_paged = self._is_screen and view.has_pager and not is_whole
        limit = view.rows_max if self._is_screen and not is_paged and not is_whole else None
        shown: Shown | None = None
        with closing(self.questions.asked(asking)) as asked:
            pieces = asked.pieces()
            coming = begun(pieces, asked, is_silent_then=is_paged)
            with closing(coming), paged(is_paged) as out:
                shown = mode.print(coming, Page(out, limit, screen_columns() if self._is_screen else None))
                out.flush()
            if shown is None:  # the pager was left
                return
            drained(pieces, asked)
            rows = int(asked.progress()["rows"])
        took_s = time.perf_counter() - began
        if shown.left_out:
            remark(f"Columns that have no place here: {', '.join(shown.left_out)}; \\x shows all.")
        if rows > shown.rows:
            remark(f"{quantity(rows - shown.rows, 'more row')}; \\rows all prints all, \\pager on turns pages.")
        if view.says_time:
            read = f"read {quantity(asked.files_read, 'file')}, {size(asked.bytes_read)}"
            remark(f"{quantity(rows, 'row')} in {took_s:.2f} s; {read}", FAINT)

    def rows(self, sql: str, parameters: Sequence[str] = ()) -> list[dict[str, str]]:
        """The rows of a statement of the shell itself. Raises the errors of queries."""
        asking = Question(sql, parameters, "json", self.questions.workgroup)
        with closing(self.questions.asked(asking)) as asked:
            found: list[dict[str, str]] = msgspec.json.decode(b"".join(asked.pieces()))
        return found
