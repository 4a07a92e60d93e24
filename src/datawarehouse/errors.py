"""Every error this package raises on purpose.

    DataWarehouseError
    ├── DeclarationError            the declaration is wrong; nothing was started
    │   └── UnknownName             a table or stream that the declaration does not have
    ├── SchemaChangeRefused         the declaration changed in a way that stored data cannot follow
    ├── FolderError                 the data folder cannot be used
    │   ├── FolderInUse             another process owns it
    │   ├── FormatTooNew            written by a newer release
    │   └── JournalDamaged          acknowledged bytes are not what was written
    ├── BadRequest                  the caller's input is wrong; sending it again changes nothing
    ├── Throttled                   not taken; send it again after `retry_after_s`
    ├── QueryError
    │   ├── SqlSyntaxError          not a statement of Athena SQL
    │   ├── QueryRefused            understood, and not allowed
    │   ├── QueryFailed             the engine could not compute it
    │   └── QueryLimitExceeded      ended because of one of its limits
    ├── BadLine                     a line of a user's own JSON file cannot be read
    ├── WorkerDied                  a child process ended while working; its work was not done
    ├── DeploymentFailed            a stack on AWS could not be created, or not be removed
    └── MissingExtra                an optional dependency is not installed

`retryable` says whether the same call can succeed later without a change by the caller.
"""

from __future__ import annotations


class DataWarehouseError(Exception):
    """Base of all; `str(error)` says what was attempted, what came, what is valid and what to do."""

    retryable = False


class DeclarationError(DataWarehouseError, ValueError):
    """The declaration is wrong. Raised by the call that declares it."""


class UnknownName(DeclarationError, KeyError):
    """A table or an input stream was asked for that is not declared."""

    def __str__(self) -> str:
        return str(self.args[0])


class SchemaChangeRefused(DataWarehouseError):
    """The declaration no longer fits the stored files. Nothing was changed."""


class FolderError(DataWarehouseError):
    """The data folder cannot be used."""


class FolderInUse(FolderError):
    """Another process owns the data folder."""

    retryable = True


class FormatTooNew(FolderError):
    """The data folder was written by a newer release."""


class JournalDamaged(FolderError):
    """Bytes of the journal that were acknowledged are not what was written."""


class BadRequest(DataWarehouseError, ValueError):
    """The caller's input is wrong. Nothing was stored."""


class Throttled(DataWarehouseError):
    """Not taken, because a limit was reached. Nothing was stored.

    `limit` names the setting that was reached; `retry_after_s` is a hint in seconds.
    """

    retryable = True

    def __init__(self, message: str, limit: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.limit = limit
        self.retry_after_s = retry_after_s


class QueryError(DataWarehouseError):
    """A query gave no result."""


class SqlSyntaxError(QueryError):
    """The text is not one statement of Athena (Trino) SQL."""


class QueryRefused(QueryError):
    """The statement was understood and is not allowed, or not supported, here."""


class QueryFailed(QueryError):
    """The engine could not compute the statement (a cast, a missing column, a division by zero)."""


class QueryLimitExceeded(QueryError):
    """The query reached one of its limits and was ended; `limit` names the setting."""

    def __init__(self, message: str, limit: str) -> None:
        super().__init__(message)
        self.limit = limit


class BadLine(QueryError):
    """A line of a JSON table's file does not fit the declared columns."""


class WorkerDied(DataWarehouseError):
    """A child process ended in the middle of its work. The work was not done and can be repeated."""

    retryable = True


class DeploymentFailed(DataWarehouseError):
    """A stack could not be created, or not be removed.

    `stack` is its name; `is_left_over` whether something of it is still there, or may be: the message then has the
    commands that remove it.
    """

    def __init__(self, message: str, stack: str, is_left_over: bool) -> None:
        super().__init__(message)
        self.stack = stack
        self.is_left_over = is_left_over


class MissingExtra(DataWarehouseError, ImportError):
    """An optional dependency is not installed; the message has the command that installs it."""
