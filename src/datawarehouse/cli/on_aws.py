"""`dw ... --on aws`: what verbs share that work with the deployed warehouse. Only these import it: it needs boto3."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from datawarehouse.errors import BadRequest
from datawarehouse.operate.clients import Clients, told_in_our_words
from datawarehouse.operate.deployment import Deployment, find_deployment
from datawarehouse.runtime.declaration import DECLARATION, split
from datawarehouse.settings import FILE_NAME, SETTINGS


@contextmanager
def deployed(arguments: argparse.Namespace) -> Iterator[tuple[Deployment, Clients]]:
    """The deployed warehouse that the arguments mean, and clients for it. Errors of AWS are told in our words.

    Raises BadRequest for an argument that only the embedded warehouse has.
    """
    for setting in SETTINGS:
        if getattr(arguments, setting.name, None) is not None:
            raise BadRequest(f"{setting.flag} is of the embedded warehouse; leave it out, or leave out --on aws.")
    declaration, _ = split(getattr(arguments, "warehouse", DECLARATION))
    deployment = find_deployment(arguments.outputs, Path(declaration).parent / FILE_NAME)
    with told_in_our_words():
        yield deployment, Clients(deployment.region)
