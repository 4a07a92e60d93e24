"""Statements that show what there is, as other statements that list it: pure.

In Athena's form a name is a row; to a client of Trino each answer has Trino's columns.

Sources: Amazon Athena user guide, "DDL statements"; Trino documentation, "SHOW ..." and "DESCRIBE".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from datawarehouse.errors import QueryFailed
from datawarehouse.sql.catalogs import Session, is_trino
from datawarehouse.sql.metadata import CATALOG, INFORMATION, SYSTEM, find, home_of
from datawarehouse.sql.names import MEMORY, SCRATCH, scratch_schema
from datawarehouse.sql.rewriting import quoted
from datawarehouse.sql.schema import TableSchema
from datawarehouse.sql.statement import Statement
from datawarehouse.sql.wildcards import matches

KINDS = ("show_catalogs", "show_schemas", "show_views", "show_columns", "show_create", "show_functions")
"""Those that are answered by the statement that `listed` gives."""
_FUNCTION_COLUMNS = ("Function", "Return Type", "Argument Types", "Function Type", "Deterministic", "Description")


class Shown:
    """What a statement can show: tables by name, of a database; own: what `scratch` means."""

    def __init__(self, tables: Mapping[str, TableSchema], database: str, session: Session | None, own: str) -> None:
        self._tables = {name.lower(): table for name, table in tables.items()}
        self._database = database.lower()
        self._session = session
        self._own = own
        self._home = home_of(session, own)

    def table(self, statement: Statement) -> TableSchema:
        """The table that a statement names. Raises QueryFailed if there is none."""
        *owners, name = (part.lower() for part in statement.table)
        owners = [statement.database.lower()] if statement.database else owners
        found = find(self._tables, self._database, owners, name, self._session, self._own, self._home)
        if found:
            return found
        if owners:
            self.schema(owners)
        there_are = ", ".join(sorted(each for each in self._tables if "." not in each)) or "none"
        raise QueryFailed(
            f"TABLE_NOT_FOUND: Table {'.'.join(statement.table)!r} does not exist. The tables of database "
            f"{self._database!r} are {there_are}."
        )

    def schema(self, owners: Sequence[str]) -> str:
        """A schema as others call it; "" is the warehouse's. Raises QueryFailed if there is none."""
        named = [owner.lower() for owner in owners]
        if len(named) == 2 and named[0] == CATALOG:
            named = named[1:]
        if not named:
            return self._home
        if named in ([self._database], [INFORMATION]):
            return "" if named == [self._database] else INFORMATION
        schema = scratch_schema(named, self._own)
        if schema and (schema == self._own or any(name.startswith(f"{schema}.") for name in self._tables)):
            return schema
        if find(self._tables, self._database, named, "tables", self._session, self._own, self._home):
            return ".".join(named)
        there_are = ", ".join(map(repr, self._schemas()))
        raise QueryFailed(f"SCHEMA_NOT_FOUND: Database {'.'.join(owners)!r} does not exist; there is {there_are}.")

    def listed(self, statement: Statement, functions: Iterable[Sequence[str]]) -> str:
        """The SELECT that lists what a statement of KINDS shows. functions: the rows of SHOW FUNCTIONS."""
        match statement.kind:
            case "show_catalogs":
                catalogs = [CATALOG, *([MEMORY] if self._own else []), SYSTEM]
                return _names("Catalog", self._matching(statement, catalogs))
            case "show_schemas":
                return _names("database_name", self._matching(statement, self._schemas()))
            case "show_views":
                schema = self.schema([statement.database] if statement.database else [])
                views = [table.short for table in self._of(schema) if table.statement is not None]
                return _names("views", self._matching(statement, sorted(views)))
            case "show_columns":
                fields = [name for name, _ in self.table(statement).fields()]
                return _names("field", self._matching(statement, fields))
            case "show_create":
                return self._created(statement)
            case _:
                shown = [row for row in functions if self._matching(statement, [row[0]])]
                return _rows(_FUNCTION_COLUMNS, shown)

    def described(self, statement: Statement) -> str:
        """DESCRIBE and SHOW COLUMNS for a client of Trino."""
        table = self.table(statement)
        keys = {key.name for key in table.partition_keys}
        rows = [
            (name, str(kind), "partition key" if name in keys else "", "")
            for name, kind in table.fields()
            if self._matching(statement, [name])
        ]
        return _rows(("Column", "Type", "Extra", "Comment"), rows)

    def _of(self, schema: str) -> list[TableSchema]:
        return [table for table in self._tables.values() if table.name.rpartition(".")[0] == schema]

    def _schemas(self) -> list[str]:
        others = {schema for table in self._tables if (schema := table.rpartition(".")[0])} - {self._own}
        return [self._database, *([SCRATCH] if self._own else []), *sorted(others)]

    def _matching(self, statement: Statement, names: Iterable[str]) -> list[str]:
        wanted = statement.pattern
        return [name for name in names if wanted is None or any(matches(name, each) for each in wanted)]

    def _created(self, statement: Statement) -> str:
        """SHOW CREATE: of a view its text, of a table the statement that would declare it."""
        table = self.table(statement)
        is_view = table.statement is not None
        if is_view != (statement.what == "VIEW"):
            what = "view" if is_view else "table"
            raise QueryFailed(f"NOT_SUPPORTED: {table.short!r} is a {what}; write SHOW CREATE {what.upper()}.")
        schema = table.name.rpartition(".")[0]
        place = f"{SCRATCH if schema == self._own else quoted(schema)}." if schema else ""
        lines = [f"CREATE VIEW {place}{quoted(table.short)} AS", str(table.statement)] if is_view else _declared(table)
        if is_trino(self._session):
            return _names(f"Create {statement.what.capitalize()}", ["\n".join(lines)])
        title = "Create View" if is_view else "createtab_stmt"
        return _names(title, "\n".join(lines).split("\n"))


def _declared(table: TableSchema) -> list[str]:
    columns = [f"  `{column.name}` {column.type}" for column in table.columns]
    keys = [f"  `{key.name}` {key.type}" for key in table.partition_keys]
    partitioned = ["PARTITIONED BY (", ",\n".join(keys) + ")"] if keys else []
    return [f"CREATE EXTERNAL TABLE `{table.short}`(", ",\n".join(columns) + ")", *partitioned, "STORED AS PARQUET"]


def _names(title: str, names: Sequence[str]) -> str:
    return _rows((title,), [(name,) for name in names])


def _rows(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    names = ", ".join(f'"{title}"' for title in titles)
    values = ", ".join(f"({', '.join(map(_text, row))})" for row in rows)
    if not rows:
        empty = ", ".join(f"'' AS {name}" for name in names.split(", "))
        return f"SELECT {empty} WHERE false"
    return f"SELECT * FROM (VALUES {values}) AS shown({names})"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
