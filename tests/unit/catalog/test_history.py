"""The history of queries, and what workgroups read of their days."""

from dataclasses import replace

import pytest

from datawarehouse.catalog.history import Entry, History, entries

ASKED = Entry("ab12", "ana", "production", "select 1", False, 1000)
DONE = replace(ASKED, started_ms=1001, ended_ms=1002, outcome="succeeded", rows=1)


@pytest.fixture
def history(tmp_path):
    opened = History(tmp_path / "history.sqlite")
    yield opened
    opened.close()


def test_a_query_is_one_entry_from_its_begin_to_its_end(tmp_path, history):
    history.put(ASKED)
    history.put(DONE)
    assert entries(tmp_path / "history.sqlite") == [DONE]


@pytest.mark.parametrize("who", ["ana", "bob"])
def test_a_query_that_takes_an_earlier_ones_id_has_an_entry_of_its_own(tmp_path, history, who):
    history.put(ASKED)
    history.put(DONE)
    other = replace(ASKED, who=who, sql="select secret", asked_ms=5000)
    history.put(other)
    history.put(replace(other, ended_ms=5001, outcome="failed", error="no"))
    found = entries(tmp_path / "history.sqlite")
    assert found == [replace(DONE, id="ab12-1"), replace(other, ended_ms=5001, outcome="failed", error="no")]
