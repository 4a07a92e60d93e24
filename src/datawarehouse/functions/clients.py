"""Clients of AWS services, which retry throttled calls. This is the only module that imports boto3.

boto3 decides where they connect to: the Region's endpoints, or AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_<SERVICE>.
"""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

__all__ = ["THROTTLED", "ClientError", "client", "error_code"]

THROTTLED = {"ThrottlingException", "Throttling", "TooManyRequestsException", "SlowDown", "LimitExceededException",
             "RequestLimitExceeded", "ProvisionedThroughputExceededException"}  # fmt: skip
"""The codes of calls that came too often; each service has its own."""

_ATTEMPTS_MAX = 8


def client(service: str) -> Any:
    """A client of a service, by boto3's name for it."""
    return boto3.client(service, config=Config(retries={"mode": "standard", "total_max_attempts": _ATTEMPTS_MAX}))


def error_code(error: ClientError) -> str:
    """The code that AWS gives an error, e.g. AccessDeniedException."""
    return str(error.response["Error"]["Code"])
