"""Every error that this package raises on purpose, with its HTTP status, its exit code, and whether a retry can
succeed.

                                    HTTP  exit  again
    DataWarehouseError               500     1     no   any error without a more exact class
    ├── DeclarationError             400     2     no   the declaration is wrong; nothing was started
    │   └── UnknownName              404     2     no   a table or stream that the declaration does not have
    ├── SchemaChangeRefused          409     2     no   the declaration changed and stored data cannot follow
    ├── FolderError                  500     4     no   the data folder cannot be used
    │   ├── FolderInUse              503     4    yes   another process owns it
    │   ├── FormatTooNew             500     4     no   written by a newer release
    │   ├── JournalDamaged           500     4     no   acknowledged bytes are not what was written
    │   ├── CatalogDamaged           500     4     no   the catalog is lost, damaged or older than the data
    │   ├── BackupError              500     4     no   a back-up cannot be made there, or not be restored
    │   └── Unreachable              503     4    yes   its owner does not answer, or there is none
    ├── BadRequest                   400     2     no   the caller's input is wrong
    │   ├── BodyTooLarge             413     2     no   the body of a request is too large
    │   └── UnknownQuery             404     2     no   there is no such query, or its result is no longer kept
    ├── Unauthorized                 401     3     no   a request without a valid key
    ├── AccessDenied                 403     3     no   a key without the right that the request needs
    ├── Throttled                    429     4    yes   not accepted: a limit was reached
    ├── Closed                       503     4    yes   the warehouse is closed
    ├── ConversionStalled            503     1    yes   a table cannot be converted at the moment
    ├── QueryError                   500     1     no   a query gave no result
    │   ├── SqlSyntaxError           400     2     no   not a statement of Athena SQL
    │   ├── QueryRefused             400    10     no   understood, and not allowed
    │   ├── ScanRefused              403    11     no   its workgroup does not permit it to read so much
    │   ├── QueryFailed              422     1     no   the engine could not compute it
    │   ├── QueryLimitExceeded       422     4     no   ended because of one of its limits
    │   ├── QueryEnded               409     4     no   ended because somebody asked for that
    │   └── BadLine                  422     1     no   a line of a user's own JSON file cannot be read
    ├── FileDamaged                  500     1     no   a data file is not what was written
    ├── WorkerDied                   503     1    yes   a child process ended while working; its work was not done
    ├── InternalFailure              500     1    yes   an unexpected error in the server; its log has the details
    ├── DeploymentFailed             500     1     no   a stack on AWS could not be created, or not be removed
    └── MissingExtra                 500     1     no   an optional dependency is not installed

HTTP: the status that the server answers. exit: the exit code of `dw`. again: whether a retry of the same call,
unchanged, can succeed; the server then sends Retry-After. The server, the command and the client read these numbers
from the classes and have no other list. A class that states none inherits those of its parent, so an error without a
more exact class counts as a fault of the server and not of the caller.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar


class DataWarehouseError(Exception):
    """Base of all; `str(error)` says what was attempted, what was received, what is valid and what to do."""

    http_status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False
    retry_after_s: float = 1.0
    """How many seconds to wait before a retry, if `retryable`; 0 if the time is not known."""


class DeclarationError(DataWarehouseError, ValueError):
    """The declaration is wrong. Raised by the call that declares it."""

    http_status, exit_code = 400, 2


class UnknownName(DeclarationError, KeyError):
    """The declaration has no table or input stream of the requested name."""

    http_status = 404

    def __str__(self) -> str:
        return str(self.args[0])


class SchemaChangeRefused(DataWarehouseError):
    """The declaration no longer fits the stored files. Nothing was changed."""

    http_status, exit_code = 409, 2


class FolderError(DataWarehouseError):
    """The data folder cannot be used."""

    exit_code = 4


class FolderInUse(FolderError):
    """Another process owns the data folder."""

    http_status, retryable = 503, True


class FormatTooNew(FolderError):
    """The data folder was written by a newer release."""


class JournalDamaged(FolderError):
    """Acknowledged bytes of the journal have changed since they were written."""


class CatalogDamaged(FolderError):
    """The catalog is missing, damaged, or older than the data that it lists."""


class BackupError(FolderError):
    """A folder cannot take back-ups, or what is in it cannot be restored."""


class Unreachable(FolderError):
    """The owner of the data folder does not answer or accepts no more connections, or there is no owner."""

    http_status, retryable = 503, True
    retry_after_s = 0.0


class BadRequest(DataWarehouseError, ValueError):
    """The caller's input is wrong. Nothing was stored."""

    http_status, exit_code = 400, 2


class BodyTooLarge(BadRequest):
    """The body of a request is larger than `request_bytes_max`."""

    http_status = 413


class UnknownQuery(BadRequest):
    """There is no query of that id: it never was, or its result is no longer kept."""

    http_status = 404


class Unauthorized(DataWarehouseError):
    """The request has no valid key. Nothing was done."""

    http_status, exit_code = 401, 3


class AccessDenied(DataWarehouseError):
    """The key of the request does not have the right that it needs. Nothing was done."""

    http_status, exit_code = 403, 3


class Throttled(DataWarehouseError):
    """Not accepted, because a limit was reached. Nothing was stored.

    `limit` names the setting that was reached; `retry_after_s` is a hint in seconds.
    """

    http_status, exit_code, retryable = 429, 4, True

    def __init__(self, message: str, limit: str = "", retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.limit = limit
        self.retry_after_s = retry_after_s


class Closed(DataWarehouseError):
    """The warehouse is closed. Nothing was stored; the same call can succeed once the warehouse is open again."""

    http_status, exit_code, retryable = 503, 4, True


class ConversionStalled(DataWarehouseError):
    """A table cannot be converted at the moment. Its events are kept, and conversion is retried."""

    http_status, retryable = 503, True


class QueryError(DataWarehouseError):
    """A query gave no result."""

    has_read: bool = True
    """Whether it may have read something of what it would have read."""


class SqlSyntaxError(QueryError):
    """The text is not one statement of Athena (Trino) SQL."""

    http_status, exit_code = 400, 2


class QueryRefused(QueryError):
    """The statement was understood and is not allowed, or not supported, here."""

    http_status, exit_code = 400, 10


class ScanRefused(QueryError):
    """The workgroup of the query does not permit it to read what it would read.

    has_grown: it would read more than was estimated for it, since files came in between.
    """

    http_status, exit_code = 403, 11

    def __init__(self, message: str, has_grown: bool = False) -> None:
        super().__init__(message)
        self.has_grown = has_grown


class QueryFailed(QueryError):
    """The engine could not compute the statement (a cast, a missing column, a division by zero)."""

    http_status = 422


class QueryLimitExceeded(QueryError):
    """The query reached one of its limits and was ended; `limit` names the setting."""

    http_status, exit_code = 422, 4

    def __init__(self, message: str, limit: str = "") -> None:
        super().__init__(message)
        self.limit = limit


class QueryEnded(QueryError):
    """The query was ended because somebody asked for that, or because whoever asked it has gone."""

    http_status, exit_code = 409, 4


class BadLine(QueryError):
    """A line of a JSON table's file does not fit the declared columns."""

    http_status = 422


class FileDamaged(DataWarehouseError):
    """A data file is missing, or its bytes are not those that were written.

    `table` and `path` say whose file it is, and where it is in the data folder; `problem` says what is wrong with it.
    """

    def __init__(self, message: str, table: str = "", path: str = "", problem: str = "") -> None:
        super().__init__(message)
        self.table = table
        self.path = path
        self.problem = problem


class WorkerDied(DataWarehouseError):
    """A child process ended in the middle of its work. The work was not done and can be repeated."""

    http_status, retryable = 503, True


class InternalFailure(DataWarehouseError):
    """An unexpected error in the server. Its log has the details."""

    retryable = True


class DeploymentFailed(DataWarehouseError):
    """A stack could not be created, or not be removed.

    `stack` is its name. `is_left_over` is true if resources of it still exist, or may exist; the message then has the
    commands that remove them.
    """

    def __init__(self, message: str, stack: str = "", is_left_over: bool = False) -> None:
        super().__init__(message)
        self.stack = stack
        self.is_left_over = is_left_over


class MissingExtra(DataWarehouseError, ImportError):
    """An optional dependency is not installed; the message has the command that installs it."""


_PLACE = re.compile(r"\bline (\d+):(\d+)")


def place_in(message: str) -> dict[str, int]:
    """The line and the column of a statement, from 1 on, that an error of SQL names; nothing if it names none."""
    found = _PLACE.search(message)
    return {"line": int(found[1]), "column": int(found[2])} if found else {}


def without_frames(error: BaseException) -> None:
    """Let go of where an error was raised. Whoever keeps an error would keep all that those functions were called with,
    and raising it again would add to that."""
    error.__traceback__ = error.__context__ = error.__cause__ = None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint, with a blank before it, if a name is nearly one of those that there are; else nothing."""
    import difflib  # only here: an error is said once, and each process imports this module

    close = difflib.get_close_matches(name, list(known), 1)
    return f" Did you mean {close[0]!r}?" if close else ""


def rebuilt(name: str, message: str, attributes: Mapping[str, Any] | None = None) -> DataWarehouseError:
    """The error that another process raised: its class is `name`, its attributes are the same.

    A name that this release does not have gives a plain DataWarehouseError.
    """
    kind = globals().get(name)
    if not (isinstance(kind, type) and issubclass(kind, DataWarehouseError)):
        kind = DataWarehouseError
    error = kind(message)
    vars(error).update(attributes or {})
    return error
