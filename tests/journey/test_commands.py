"""What the commands print, for people and for programs, where no other journey shows it."""

import base64
import json
import re
import socket
import subprocess
import sys

import pytest
from running import DECLARATION, running
from running import command as dw

from datawarehouse import Warehouse, open_warehouse
from patience import patient


def test_tables_lists_the_declaration_without_any_data(tmp_path):
    (tmp_path / "warehouse.py").write_text(DECLARATION)
    tables = json.loads(dw(tmp_path, "tables", "--output", "json").stdout)
    assert [(table["table"], table["kind"]) for table in tables] == [
        ("clicks", "streaming input table"),
        ("views", "streaming input table"),
        ("facts", "table"),
    ]
    assert tables[0]["columns"] == {"id": "string", "n": "int", "at": "timestamp"}
    assert tables[0]["partition_keys"] == {"inserted_at": "string"}
    assert re.search(
        r"^clicks +streaming input table +id +string\n +n +int\n +at +timestamp\n +inserted_at +string +partition key$",
        dw(tmp_path, "tables").stdout,
        re.MULTILINE,
    )
    assert not (tmp_path / "data").exists()


def test_tables_shows_each_column_of_a_wide_table(tmp_path):
    columns = {f"column_{n}": "string" for n in range(40)}
    declared = f"Warehouse('w').with_table('wide', {columns}, {{'day': 'date'}})"
    (tmp_path / "warehouse.py").write_text(f"from datawarehouse import Warehouse\nwarehouse = {declared}")
    shown = dw(tmp_path, "tables").stdout
    assert all(f" {name} " in shown for name in columns)
    assert re.search("\n {6,} day +date +partition key\n$", shown), shown


def test_a_partition_is_told_and_its_folder_may_be_relative(tmp_path):
    declared = "Warehouse('w').with_table('prices', {'id': 'string'}, {'day': 'string'}, data_format='JSON')"
    (tmp_path / "warehouse.py").write_text(f"from datawarehouse import Warehouse\nwarehouse = {declared}")
    (tmp_path / "today").mkdir()
    (tmp_path / "today" / "a.json").write_text('{"id": "a"}\n')
    told = dw(tmp_path, "partition", "prices", "monday", "--location", "today")
    assert f"monday of table prices is the folder {tmp_path / 'today'}.\n" in told.stderr, told.stderr
    found = dw(tmp_path, "query", "select id, day from prices", "--output", "ndjson").stdout
    assert json.loads(found) == {"id": "a", "day": "monday"}


def test_what_init_says_to_type_begins_in_its_folder(tmp_path):
    assert "Next: `cd 'my shop'; dw up`" in dw(tmp_path, "init", "my shop").stdout
    (tmp_path / "here").mkdir()
    assert "Next: `dw up`" in dw(tmp_path / "here", "init").stdout


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (
            "from datawarehouse import Warehouse\nwarehouse = Warehouse(\n",
            "warehouse.py:2: SyntaxError: '(' was never closed",
        ),
        ("import nowhere_to_be_found", "warehouse.py:1: ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("import json\n\njson.loads('{')", "warehouse.py:3: JSONDecodeError: Expecting property name"),
    ],
)
def test_a_declaration_that_cannot_be_loaded_is_told_by_its_own_line(tmp_path, source, says):
    (tmp_path / "warehouse.py").write_text(source)
    done = dw(tmp_path, "tables")
    assert done.returncode == 2
    assert says in done.stderr and "Traceback" not in done.stderr


def test_rejects_are_counted_by_cause_and_exported_as_firehose_writes_them(tmp_path):
    declared = Warehouse("shop").with_streaming_input_table("clicks", {"n": "int"})
    with open_warehouse(declared, tmp_path / "data") as warehouse:
        warehouse.put("clicks", ['{"n":"x"}', '{"n":"y"}', "no json", '{"n":1}'])
        warehouse.flush()
    causes = json.loads(dw(tmp_path, "quarantine", "ls", "clicks", "--output", "json").stdout)
    assert [(cause["error_code"], cause["column_name"], cause["records"]) for cause in causes] == [
        ("DataFormatConversion.MalformedData", "n", 2),
        ("DataFormatConversion.ParseError", None, 1),
    ]
    documents = [json.loads(line) for line in dw(tmp_path, "quarantine", "export", "clicks").stdout.splitlines()]
    assert [base64.b64decode(document["rawData"]) for document in documents] == [b'{"n":"x"}', b'{"n":"y"}', b"no json"]
    first = documents[0]
    assert first["lastErrorCode"] == "DataFormatConversion.MalformedData"
    assert first["lastErrorMessage"].startswith("Data does not match the schema. Column 'n': expected a whole number")
    assert (first["dataCatalogTable"]["databaseName"], first["dataCatalogTable"]["tableName"]) == ("shop", "clicks")
    assert first["arrivalTimestamp"] > 1_700_000_000_000
    assert int(first["sequenceNumber"]) < int(documents[1]["sequenceNumber"]) < int(documents[2]["sequenceNumber"])


def test_log_lines_for_programs(tmp_path):
    with running(tmp_path, "--log-format", "json") as warehouse:
        for n in range(2):
            warehouse.events("clicks", b'{"n":%d}' % n)
            warehouse.flush()
    lines = [json.loads(line) for line in (tmp_path / "errors.log").read_text().splitlines()]
    assert any("merged 2 files of clicks" in line["message"] and line["level"] == "info" for line in lines)
    assert all(line.keys() >= {"time", "level", "logger", "message"} for line in lines)


def has_ipv6():
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback address")
def test_the_other_loopback_address(tmp_path):
    with running(tmp_path, "--host", "::1") as warehouse:
        assert warehouse.url.startswith("http://[::1]:")
        assert warehouse.events("clicks", b'{"n":1}') == (200, {"accepted": 1})
        assert "1 event accepted" in warehouse.dw("send", "clicks", "-", stdin='{"n":2}\n').stdout


def test_an_address_that_others_can_reach_is_refused(tmp_path):
    (tmp_path / "warehouse.py").write_text(DECLARATION)
    done = dw(tmp_path, "up", "--host", "0.0.0.0")
    assert done.returncode == 2
    assert "not a loopback address" in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_data_frame(tmp_path):
    declared = Warehouse("shop").with_streaming_input_table("clicks", {"n": "int"})
    with open_warehouse(declared, tmp_path / "data") as warehouse:
        warehouse.put("clicks", [{"n": 1}, {"n": 2}])
        warehouse.flush()
        frame = warehouse.query("select n from clicks order by n").df()
        assert frame["n"].tolist() == [1, 2]


def test_a_data_frame_without_pandas_says_what_to_install(tmp_path):
    code = """
import sys
sys.modules["pandas"] = None  # as if it were not installed
from datawarehouse import Warehouse, open_warehouse
from datawarehouse.errors import MissingExtra
with open_warehouse(Warehouse("shop").with_table("t", {"n": "int"}), sys.argv[1]) as warehouse:
    try:
        warehouse.query("select 1").df()
    except MissingExtra as error:
        print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "data")], capture_output=True, text=True, timeout=patient(60)
    )
    assert "pip install 'serverless-datawarehouse[pandas]'" in done.stdout, done.stderr
