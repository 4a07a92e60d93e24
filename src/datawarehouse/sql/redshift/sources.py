"""FROM: tables, queries and joins."""

from __future__ import annotations

from sqlglot import exp

from datawarehouse.sql.redshift.reasons import NeedsPerson
from datawarehouse.sql.redshift.scope import Columns, Source, quoted
from datawarehouse.sql.redshift.translator import Translator, check, shown

_SYSTEM = ("stl_", "stv_", "svv_", "svl_", "svcs_", "sys_", "pg_")


def joined(t: Translator, node: exp.Select) -> str:
    """The FROM of a query, with its joins; its names are then in the scope."""
    first = node.args.get("from_")
    if first is None:
        return ""
    text = f"{t.space}FROM {_source(t, first.this)}"
    for join in node.args.get("joins") or ():
        text += _join(t, join)
    return text


def _join(t: Translator, node: exp.Join) -> str:
    check(node, "this", "side", "kind", "on", "using")
    side, kind = (str(node.args.get(name) or "").upper() for name in ("side", "kind"))
    right = _source(t, node.this)
    if not side and not kind and not node.args.get("on") and not node.args.get("using"):
        return f", {right}"
    if kind not in ("", "INNER", "OUTER", "CROSS"):
        raise NeedsPerson(f"{shown(node)} is not translated")
    words = " ".join(word for word in (side, kind if kind != "OUTER" else "", "JOIN") if word)
    text = f"{t.space}{words} {right}"
    if node.args.get("on"):
        text += f" ON {t.expression(node.args['on']).text}"
    if node.args.get("using"):
        text += f" USING ({', '.join(quoted(column.name.lower()) for column in node.args['using'])})"
        raise_if_ambiguous(t, [column.name.lower() for column in node.args["using"]])
    return text


def raise_if_ambiguous(t: Translator, names: list[str]) -> None:
    """A column of USING belongs to both sides; it is kept once."""
    for name in names:
        having = t.scope.having(name)
        for source in having[1:]:
            at = t.scope.sources.index(source)
            kept = {column: type for column, type in (source.columns or {}).items() if column != name}
            t.scope.sources[at] = Source(source.name, kept)


def _source(t: Translator, node: exp.Expr) -> str:
    if node.args.get("pivots"):
        raise NeedsPerson("PIVOT and UNPIVOT: write sum(...) FILTER (WHERE ...) for each column, or CROSS JOIN UNNEST")
    if isinstance(node, exp.Subquery):
        check(node, "this", "alias")
        outer, t.scope = t.scope, type(t.scope)(parent=t.scope.parent)
        try:
            text, outputs = t.query(node.this)
        finally:
            t.scope = outer
        names = [column.name.lower() for column in (node.args["alias"].args.get("columns") or ())] if node.alias else []
        columns: Columns | None = None
        if outputs is not None:
            listed = names or [name for name, _ in outputs]
            columns = {name: type for name, (_, type) in zip(listed, outputs, strict=False) if name}
        t.scope.sources.append(Source(node.alias.lower(), columns))
        alias = f" AS {quoted(node.alias.lower())}" if node.alias else ""
        return f"({text}){alias}{f' ({chr(44).join(map(quoted, names))})' if names else ''}"
    if isinstance(node, exp.Unnest):
        raise NeedsPerson(
            f"{shown(node)} unnests a SUPER: write CROSS JOIN UNNEST(array) AS x (column) of a declared array"
        )
    if not isinstance(node, exp.Table):
        raise NeedsPerson(f"{shown(node)} in FROM is not translated")
    return _table(t, node)


def _table(t: Translator, node: exp.Table) -> str:
    check(node, "this", "db", "catalog", "alias")
    if not isinstance(node.this, exp.Identifier):
        raise NeedsPerson(f"{shown(node)} in FROM: a function that gives rows is not translated")
    name, owner = node.name.lower(), ".".join(part.name.lower() for part in node.parts[:-1])
    if node.args.get("alias") and node.args["alias"].args.get("columns"):
        raise NeedsPerson(f"{shown(node)} renames the columns of a table; rename them in a query")
    if owner and t.scope.source(owner):
        raise NeedsPerson(
            f"{shown(node)} unnests a SUPER: write CROSS JOIN UNNEST({owner}.{name}) AS x (column, ...) of an array"
        )
    alias = f" AS {quoted(node.alias.lower())}" if node.alias else ""
    text, columns = _named(t, name, owner)
    t.scope.sources.append(Source((node.alias or node.name).lower(), columns))
    return text + alias


def _named(t: Translator, name: str, owner: str) -> tuple[str, Columns | None]:
    if not owner and name in t.ctes:
        return quoted(name), t.ctes[name]
    if name.startswith("#"):
        raise NeedsPerson(f"{name} is a temporary table: name its query with WITH")
    if name.startswith(_SYSTEM) or owner.endswith(("information_schema", "pg_catalog")):
        raise NeedsPerson(
            f"{name} is a table of Redshift's own; `dw queries`, `dw status` and `dw tables` tell the same of this one"
        )
    if t.tables is None:
        t.undeclared.append(name)
        return ".".join(map(quoted, [*filter(None, owner.split(".")), name])), None
    table = next((table for key, table in t.tables.items() if key.lower() == name), None)
    if table is None:
        raise NeedsPerson(f"there is no declared table {name}; there are {', '.join(sorted(t.tables)) or 'none'}")
    if t.owners.setdefault(name, owner) != owner:
        raise NeedsPerson(f"{name} is in several schemas; declared tables have none: which one is meant is not known")
    if owner:
        t.note(f"{owner}.{name} was taken for the declared table {table.name}")
    return quoted(table.name.lower()), {column.lower(): type for column, type in table.fields()}
