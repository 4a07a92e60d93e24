"""Which expressions are constants when a statement is planned, and their values."""

from __future__ import annotations

import datetime
import re

from sqlglot import exp

from datawarehouse.errors import QueryFailed
from datawarehouse.sql.conditions import Constant
from datawarehouse.sql.translate.compiler import Compiler
from datawarehouse.sql.translate.literals import parsed_date


def constant(compiler: Compiler, node: exp.Expr) -> Constant:
    """See `Compiler.constant`."""
    match node:
        case exp.Paren():
            return constant(compiler, node.this)
        case exp.Literal():
            if node.is_string:
                return str(node.this)
            return int(node.this) if re.fullmatch(r"[0-9]{1,19}", node.this) else None
        case exp.Boolean():
            return bool(node.this)
        case exp.Neg():
            value = constant(compiler, node.this)
            return -value if type(value) is int else None
        case exp.Placeholder():
            bound = compiler.parameters[node.args["position"]]
            return bound if isinstance(bound, str | int | float | datetime.date) else None
        case exp.DPipe():
            return _joined(compiler, [node.this, node.expression])
        case exp.Anonymous() if node.name.lower() == "concat":
            return _joined(compiler, node.expressions)
        case exp.Cast():
            return _cast(compiler, node)
    return None


def _joined(compiler: Compiler, nodes: list[exp.Expr]) -> str | None:
    texts = [text for node in nodes if isinstance(text := constant(compiler, node), str)]
    return "".join(texts) if len(texts) == len(nodes) else None


def _cast(compiler: Compiler, node: exp.Cast) -> Constant:
    value, target = constant(compiler, node.this), node.args["to"]
    if target.this == exp.DType.VARCHAR and not target.expressions and type(value) in (str, int):
        return str(value)
    if target.this == exp.DType.DATE and isinstance(value, str):
        try:
            return parsed_date(value, node)
        except QueryFailed:
            return None
    if target.this in (exp.DType.INT, exp.DType.BIGINT) and type(value) is int:
        return value
    return None
