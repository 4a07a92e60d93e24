import pytest
from running import running


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    """One running warehouse for the tests of a file; each test uses events of its own."""
    with running(tmp_path_factory.mktemp("project")) as started:
        yield started
