"""Whoever changes the declaration of a running warehouse is told that it must be started again."""

import json
import shutil

import pytest
from running import running, until

DECLARATION = """
from datawarehouse import Warehouse
from columns_of import CLICKS

warehouse = Warehouse("shop").with_streaming_input_table("clicks", columns=CLICKS)
"""
SAYS = "changed after `dw up` had read it. Stop `dw up` and start it again to use it.\n"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    (folder / "columns_of.py").write_text("CLICKS = {'id': 'string'}\n")
    with running(folder, declaration=DECLARATION) as warehouse:
        yield warehouse


@pytest.fixture(autouse=True)
def as_it_was(shop, tmp_path):
    names = ("warehouse.py", "columns_of.py")
    for name in names:
        shutil.copy2(shop.folder / name, tmp_path / name)
    yield
    for name in names:
        shutil.copy2(tmp_path / name, shop.folder / name)


def remarks(shop):
    return shop.dw("status").stderr


@pytest.mark.parametrize("name", ["warehouse.py", "columns_of.py"])
def test_status_names_the_file_until_it_is_as_it_was_read(shop, name):
    file = shop.folder / name
    was = file.read_bytes()
    assert "changed" not in remarks(shop)
    file.write_bytes(was + b"# more\n")
    assert f"{name} {SAYS}" in remarks(shop)
    assert json.loads(shop.dw("status", "--output", "json").stdout)["changed_files"] == [name]
    file.write_bytes(was)  # at another time: what counts is what is in it
    assert "changed" not in remarks(shop)


def test_several_files_one_of_which_is_gone(shop):
    (shop.folder / "warehouse.py").write_text("syntax error")
    (shop.folder / "columns_of.py").unlink()
    assert f"columns_of.py, warehouse.py {SAYS}" in remarks(shop)


def test_a_file_that_the_declaration_did_not_read_does_not_count(shop):
    (shop.folder / "other.py").write_text("")
    assert "changed" not in remarks(shop)


def test_the_overview_says_it(shop):
    def told():
        found = json.loads(shop.request("GET", "/v1/overview")[2])["attention"]
        return [(each["severity"], each["text"]) for each in found if each["alert"] == "declaration_changed"]

    assert told() == []
    (shop.folder / "warehouse.py").write_text("")
    until(told, "the overview says it")
    assert told() == [("note", "warehouse.py changed after dw up had read it.")]


def test_modules_that_are_none_do_not_matter(tmp_path):
    """Some libraries put other things beside modules, or modules that load when something is asked of them."""
    (tmp_path / "columns_of.py").write_text(
        "import sys, types\n"
        "class Lazy(types.ModuleType):\n"
        "    def __getattr__(self, name): raise RuntimeError(name)\n"
        "sys.modules.update({'nothing': None, 'lazy': Lazy('lazy'), 'odd': types.SimpleNamespace(__file__=5)})\n"
        "CLICKS = {'id': 'string'}\n"
    )
    with running(tmp_path, declaration=DECLARATION) as odd:
        assert "changed" not in remarks(odd)


def test_a_restart_uses_it(tmp_path):
    (tmp_path / "columns_of.py").write_text("CLICKS = {'id': 'string'}\n")
    with running(tmp_path, declaration=DECLARATION):
        (tmp_path / "columns_of.py").write_text("CLICKS = {'id': 'string', 'n': 'int'}\n")
    with running(tmp_path, declaration=None) as again:
        assert "changed" not in remarks(again)
        assert again.events("clicks", b'{"id": "a", "n": 1}')[0] == 200
        again.flush()
        assert again.query("select n from clicks") == [{"n": 1}]
