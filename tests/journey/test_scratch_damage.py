"""Scratch files and lists that are lost or damaged: named by whatever reads them, mended by `dw doctor --repair`, no
harm to anything else; and what a back-up brings back."""

import json
import shutil

import pytest
from running import running

from datawarehouse import Warehouse, open_warehouse
from datawarehouse.backup.restore import restore
from datawarehouse.clock import WallClock
from datawarehouse.errors import FileDamaged, FolderError, QueryFailed
from datawarehouse.folder import queries_root, scratch_root
from datawarehouse.runtime.auditing import Audit, Wanted
from datawarehouse.runtime.doctor import doctor_of
from datawarehouse.runtime.reader import Reader
from datawarehouse.settings import resolve

WAREHOUSE = Warehouse("shop").with_streaming_input_table("clicks", {"id": "string", "n": "int"})


@pytest.fixture
def folder(tmp_path):
    """A folder with a table of two files, another table and a view in scratch."""
    with open_warehouse(WAREHOUSE, tmp_path / "data") as opened:
        opened.put("clicks", [{"id": "a", "n": 1}])
        opened.flush()
        opened.query("create table scratch.t as select 1 as a")
        opened.query("insert into scratch.t select 2 union all select 3")
        opened.query("create table scratch.other as select * from clicks")
        opened.query("create view scratch.v as select id from scratch.other")
    return tmp_path / "data"


def rows(opened, sql):
    return sorted(tuple(row.values()) for row in opened.query(sql).dicts())


def files(folder, name):
    place = scratch_root(folder) / "_local" / "owner"
    [table] = [each for each in json.loads((place / "_tables.json").read_bytes())["tables"] if each["name"] == name]
    return [place / file["name"] for file in table["files"]]


def audited(folder, level="files"):
    with Reader(folder, resolve({})) as reader:
        return Audit(reader.catalog, folder, Wanted(level=level), WallClock()).run()


def repaired(folder):
    with doctor_of(folder, WAREHOUSE, WallClock()) as doctor:
        return {finding.what: finding for finding in doctor.repair()}


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def flipped(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        (lambda path: path.unlink(), "it is missing"),
        (cut, "bytes, and"),
        (flipped, "its bytes are not those that were written"),
    ],
)
def test_a_file_is_named_by_all_that_read_it_and_harms_no_other_table(folder, harm, problem):
    damaged = files(folder, "t")[1]
    harm(damaged)
    report = audited(folder)
    [found] = report.scratch
    assert (found.table, found.rows, found.key) == ("t", 2, "owner") and problem in found.problem
    assert report.code == 20 and not any(table.findings for table in report.tables)
    with open_warehouse(WAREHOUSE, folder) as opened:
        with pytest.raises(FileDamaged, match=rf"Table 'scratch\.t': its file .*{damaged.name} is .*{problem}"):
            opened.query("select count(a) from scratch.t")
        assert rows(opened, "select id from scratch.v") == [("a",)] == rows(opened, "select id from clicks")
    found = repaired(folder)[str(damaged.relative_to(folder))]
    assert found.is_damage and found.loss == "2 rows of the scratch table t of owner"
    with open_warehouse(WAREHOUSE, folder) as opened:
        assert rows(opened, "select a from scratch.t") == [(1,)]
        opened.query("drop table scratch.t")
    assert audited(folder, "data").scratch == [] and audited(folder).code == 0


@pytest.mark.parametrize("harm", [lambda path: path.unlink(), lambda path: path.write_bytes(b""), cut])
def test_a_list_that_is_lost_takes_no_rows_with_it(folder, harm):
    place = scratch_root(folder) / "_local" / "owner"
    before = {path.name for path in place.glob("*.parquet")}
    harm(place / "_tables.json")
    [found] = audited(folder).scratch
    assert found.path.endswith("_local/owner/_tables.json")
    with open_warehouse(WAREHOUSE, folder) as opened:
        for sql in ("select * from scratch.t", "create table scratch.x as select 1 as a", "drop table scratch.t"):
            with pytest.raises(FolderError, match="dw doctor --repair"):
                opened.query(sql)
        assert rows(opened, "select id from clicks") == [("a",)]
        assert ("clicks",) in rows(opened, "show tables")
        opened.expire()
    assert {path.name for path in place.glob("*.parquet")} == before
    assert repaired(folder)[str((place / "_tables.json").relative_to(folder))].is_damage
    assert {path.name for path in (folder / "_aside").rglob("*.parquet")} == before
    with open_warehouse(WAREHOUSE, folder) as opened:
        opened.query("create table scratch.t as select 5 as a")
        assert rows(opened, "select a from scratch.t") == [(5,)]
    assert audited(folder).code == 0


def test_a_back_up_brings_back_what_keys_have_made_and_saved(folder, tmp_path):
    with open_warehouse(WAREHOUSE, folder) as opened:
        queries_root(folder).mkdir(exist_ok=True)
        (queries_root(folder) / "saved.json").write_text("[]")
        opened.backup(tmp_path / "backups")
        opened.query("drop table scratch.t")
        again = opened.backup(tmp_path / "backups")
        assert again.new_files < 6, "files that are there are not copied again"
    shutil.rmtree(folder)
    restore(tmp_path / "backups", folder, None, lambda progress: None)
    assert audited(folder, "data").code == 0
    with open_warehouse(WAREHOUSE, folder) as opened:
        assert rows(opened, "select id from scratch.v") == [("a",)]
        with pytest.raises(QueryFailed, match="TABLE_NOT_FOUND"):
            opened.query("select * from scratch.t")
    assert (queries_root(folder) / "saved.json").read_text() == "[]"


def test_a_server_restores_the_scratch_and_the_saved_queries_of_a_key(tmp_path):
    declared = """
from datawarehouse import Warehouse

warehouse = Warehouse("shop").with_table("t", {"a": "int"}).with_workgroup("people", scratch_bytes_max=10**6)
"""

    def made(shop):
        created = shop.dw("keys", "create", "Ann", "--may", "query", "--workgroup", "people", "--output", "json")
        key = json.loads(created.stdout)
        return key, {"Authorization": f"Bearer {key['token']}"}

    def ask(shop, headers, sql):
        status, _, body = shop.request("POST", "/v1/query", json.dumps({"sql": sql, "format": "json"}), headers)
        assert status == 200, body
        return json.loads(body)

    with running(tmp_path, declaration=declared) as shop:
        key, headers = made(shop)
        ask(shop, headers, "create table scratch.own as select 7 as a")
        saved = json.dumps({"sql": "select a from scratch.own"})
        assert shop.request("PUT", "/v1/saved-queries/mine", saved, headers)[0] == 200
        shop.dw("backup", str(tmp_path / "backups"))
    (tmp_path / "data").rename(tmp_path / "lost")
    restore(tmp_path / "backups", tmp_path / "data", None, lambda progress: None)
    with running(tmp_path, declaration=declared) as shop:
        key, headers = made(shop)
        [query] = json.loads(shop.request("GET", "/v1/saved-queries", None, headers)[2])["queries"]
        assert (query["name"], ask(shop, headers, query["sql"])) == ("mine", [{"a": 7}])
        [kept] = scratch_root(tmp_path / "data").glob("people/*/_tables.json")
        kept.write_bytes(b"{")
        glue = shop.aws("glue", key["id"], key["secret"])
        assert {each["Name"] for each in glue.get_databases()["DatabaseList"]} >= {"shop", "scratch"}
        assert ask(shop, headers, "show tables")
        status, _, body = shop.request("POST", "/v1/query", json.dumps({"sql": query["sql"]}), headers)
        assert status != 200 and "dw doctor --repair" in body.decode()
