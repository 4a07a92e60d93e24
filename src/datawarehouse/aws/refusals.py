"""Refusals as `pulumi up` should show them.

An error that is a pulumi.RunError ends a program with its message alone, any other with a traceback of dozens of lines,
of which only the last one helps.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import pulumi

from datawarehouse.errors import (
    DataWarehouseError,
    DeclarationError,
    DeploymentFailed,
    SchemaChangeRefused,
    UnknownName,
)

P = ParamSpec("P")
R = TypeVar("R")


class RefusedName(UnknownName, pulumi.RunError):
    """UnknownName, in one line."""


class RefusedDeclaration(DeclarationError, pulumi.RunError):
    """DeclarationError, in one line."""


class RefusedChange(SchemaChangeRefused, pulumi.RunError):
    """SchemaChangeRefused, in one line."""


class RefusedDeployment(DeploymentFailed, pulumi.RunError):
    """DeploymentFailed, in one line."""


_IN_ONE_LINE: list[tuple[type[DataWarehouseError], type[DataWarehouseError]]] = [
    (UnknownName, RefusedName),
    (DeclarationError, RefusedDeclaration),
    (SchemaChangeRefused, RefusedChange),
    (DeploymentFailed, RefusedDeployment),
]


def in_one_line(function: Callable[P, R]) -> Callable[P, R]:
    """The function, whose refusals are of the same class and in one line."""

    @functools.wraps(function)
    def refusing(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except DataWarehouseError as error:
            refusal = next((refusal for kind, refusal in _IN_ONE_LINE if isinstance(error, kind)), None)
            if refusal is None or isinstance(error, pulumi.RunError):
                raise
            raise refusal(str(error)) from error

    return refusing
