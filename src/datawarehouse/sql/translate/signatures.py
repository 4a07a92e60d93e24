"""Which line of `functions` a call means, and the types that its type variables stand for.

1. Find the type of every argument except the lambdas.
2. Take the first signature that fits without a coercion; else the first that fits with one.
3. A type variable is the common type of all arguments it stands for.
4. Translate each lambda with the types of its parameters; what it returns binds the variable after the colon.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from datawarehouse.sql import types
from datawarehouse.sql.types import Type

_NAMED = {
    str(each): each
    for each in (
        types.UNKNOWN,
        types.BOOLEAN,
        *types.INTEGERS,
        *types.FLOATS,
        types.VARCHAR,
        types.VARBINARY,
        types.JSON,
        types.DATE,
        *types.TIMESTAMPS,
        *types.INSTANTS,
        types.DAY_TO_SECOND,
        types.YEAR_TO_MONTH,
        types.HYPERLOGLOG,
        types.UUID,
        types.IPADDRESS,
    )
}
_CLASSES: dict[str, Callable[[Type], bool]] = {
    "I": lambda type: type in types.INTEGERS,
    "F": lambda type: type in types.FLOATS,
    "N": types.is_numeric,
    "D": lambda type: type in types.TIMES or types.is_instant(type),
    "M": lambda type: type in types.TIMESTAMPS or types.is_instant(type),
    "H": lambda type: type in types.DAYTIMES,
    "P": lambda type: type in types.TIMESTAMPS,
    "Z": types.is_instant,
    "Y": lambda type: type in types.INTERVALS,
}
_DEFAULTS = {
    "I": types.INTEGER,
    "F": types.DOUBLE,
    "N": types.INTEGER,
    "D": types.DATE,
    "M": types.TIMESTAMP,
    "H": types.DAYTIMES[types.DIGITS_MIN],
    "P": types.TIMESTAMP,
    "Z": types.INSTANT,
}
LOCAL = ("D", "M")
"""Of a time in a zone their functions get the local time."""


@dataclass(frozen=True, slots=True)
class Signature:
    """Types are as in the table; a type variable is a type whose name is one capital letter."""

    text: str
    parameters: tuple[Type, ...]
    variadic: bool
    result: Type
    template: str

    def parameter(self, position: int) -> Type:
        return self.parameters[min(position, len(self.parameters) - 1)]

    def takes(self, count: int) -> bool:
        return count >= len(self.parameters) if self.variadic else count == len(self.parameters)


Bound = dict[str, Type]


def signatures(table: str) -> dict[str, list[str]]:
    """The lines of a table by the function's name. They are parsed when they are needed."""
    lines: list[str] = []
    for line in table.splitlines():
        if line.startswith(" "):
            # Two blanks part the signature from its expression.
            lines[-1] += (" " if "  " in lines[-1] else "  ") + line.strip()
        elif line and not line.startswith("#"):
            lines.append(line)
    found: dict[str, list[str]] = {}
    for line in lines:
        found.setdefault(line[: line.index("(")], []).append(line)
    return found


@lru_cache(maxsize=1024)
def read(line: str) -> Signature:
    text, template = re.split(r"  +", line, maxsplit=1)
    head, result = text.split(" -> ")
    inside = head[head.index("(") + 1 : -1]
    parameters = tuple(_type(part.removesuffix("...")) for part in _split(inside))
    return Signature(text, parameters, inside.endswith("..."), _type(result), template)


def bind(signature: Signature, arguments: Sequence[Type | None]) -> tuple[bool, Bound] | None:
    """How `arguments` (None for a lambda) fit: whether exactly, and the types of the type variables; None if they do
    not fit."""
    if not signature.takes(len(arguments)):
        return None
    bound: Bound = {}
    for position, argument in enumerate(arguments):
        parameter = signature.parameter(position)
        if (argument is None) is not (parameter.name == "fn") or (
            argument and not _collect(parameter, argument, bound)
        ):
            return None
    if not all(_of_class(name, type) for name, type in bound.items()):
        return None
    for name, type in bound.items():
        if type == types.UNKNOWN and name in _DEFAULTS:
            bound[name] = _DEFAULTS[name]
    exact = True
    for position, argument in enumerate(arguments):
        if argument is None:
            continue
        target = filled(signature.parameter(position), bound)
        exact = exact and argument == target
        if not types.coerces(argument, target) and argument != target:
            return None
    return exact, bound


def filled(type: Type, bound: Mapping[str, Type]) -> Type:
    """`type` with its variables replaced."""
    if is_variable(type):
        return bound.get(type.name, type)
    if not type.args:
        return type
    return Type(type.name, tuple(filled(part, bound) for part in type.args), type.names, type.precision, type.scale)


def _collect(parameter: Type, argument: Type, bound: Bound) -> bool:
    """Bind the variables of `parameter` to the types that `argument` has in their places."""
    if is_variable(parameter):
        type = types.common(bound.get(parameter.name, types.UNKNOWN), argument)
        if type is None:
            return False
        bound[parameter.name] = type
        return True
    if not parameter.args:
        return types.coerces(argument, parameter)
    if argument == types.UNKNOWN:
        return all(_collect(part, types.UNKNOWN, bound) for part in parameter.args)
    if parameter.name != argument.name or len(parameter.args) != len(argument.args):
        return False
    return all(_collect(a, b, bound) for a, b in zip(parameter.args, argument.args, strict=True))


def _of_class(variable: str, type: Type) -> bool:
    return variable not in _CLASSES or type == types.UNKNOWN or _CLASSES[variable](type)


def is_variable(type: Type) -> bool:
    return len(type.name) == 1


def _type(text: str) -> Type:
    if text in _NAMED:
        return _NAMED[text]
    if text.startswith("fn("):
        inside, _, result = text[3:].rpartition("):")
        return Type("fn", (*map(_type, _split(inside)), _type(result)))
    if number := re.fullmatch(r"decimal\((\d+),(\d+)\)", text):
        return types.decimal(int(number[1]), int(number[2]))
    name, bracket, rest = text.partition("(")
    parts = tuple(_type(part) for part in _split(rest[:-1])) if bracket else ()
    return Type(name, parts, (None,) * len(parts) if name == "row" else ())


def _split(text: str) -> Iterator[str]:
    """The parts between commas that are not inside parentheses."""
    depth, start = 0, 0
    for at, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            yield text[start:at].strip()
            start = at + 1
    if text[start:].strip():
        yield text[start:].strip()
