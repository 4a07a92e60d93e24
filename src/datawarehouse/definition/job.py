"""The one argument that a batch job's function gets; it is the same on both hosts.

def hourly_counts(job):
    [(count,)] = job.query("select count(*) from clicks where inserted_at = ?", [job.partition])
    yield {"event_type": "clicks", "count": count, "time": job.partition}
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from datawarehouse.errors import DeclarationError


class JobContext(Protocol):
    """What both hosts give to a job.

    `time` is the scheduled instant (UTC); `partition` the newest hour that ended at or before it, as
    YYYY/MM/DD/HH; `open_partition` the hour that `time` lies in. Rows that the function returns or yields are
    written for `partition`. `written` has the rows that were written so far, by partition.
    """

    time: datetime
    partition: str
    open_partition: str

    @property
    def written(self) -> Mapping[str, Any]: ...

    def query(self, sql: str, params: Sequence[Any] | None = None) -> Iterable[tuple[Any, ...]]: ...

    def write(self, rows: Iterable[Mapping[str, Any]], partition: str | None = None) -> None: ...


def run_function(function: Callable[..., Any], context: JobContext) -> None:
    """Call a job's function; the rows that it returns or yields are written for its partition."""
    returned = function(context)
    if returned is not None or not context.written:
        context.write([returned] if isinstance(returned, Mapping) else returned or ())


def checked_job(table: str, job: Any) -> Callable[..., Any]:
    """`job` if it is a module-level function of one argument, else DeclarationError.

    A lambda, a nested function or a bound method cannot be found again by name, in another process or in AWS
    Lambda.
    """
    valid = "a job is a function defined with `def` at the top level of a module, taking one argument, the job context"
    if not inspect.isfunction(job):
        raise DeclarationError(f"Table {table!r}: the job is {job!r}; {valid}.")
    if job.__name__ == "<lambda>" or "<locals>" in job.__qualname__ or "." in job.__qualname__:
        kind = "a lambda" if job.__name__ == "<lambda>" else f"{job.__qualname__!r}, which is not at the top level"
        raise DeclarationError(f"Table {table!r}: the job is {kind}; {valid}.")
    try:
        inspect.signature(job).bind(object())
    except TypeError:
        raise DeclarationError(
            f"Table {table!r}: the job {job.__name__}{inspect.signature(job)} cannot be called with one argument; "
            f"{valid}."
        ) from None
    if problem := not_callable_by_name(job):
        raise DeclarationError(f"Table {table!r}: the job {job.__name__} {problem}; {valid}.")
    return job


def not_callable_by_name(function: Callable[..., Any]) -> str:
    """Why another process that imports a function's module cannot call it; "" if it can."""
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return "is `async`, and nothing awaits it"
    if function.__module__ in sys.modules and _module_of(function) is None:
        return (
            f"is not what other processes find under that name in its module {function.__module__!r} "
            "(apply decorators with @, and keep the name)"
        )
    return ""


def file_of(function: Callable[..., Any]) -> Path | None:
    """The file of the module that defines a function, even if a decorator of another module wrapped it."""
    path = Path(getattr(_module_of(function), "__file__", None) or function.__code__.co_filename).absolute()
    return path if path.is_file() else None


def _module_of(function: Callable[..., Any]) -> ModuleType | None:
    """The module that has a function; None if another module is now loaded under that name, or the module has another
    function of that name."""
    module = sys.modules.get(function.__module__)
    return module if getattr(module, function.__name__, None) is function else None
