"""Log lines for CloudWatch Logs: one JSON object each, whose members CloudWatch Logs Insights finds by name."""

from __future__ import annotations

import json
import sys


def log(message: str, **fields: object) -> None:
    """Write a line. What is no JSON value of its own is written as its text."""
    sys.stdout.write(json.dumps({"message": message, **fields}, default=str) + "\n")
    sys.stdout.flush()
