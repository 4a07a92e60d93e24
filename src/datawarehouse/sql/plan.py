"""From a statement of Athena SQL to a plan: which partitions each scan needs, and the DuckDB SQL over them.

Pure: text and schemas in, plan out. The caller reads the catalog, makes a sub-select for each scan, executes
`SETTING` once for a database, and in it `Plan.macros` and `Plan.render`.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal

from sqlglot import exp

from datawarehouse.errors import BadRequest, QueryFailed, QueryRefused, SqlSyntaxError
from datawarehouse.sql import changes, metadata, shown, types
from datawarehouse.sql.catalogs import Session, is_trino
from datawarehouse.sql.changes import Change, Written
from datawarehouse.sql.columns import columns_of
from datawarehouse.sql.json_grammar import JsonCall
from datawarehouse.sql.metadata import CATALOG, home_of
from datawarehouse.sql.names import MEMORY, NOBODY, Asker, of_memory, scratch_schema
from datawarehouse.sql.outputs import INPUT, OutputColumn, listing_of_input, listing_of_output
from datawarehouse.sql.predicate import EVERYTHING, Predicate
from datawarehouse.sql.prune import prune
from datawarehouse.sql.rewriting import quoted
from datawarehouse.sql.schema import TableSchema
from datawarehouse.sql.shape import Place, Select
from datawarehouse.sql.shown import Shown
from datawarehouse.sql.statement import Immediate, Statement, immediate, read
from datawarehouse.sql.translate.calls import listed_functions
from datawarehouse.sql.translate.compiler import Compiler, Given, Query
from datawarehouse.sql.translate.literals import numbered
from datawarehouse.sql.translate.macros import SETTING, macros_in
from datawarehouse.sql.translate.relations import ROWS_OF, SCAN_MARK
from datawarehouse.sql.translate.rules import compiler_for
from datawarehouse.sql.translate.typed import quoted_name
from datawarehouse.sql.wildcards import Part

__all__ = ["ROW_COUNT", "SETTING", "Plan", "Scan", "TableSchema", "plan"]

ROW_COUNT = "$rows"
"""How many rows a row of a summary stands for; no column is called so."""

_DIGITS_MAX = 100
_SUM_OF_COUNTS = f'CAST(coalesce(sum("{ROW_COUNT}"), 0) AS BIGINT)'


@dataclass(frozen=True)
class Scan:
    """A use of a table.

    hidden_columns: the statement names "$path" or another of `schema.HIDDEN_COLUMNS`.
    extremes: None if the rows are needed. Else summaries can stand for the rows of a partition: any rows that have its
    keys, among whose values in these columns are its least and its greatest, and that say in the column ROW_COUNT
    how many rows they stand for, all together. Other columns are not needed.
    """

    id: str
    table: str
    predicate: Predicate
    hidden_columns: bool
    place: Place
    extremes: frozenset[str] | None = None


@dataclass(frozen=True)
class Plan:
    """What a statement does.

    kind: "select", "explain" (of a select), "show_tables", "explain_io", "explain_validate",
    "explain_analyze", "show_partitions", "show_stats", "describe", or
    "change".
    table: of describe, show_partitions and show_stats. schema, pattern: of show_tables, the schema as others call it,
    "" for the warehouse's, and patterns for whole names.
    column_names, column_types: of the result, as Athena names them; `_col0` and so on where a column has no name.
    types: the same types as values.
    parameters: for DuckDB, by name.
    """

    kind: str
    table: str | None = None
    schema: str = ""
    pattern: tuple[tuple[Part, ...], ...] | None = None
    scans: tuple[Scan, ...] = ()
    column_names: tuple[str, ...] = ()
    column_types: tuple[str, ...] = ()
    types: tuple[types.Type, ...] = ()
    parameters: Mapping[str, object] = field(default_factory=dict)
    change: Change | None = None
    """What a statement of the kind "change" does with its rows, or without any."""
    sql: str = ""
    """DuckDB SQL with a mark in the place of each scan, for `render`."""
    macros: tuple[str, ...] = ()
    """Statements that the database needs before it; they can be executed again."""
    reads: frozenset[str] = frozenset()
    """The tables that it names, and in the place of a view those below it."""
    reads_clock: bool = False
    """Whether the time of the statement is in it: at another time it is another plan."""

    def render(self, sources: Mapping[str, str], summarized: Collection[str] = ()) -> str:
        """The DuckDB SQL; `sources` has for each scan's id a sub-select in parentheses.

        summarized: the ids of scans whose sub-select gives summaries in the place of rows, as `Scan.extremes` says.
        """
        parts = self.sql.split(SCAN_MARK)
        places = dict(sources)
        for scan in self.scans:
            places[f"{ROWS_OF}{scan.id}"] = _SUM_OF_COUNTS if scan.id in summarized else "count(*)"
        parts[1::2] = [places[place] for place in parts[1::2]]
        return "".join(parts)


def plan(
    sql: str,
    tables: Mapping[str, TableSchema],
    database: str,
    parameters: Sequence[object] = (),
    now_ms: int | None = None,
    session: Session | None = None,
    asker: Asker = NOBODY,
) -> Plan:
    """Plan one statement over `tables` (by name) of `database`; `parameters` are the values of its `?`.

    now_ms: the time of the statement, in milliseconds since 1970-01-01T00:00:00Z: what now() and the like give, and
    what pruning knows of them. Without it they give the time of the engine, by which nothing is pruned. session: where
    a client is, if it has said so. asker: whose statement it is; if that has a scratch, it may write.

    Raises SqlSyntaxError, QueryRefused (not allowed, or not supported here), QueryFailed (no such table or column,
    types that do not fit) and BadRequest (not as many parameters as `?`).
    """
    if session and session.describes:
        return _described(sql, tables, database, now_ms, session)
    if inner := immediate(sql):
        return _of_immediate(inner, tables, database, parameters, now_ms, session, asker)
    if asker.own and (written := changes.read(sql)):
        return _of_change(written, tables, database, parameters, now_ms, session, asker)
    statement = read(sql)
    if statement.query is None:
        return _of_metadata(statement, tables, database, parameters, session, asker)
    numbered(statement.query, len(parameters))
    compiler = compiler_for(statement.text, tables, database, parameters, now_ms, session, asker)
    return _of_query(statement.kind, compiler, *_compiled(compiler, statement.query))


def _compiled(compiler: Compiler, tree: exp.Expr) -> tuple[Query, dict[str, Predicate]]:
    try:
        query = compiler.query(tree, None)
        return query, prune(query.shape, compiler.ctes)
    except RecursionError:
        raise QueryRefused("The statement nests too deeply; flatten it or name its parts with WITH.") from None


def _of_change(
    written: Written,
    tables: Mapping[str, TableSchema],
    database: str,
    parameters: Sequence[object],
    now_ms: int | None,
    session: Session | None,
    asker: Asker,
) -> Plan:
    """A statement that writes in the scratch of whoever asks."""
    name = _name_there(written, written.of, session, asker)
    to = _name_there(written, written.to, session, asker) if written.to else ""
    change = Change(written.kind, written.what, name, to, written.replaces, written.is_lenient)
    if written.query:
        return _of_rows(written, change, tables, database, parameters, now_ms, session, asker)
    if parameters:
        raise BadRequest(f"The statement has no parameter '?' and {len(parameters)} value(s) came; give none.")
    if written.kind == changes.TABLE:
        declared = changes.declared_columns(written.columns)
        typed = ", ".join(f"CAST(NULL AS {kind}) AS {quoted(column)}" for column, kind in declared)
        planned = plan(f"SELECT {typed}", {}, database)
        if list(planned.column_names) != [column for column, _ in declared]:
            raise SqlSyntaxError(f"The columns cannot be read: {written.columns[:100]!r}.")
        return Plan("change", change=replace(change, columns=columns_of(planned.column_names, planned.types)))
    return Plan("change", change=change)


def _name_there(written: Written, of: tuple[str, ...], session: Session | None, asker: Asker) -> str:
    """The name of a table that is in the scratch of whoever asks. Raises AccessDenied for another one."""
    *owners, name = of
    if written.kind == changes.SCHEMA:
        owners, name = [*owners, name], ""
    if session and session.is_trino and (owners or session.catalog == MEMORY):
        owners, name = of_memory(session.owners(owners, metadata.OTHER_CATALOGS), name)
    if owners[:1] == [CATALOG]:
        owners = owners[1:]
    if (scratch_schema(owners, asker.own) if owners else home_of(session, asker.own)) != asker.own:
        raise changes.not_there(written, asker.own)
    return changes.checked_table_name(name) if name else name


def _of_rows(
    written: Written,
    change: Change,
    tables: Mapping[str, TableSchema],
    database: str,
    parameters: Sequence[object],
    now_ms: int | None,
    session: Session | None,
    asker: Asker,
) -> Plan:
    """A statement that writes the rows of a query, or keeps it as a view."""
    if change.kind == changes.VIEW and parameters:
        raise QueryRefused("A view gets no values for '?'; write them into its statement.")
    statement = read(written.query)
    if statement.kind != "select" or statement.query is None:
        raise QueryRefused(f"After {change.update} comes a SELECT; this is {statement.kind}.")
    numbered(statement.query, len(parameters))
    compiler = compiler_for(written.query, tables, database, parameters, now_ms, session, asker)
    query, predicates = _compiled(compiler, statement.query)
    if change.kind == changes.INSERT:
        table = compiler.tables.get(f"{asker.own}.{change.name}")
        if table is None:
            raise QueryFailed(f"TABLE_NOT_FOUND: Table 'scratch.{change.name}' does not exist.")
        if table.statement is not None:
            raise QueryFailed(f"NOT_SUPPORTED: 'scratch.{change.name}' is a view, into which nothing is inserted.")
        query, change = inserted(compiler, query, change, written.names, table)
        return replace(_of_query("change", compiler, query, predicates), change=change)
    planned = _of_query("change", compiler, query, predicates)
    change = replace(change, columns=columns_of(planned.column_names, planned.types), is_empty=not written.has_rows)
    if change.kind == changes.VIEW:
        text = written.query.strip().removesuffix(";").strip()
        named, home = f"{asker.own}.{change.name}", home_of(session, asker.own)
        view = TableSchema(named, (), (), statement=text, own=asker.own, home=home)
        # Read as others will read it: it may have come to read itself.
        text_of_it = f'SELECT * FROM {CATALOG}.scratch."{change.name}"'
        again = plan(text_of_it, {**tables, named: view}, database, (), now_ms, session, asker)
        return Plan("change", change=replace(change, statement=text, home=home), reads=again.reads)
    positions = tuple(range(len(change.columns)))
    return replace(planned, change=replace(change, positions=positions))


def inserted(
    compiler: Compiler, query: Query, change: Change, names: tuple[str, ...], table: TableSchema
) -> tuple[Query, Change]:
    """A query whose rows have the types of the columns that they are inserted into."""
    columns = [column.name for column in table.columns]
    named = list(names) or columns
    for name in named:
        if name not in columns or named.count(name) > 1:
            raise QueryFailed(
                f"COLUMN_NOT_FOUND: Insert column name does not exist in target table, or is named twice: {name}. Its "
                f"columns are {', '.join(columns)}."
            )
    kinds = [kind for name in named for column, kind in table.fields() if column == name]
    given = [output.type for output in query.outputs]
    if len(kinds) != len(given) or not all(map(types.is_inserted, given, kinds)):
        raise QueryFailed(
            f"TYPE_MISMATCH: Insert query has mismatched column types: Table: [{', '.join(map(str, kinds))}], "
            f"Query: [{', '.join(map(str, given))}]. Write cast(...) where they differ."
        )
    outputs = tuple(
        output._replace(name=name, type=kind) for output, name, kind in zip(query.outputs, named, kinds, strict=True)
    )
    positions = tuple(named.index(name) if name in named else None for name in columns)
    made = replace(query, sql=compiler.of_types(query, kinds), outputs=outputs)
    return made, replace(change, columns=table.columns, positions=positions)


def _of_immediate(
    inner: Immediate,
    tables: Mapping[str, TableSchema],
    database: str,
    parameters: Sequence[object],
    now_ms: int | None,
    session: Session | None,
    asker: Asker,
) -> Plan:
    """EXECUTE IMMEDIATE: another statement, with the values of USING for its `?`."""
    if parameters:
        raise BadRequest("EXECUTE IMMEDIATE takes its values from USING; give no parameters beside it.")
    if immediate(inner.text):
        raise QueryRefused("EXECUTE IMMEDIATE of EXECUTE IMMEDIATE is not allowed; write the inner statement.")
    values = [_value(node) for node in inner.values]
    given = [Given(value, inner.values_text) if isinstance(value, exp.Expr) else value for value in values]
    return plan(inner.text, tables, database, given, now_ms, session, asker)


def _value(node: exp.Expr) -> object:
    """The value of a literal in USING, or the expression itself. Raises QueryRefused for what is not constant."""
    sign, inner = 1, node
    while isinstance(inner, exp.Neg | exp.Paren):
        sign, inner = (-sign if isinstance(inner, exp.Neg) else sign), inner.this
    match inner:
        case exp.Null():
            return None
        case exp.Boolean() if sign == 1:
            return bool(inner.this)
        case exp.Literal() if inner.is_string and sign == 1:
            return inner.this
        case exp.Literal() if not inner.is_string and len(inner.this) < _DIGITS_MAX:
            return sign * (int(inner.this) if inner.this.isdigit() else float(inner.this))
        case exp.Cast() if isinstance(inner.this, exp.Literal) and inner.this.is_string and sign == 1:
            return _typed_value(inner)
    if node.find(exp.Column, exp.Query, exp.Placeholder):
        shown = "A function of JSON" if node.find(JsonCall) else repr(node.sql())
        raise QueryRefused(f"{shown} in USING is no constant; valid are literals, and expressions of literals.")
    return node


def _typed_value(node: exp.Cast) -> object:
    """The value of a literal with its type; the node itself where that is another one."""
    text, kind = node.this.this, node.args["to"].this
    with suppress(ValueError, ArithmeticError):
        if kind == exp.DType.DECIMAL:
            return Decimal(text)
        if kind == exp.DType.DATE:
            return datetime.date.fromisoformat(text)
        if kind == exp.DType.TIMESTAMP:
            value = datetime.datetime.fromisoformat(text)
            has_millis = re.fullmatch(r".*[.]\d{1,3}|[^.]*", text)
            return value if has_millis and value.tzinfo is None else node
        if kind in (exp.DType.BIGINT, exp.DType.INT):
            return int(text)
    return node


def _described(
    sql: str, tables: Mapping[str, TableSchema], database: str, now_ms: int | None, session: Session
) -> Plan:
    """DESCRIBE INPUT or DESCRIBE OUTPUT of a statement whose parameters have no values yet."""
    statement = read(sql)
    if statement.query is None:
        raise QueryRefused("DESCRIBE INPUT and DESCRIBE OUTPUT are supported for queries alone.")
    marks = len(list(statement.query.find_all(exp.Placeholder)))
    if session.describes == INPUT:
        return plan(listing_of_input(marks), tables, database)
    numbered(statement.query, marks)
    compiler = compiler_for(statement.text, tables, database, [None] * marks, now_ms, session)
    query = compiler.query(statement.query, None)
    columns = []
    for position, output in enumerate(query.outputs):
        copied = query.shape.outputs[position] if isinstance(query.shape, Select) else None
        use = compiler.scan_of.get(copied[0]) if copied else None
        name = output.name or f"_col{position}"
        if use and copied:
            is_made = use.table.name in metadata.TABLES
            origin = [CATALOG, *use.table.name.split(".")] if is_made else [CATALOG, database, use.table.name]
            is_aliased = use.table.fields()[copied[1]][0] != output.name
            columns.append(OutputColumn(name, output.type, is_aliased, origin[-3:]))
        else:
            columns.append(OutputColumn(name, output.type, output.name is not None))
    return plan(listing_of_output(columns), tables, database)


def _of_query(kind: str, compiler: Compiler, query: Query, predicates: Mapping[str, Predicate]) -> Plan:
    query = _shown(compiler.with_zones_as_texts(query))
    used = set(query.sql.split(SCAN_MARK)[1::2])
    named = set(re.findall(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(p[0-9]+)""", query.sql))
    return Plan(
        kind,
        scans=tuple(
            Scan(use.id, use.table.name, predicates.get(use.id, EVERYTHING), use.hidden, use.place, use.extremes)
            for use in compiler.scans
            if use.id in used
        ),
        column_names=tuple(output.name or f"_col{position}" for position, output in enumerate(query.outputs)),
        column_types=tuple(str(output.type) for output in query.outputs),
        types=tuple(output.type for output in query.outputs),
        parameters={name: value for name, value in compiler.parameters_used.items() if name in named},
        sql=query.sql,
        macros=macros_in(query.sql),
        reads=frozenset(use.table.name.removesuffix(metadata.PARTITIONS) for use in compiler.scans)
        - metadata.TABLES.keys(),
        reads_clock=compiler.reads_clock,
    )


def _shown(query: Query) -> Query:
    """The query with the texts of addresses, which are other values inside of a statement."""
    kinds = [output.type for output in query.outputs]
    for kind in kinds:
        if types.holds(kind, types.HYPERLOGLOG) or (kind.args and types.holds(kind, types.IPADDRESS)):
            raise QueryRefused(
                f"A result column is {kind}, which a result cannot hold here; cast what is inside of it."
            )
    if types.IPADDRESS not in kinds:
        return query
    names = [quoted_name(output.sql_name) for output in query.outputs]
    listed = (
        f"trino_ip_text({name}) AS {name}" if kind == types.IPADDRESS else name
        for name, kind in zip(names, kinds, strict=True)
    )
    return Query(f"SELECT {', '.join(listed)} FROM ({query.sql})", query.outputs, query.shape)


def _of_metadata(
    statement: Statement,
    tables: Mapping[str, TableSchema],
    database: str,
    parameters: Sequence[object],
    session: Session | None,
    asker: Asker,
) -> Plan:
    if parameters:
        raise BadRequest(f"The statement has no parameter '?' and {len(parameters)} value(s) came; give none.")
    there = Shown(tables, database, session, asker.own)
    if statement.kind == "show_tables":
        schema = there.schema([statement.database] if statement.database else [])
        return Plan(statement.kind, schema=schema, pattern=statement.pattern)
    if is_trino(session) and statement.kind in ("describe", "show_columns"):
        return plan(there.described(statement), {}, database)
    if statement.kind in shown.KINDS:
        return plan(there.listed(statement, listed_functions()), {}, database)
    found = there.table(statement)
    if found.name in metadata.TABLES and statement.kind != "describe":
        raise QueryFailed(f"NOT_SUPPORTED: {found.name!r} describes the warehouse: it has no partitions or statistics.")
    return Plan(statement.kind, table=found.name)
