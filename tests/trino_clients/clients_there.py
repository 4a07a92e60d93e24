"""Where `make test-trino-clients` has put the clients."""

from pathlib import Path

import pytest

INSTALLED = Path(__file__).parents[2] / ".venv" / "trino"
PROGRAMS = Path(__file__).with_name("programs")


def installed(path, what):
    """A file of a client; without it the test is skipped."""
    found = INSTALLED / path
    if not found.exists():
        pytest.skip(f"{what} is not installed: make test-trino-clients")
    return found
