"""A pytest plugin that writes down each case of tests/unit/convert/test_coercion.py, and what the embedded host makes
of it: lines of JSON, in the file that COERCION_CASES names. Values are in the form that Firehose takes for Iceberg."""

import base64
import json
import os
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

from datawarehouse.definition.instants import milliseconds_of
from datawarehouse.definition.rejects import Reason

_FILE = "COERCION_CASES"


def pytest_collection_finish(session):
    """Put a recorder around what every case of the module goes through."""
    [module] = {item.module for item in session.items}
    both_ways = module._both_ways

    def recorded(kind, record):
        outcome = both_ways(kind, record)
        data = record if isinstance(record, bytes) else record.encode()
        case = {"kind": kind, "data": base64.b64encode(data).decode()}
        if isinstance(outcome, Reason):
            case["reason"] = [outcome.code, outcome.expected, outcome.received, outcome.column]
        else:
            case["values"] = [in_json(value) for value in outcome]
        with Path(os.environ[_FILE]).open("a") as file:
            file.write(json.dumps(case) + "\n")
        return outcome

    module._both_ways = recorded


def in_json(value):
    """A value of Arrow: timestamps in microseconds, dates in ISO 8601, decimals as text with all their digits."""
    if isinstance(value, datetime):
        return milliseconds_of(value) * 1000
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, dict):
        return {
            in_json(name) if isinstance(name, str) else str(in_json(name)): in_json(item)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [in_json(item) for item in value]
    return value
