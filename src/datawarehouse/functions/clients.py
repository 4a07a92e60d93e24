"""Clients of AWS services, which repeat what was throttled. The only module that imports boto3.

Where they connect to is boto3's business: the Region's endpoints, or AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_<SERVICE>.
"""

from __future__ import annotations

from typing import Any

import boto3  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import ClientError  # type: ignore[import-untyped]

__all__ = ["ClientError", "client", "error_code"]

_ATTEMPTS_MAX = 8


def client(service: str) -> Any:
    """A client of a service, by boto3's name for it."""
    return boto3.client(service, config=Config(retries={"mode": "standard", "total_max_attempts": _ATTEMPTS_MAX}))


def error_code(error: ClientError) -> str:
    """What AWS calls an error, e.g. AccessDeniedException."""
    return str(error.response["Error"]["Code"])
