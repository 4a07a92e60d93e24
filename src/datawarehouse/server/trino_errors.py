"""Errors in the words of Trino's client protocol.

Source of names and numbers: Trino, io.trino.spi.StandardErrorCode.
"""

from __future__ import annotations

import re
from typing import Any

from datawarehouse.errors import (
    AccessDenied,
    BadRequest,
    DataWarehouseError,
    MissingExtra,
    QueryEnded,
    QueryError,
    QueryLimitExceeded,
    QueryRefused,
    ScanRefused,
    SqlSyntaxError,
    place_in,
)

_USER = (
    "GENERIC_USER_ERROR SYNTAX_ERROR ABANDONED_QUERY USER_CANCELED PERMISSION_DENIED NOT_FOUND FUNCTION_NOT_FOUND "
    "INVALID_FUNCTION_ARGUMENT DIVISION_BY_ZERO INVALID_CAST_ARGUMENT OPERATOR_NOT_FOUND INVALID_VIEW ALREADY_EXISTS "
    "NOT_SUPPORTED INVALID_SESSION_PROPERTY INVALID_WINDOW_FRAME CONSTRAINT_VIOLATION TRANSACTION_CONFLICT "
    "INVALID_TABLE_PROPERTY NUMERIC_VALUE_OUT_OF_RANGE"
).split()
_CODES = {
    **{name: code for code, name in enumerate(_USER)},
    "AUTOCOMMIT_WRITE_CONFLICT": 25,
    "SUBQUERY_MULTIPLE_ROWS": 28,
    "INVALID_PROCEDURE_ARGUMENT": 30,
    "MISSING_SCHEMA_NAME": 57,
    "QUERY_REJECTED": 31,
    "QUERY_TEXT_TOO_LARGE": 35,
    "ADMINISTRATIVELY_KILLED": 38,
    "TYPE_NOT_FOUND": 43,
    "CATALOG_NOT_FOUND": 44,
    "SCHEMA_NOT_FOUND": 45,
    "TABLE_NOT_FOUND": 46,
    "COLUMN_NOT_FOUND": 47,
    "SCHEMA_ALREADY_EXISTS": 49,
    "TABLE_ALREADY_EXISTS": 50,
    "DUPLICATE_NAMED_QUERY": 53,
    "DUPLICATE_COLUMN_NAME": 54,
    "MISSING_COLUMN_NAME": 55,
    "TYPE_MISMATCH": 58,
    "INVALID_LITERAL": 59,
    "MISMATCHED_COLUMN_ALIASES": 61,
    "AMBIGUOUS_NAME": 62,
    "INVALID_COLUMN_REFERENCE": 63,
    "MISSING_GROUP_BY": 64,
    "MISSING_ORDER_BY": 65,
    "MISSING_OVER": 66,
    "NESTED_AGGREGATION": 67,
    "NESTED_WINDOW": 68,
    "EXPRESSION_NOT_IN_DISTINCT": 69,
    "EXPRESSION_NOT_AGGREGATE": 73,
    "EXPRESSION_NOT_SCALAR": 74,
    "EXPRESSION_NOT_CONSTANT": 75,
    "INVALID_ARGUMENTS": 76,
    "GENERIC_INTERNAL_ERROR": 65_536,
    "GENERIC_INSUFFICIENT_RESOURCES": 131_072,
    "EXCEEDED_TIME_LIMIT": 131_075,
    "EXCEEDED_LOCAL_MEMORY_LIMIT": 131_079,
}
_OTHER_NAMES = {"COLUMN_AMBIGUOUS": "AMBIGUOUS_NAME"}
_INTERNAL, _RESOURCES = 65_536, 131_072
_OF_LIMITS = {"query_time_max_s": "EXCEEDED_TIME_LIMIT", "query_memory_bytes_max": "EXCEEDED_LOCAL_MEMORY_LIMIT"}
_OF_ERRORS: tuple[tuple[type[DataWarehouseError], str], ...] = (
    (SqlSyntaxError, "SYNTAX_ERROR"),
    (QueryRefused, "NOT_SUPPORTED"),
    (MissingExtra, "NOT_SUPPORTED"),
    (ScanRefused, "QUERY_REJECTED"),
    (QueryEnded, "USER_CANCELED"),
    (QueryLimitExceeded, "GENERIC_INSUFFICIENT_RESOURCES"),
    (AccessDenied, "PERMISSION_DENIED"),
    (QueryError, "GENERIC_USER_ERROR"),
    (BadRequest, "GENERIC_USER_ERROR"),
)
_NAMED = re.compile(r"([A-Z_]+): ")


def error_of(error: Exception) -> dict[str, Any]:
    """What an answer says of an error: the name that Trino has for it, or the nearest."""
    text = str(error)
    name = _name(error, text)
    code = _CODES[name]
    kind = "USER_ERROR" if code < _INTERNAL else "INTERNAL_ERROR" if code < _RESOURCES else "INSUFFICIENT_RESOURCES"
    found = {
        "message": text.removeprefix(f"{name}: "),
        "errorCode": code,
        "errorName": name,
        "errorType": kind,
        "failureInfo": {"type": type(error).__name__, "message": text, "suppressed": [], "stack": []},
    }
    if place := place_in(text):
        found["errorLocation"] = {"lineNumber": place["line"], "columnNumber": place["column"]}
    return found


def _name(error: Exception, text: str) -> str:
    if named := _NAMED.match(text):
        name = _OTHER_NAMES.get(named[1], named[1])
        if name in _CODES:
            return name
    if isinstance(error, QueryLimitExceeded) and error.limit in _OF_LIMITS:
        return _OF_LIMITS[error.limit]
    return next((name for kind, name in _OF_ERRORS if isinstance(error, kind)), "GENERIC_INTERNAL_ERROR")
