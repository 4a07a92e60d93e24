"""What tells a data folder from all others: its back-ups and what is pushed of it say it."""

from __future__ import annotations

import secrets
import threading

from datawarehouse.catalog.catalog import Catalog

_NOTE = "identity"
_FIRST = threading.Lock()


def identity_of(catalog: Catalog) -> str:
    """What tells this data folder from all others; one that is restored from its back-up has the same. Only an owner
    may ask, because the first time it is chosen."""
    with _FIRST:
        identity = catalog.noted(_NOTE)
        if identity is None:
            identity = secrets.token_hex(16)
            catalog.note(_NOTE, identity)
    return str(identity)
