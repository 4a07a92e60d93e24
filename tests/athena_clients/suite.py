"""A plugin for PyAthena's own tests: their tables are there already, and who asked the server is noted.

The tests make a database of a random name, fill a bucket, and create tables over it. Here these are the tables of a
declaration, so that the tests are given its name, and these steps are left out. The tests themselves stay as they are;
those that a table names are left out.
"""

import os
from pathlib import Path

import botocore.httpsession
import pytest
import tests

tests.ENV.schema = "pyathena"
_sent = botocore.httpsession.URLLib3Session.send
_asked = 0


def _count(session, request):
    global _asked
    _asked += 1
    return _sent(session, request)


botocore.httpsession.URLLib3Session.send = _count


def pytest_plugin_registered(plugin):
    for step in ("_upload_rows", "_delete_rows", "_create_database", "_create_table", "_drop_database"):
        if hasattr(plugin, step):
            setattr(plugin, step, lambda *_: None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item, nextitem):
    item.asked_before = _asked
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    if call.when == "call":
        item.user_properties.append(("requests", _asked - item.asked_before))
    return (yield)


def pytest_collection_modifyitems(config, items):
    """Leave out what the table names: a test, or one of its parameters."""
    excluded = _excluded()
    out = [item for item in items if item.nodeid in excluded or item.nodeid.partition("[")[0] in excluded]
    items[:] = [item for item in items if item not in set(out)]
    config.hook.pytest_deselected(items=out)


def _excluded():
    lines = Path(os.environ.get("PYATHENA_EXCLUDED", os.devnull)).read_text().splitlines()
    return {f"tests/pyathena/{line.strip()}" for line in lines if line.startswith(" ")}
