"""Clients of the services of a deployment, and what their errors mean in our words.

boto3 decides about credentials (AWS_PROFILE and so on) and endpoints (AWS_ENDPOINT_URL); the Region is that of the
deployment.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from botocore import exceptions as known
from botocore.config import Config

from datawarehouse.errors import BadRequest, DataWarehouseError, Throttled, Unreachable
from datawarehouse.functions.clients import THROTTLED

_ATTEMPTS_MAX = 8
_ABSENT = {"EntityNotFoundException", "ResourceNotFoundException", "NoSuchBucket"}
_SIGN_IN = "`aws sts get-caller-identity` must work; AWS_PROFILE chooses the profile"


class Clients:
    """Makes one client for each service. A client may be used by threads."""

    def __init__(self, region: str) -> None:
        self._session = boto3.Session(region_name=region)
        self._made: dict[tuple[str, bool], Any] = {}

    def __call__(self, service: str) -> Any:
        """A client that repeats what failed, with pauses: up to eight attempts."""
        return self._client(service, {}, repeats=True)

    def once(self, service: str, **limits: Any) -> Any:
        """A client that tries a call once, for calls that must not be repeated unseen. limits: of botocore's Config,
        e.g. read_timeout in seconds."""
        return self._client(service, limits, repeats=False)

    def _client(self, service: str, limits: dict[str, Any], *, repeats: bool) -> Any:
        if (service, repeats) not in self._made:
            attempts = {"mode": "standard", "total_max_attempts": _ATTEMPTS_MAX if repeats else 1}
            config = Config(retries=attempts, **limits)
            self._made[service, repeats] = self._session.client(service, config=config)
        return self._made[service, repeats]


@contextmanager
def told_in_our_words() -> Iterator[None]:
    """Turn an error of boto3 into one of ours: what failed, and what to do next."""
    try:
        yield
    except (known.NoCredentialsError, known.PartialCredentialsError, known.ProfileNotFound) as error:
        raise BadRequest(f"There are no credentials for AWS: {error}. {_SIGN_IN}.") from None
    except known.ClientError as error:
        raise refused(error) from None
    except (known.ConnectionError, known.HTTPClientError, known.CredentialRetrievalError) as error:
        raise Unreachable(f"AWS does not answer: {error}.") from None
    except known.BotoCoreError as error:
        raise DataWarehouseError(f"A call of AWS failed: {error}. {_SIGN_IN}.") from None


def error_code(error: known.ClientError) -> str:
    """The code that AWS gives an error, e.g. AccessDeniedException."""
    return str(error.response["Error"]["Code"])


def refused(error: known.ClientError) -> DataWarehouseError:
    """The error of ours for one that a service answered."""
    code, message = error_code(error), f"{error.operation_name} was refused: {error}"
    if code in THROTTLED:
        return Throttled(f"{message}. Try again later.")
    if "ExpiredToken" in code or code in ("UnrecognizedClientException", "InvalidClientTokenId"):
        return BadRequest(f"{message}. {_SIGN_IN}.")
    if code in _ABSENT:
        return DataWarehouseError(f"{message}. Are the outputs those of the last `pulumi up`, and is it this account?")
    return DataWarehouseError(f"{message}")
