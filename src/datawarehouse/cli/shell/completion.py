"""What the Tab key offers: tables, columns, functions, keywords, and the shell's own commands.

The names are asked of the warehouse in another thread, so that nobody waits for them: those of its tables, again when
they are half a minute old, and those of the functions once.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import closing

from datawarehouse.cli.shell.printing import MODES
from datawarehouse.errors import DataWarehouseError
from datawarehouse.runtime.asking import Question
from datawarehouse.runtime.asking_here import Questions

KEYWORDS = """
all and approximate array as asc between bigint boolean by case cast char count cross cube current_date
current_timestamp date day decimal desc describe distinct double else end escape except exists explain false filter
first following for from full group grouping having hour if in inner integer intersect interval into is join json lag
last lateral lead left like limit localtimestamp map minute month natural not null nulls offset on or order ordinality
outer over partition preceding range recursive right rollup row rows second select sets show smallint some table tables
tablesample then time timestamp tinyint to true try_cast unbounded union unnest using values varbinary varchar when
where window with year zone
""".split()
COLUMNS = (
    "select table_name, column_name from information_schema.columns where table_schema <> 'information_schema' "
    "order by table_name, ordinal_position"
)
_OLD_S = 30.0
_FIRST_S = 1.0
_TABLE_COMES = re.compile(r"(?:\b(?:from|join|describe|in|table)|\\d)\s+$", re.IGNORECASE)
_NAMED = re.compile(r'\b(?:from|join)\s+"?(\w+)"?(?:\s+(?:as\s+)?"?(\w+)"?)?', re.IGNORECASE)


class Names:
    def __init__(self, questions: Questions, commands: Sequence[str]) -> None:
        """questions: of this thread alone; when nothing runs, its child process answers one at a time."""
        self._questions, self._commands = questions, commands
        self._tables: dict[str, list[str]] = {}
        self._functions: list[str] = []
        self._asked_s: float | None = None
        self._asking: threading.Thread | None = None

    def look(self) -> None:
        """Ask for the names in another thread, unless they are new."""
        now = time.monotonic()
        is_old = self._asked_s is None or now - self._asked_s > _OLD_S
        if is_old and not (self._asking and self._asking.is_alive()):
            self._asked_s = now
            self._asking = threading.Thread(target=self._ask, name="names", daemon=True)
            self._asking.start()

    def _ask(self) -> None:
        try:
            with closing(self._questions.asked(Question(COLUMNS, format="json"))) as asked:
                found = json.loads(b"".join(asked.pieces()))
        except DataWarehouseError:
            return  # whoever asks a query is told why
        finally:
            self._questions.close()
        tables: dict[str, list[str]] = {}
        for each in found:
            tables.setdefault(each["table_name"], []).append(each["column_name"])
        self._tables = tables
        self._functions = self._functions or _functions()

    def after(self, typed: str, word: str) -> list[str]:
        """What may stand in the place of a word."""
        self.look()
        if self._asking and not self._tables:
            self._asking.join(_FIRST_S)
        if word.startswith("\\") and not typed.strip():
            return [each for each in self._commands if each.startswith(word)]
        if re.search(r"\\mode\s+$", typed):
            return [each for each in MODES if each.startswith(word)]
        name, dot, part = word.rpartition(".")
        if dot:
            return [f"{name}.{column}" for column in self._of(name, typed) if column.startswith(part.lower())]
        if _TABLE_COMES.search(typed):
            return _matching(word, self._tables)
        here = [column for table in self._named(typed).values() for column in self._tables.get(table, ())]
        columns = here or [column for columns in self._tables.values() for column in columns]
        return _matching(word, [*columns, *self._tables, *KEYWORDS, *(f"{name}(" for name in self._functions)])

    def _of(self, name: str, typed: str) -> Sequence[str]:
        """The columns of a table, by its name or its alias."""
        table = self._named(typed).get(name.lower(), name.lower().rpartition(".")[2])
        return self._tables.get(table, ())

    def _named(self, typed: str) -> dict[str, str]:
        """The tables that a text names, by their aliases and names."""
        found: dict[str, str] = {}
        for table, alias in _NAMED.findall(typed):
            found |= {table.lower(): table.lower(), (alias or table).lower(): table.lower()}
        return {alias: table for alias, table in found.items() if table in self._tables}


def _functions() -> list[str]:
    import datawarehouse.sql.plan  # noqa: F401 - with it, all functions are known
    from datawarehouse.sql.translate.calls import names

    return sorted({name for kind in names().values() for name in kind})


def _matching(word: str, names: Iterable[str]) -> list[str]:
    """Those that begin with a word, in the case in which it is typed."""
    found = sorted({name for name in names if name.startswith(word.lower())})
    return [name.upper() for name in found] if word.isupper() and word.isalpha() else found
