"""Log lines for CloudWatch Logs: each is one JSON object, whose members CloudWatch Logs Insights finds by name."""

from __future__ import annotations

import json
import sys


def log(message: str, **fields: object) -> None:
    """Write a line. A value that JSON does not have is written as its text."""
    sys.stdout.write(json.dumps({"message": message, **fields}, default=str) + "\n")
    sys.stdout.flush()
