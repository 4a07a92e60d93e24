"""Files in several forms, from a first declaration to rows."""

import gzip
import json
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from running import command, running

EVENTS = [
    {"Title": "The Land, Girls", "US Gross": 146083, "at": "1998-06-12 10:00:00.123", "tags": ["a", "b"]},
    {"Title": 'say "é"', "US Gross": 10876.5, "at": "1998-08-07 00:00:00.000", "tags": []},
]
CSV = 'Title;US Gross;at\r\n"The Land, Girls";146083;1998-06-12 10:00:00.123\r\n"say ""é""";10876.5;\r\n;;\r\n'
TABLE = pa.table(
    {
        "Title": [event["Title"] for event in EVENTS],
        "US Gross": pa.array([Decimal("146083"), Decimal("10876.5")], pa.decimal128(9, 2)),
        "at": pa.array([datetime.fromisoformat(event["at"]).replace(tzinfo=UTC) for event in EVENTS]),
        "tags": [event["tags"] for event in EVENTS],
    }
)


def lines(events=EVENTS):
    return "".join(json.dumps(event) + "\n" for event in events).encode()


def parquet(path):
    pq.write_table(TABLE, path)
    return path.read_bytes()


FILES = {
    "films.ndjson": lambda _: lines(),
    "films.json": lambda _: json.dumps(EVENTS, indent=1).encode(),
    "films.ndjson.gz": lambda _: gzip.compress(lines()),
    "films.csv": lambda _: CSV.encode(),
    "films.csv.gz": lambda _: gzip.compress(b"\xef\xbb\xbf" + CSV.encode()),
    "films.parquet": lambda folder: parquet(folder / "made"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_becomes_a_declaration_and_then_rows(tmp_path, name):
    (tmp_path / name).write_bytes(FILES[name](tmp_path))
    made = command(tmp_path, "init", "shop", "--from", str(tmp_path / name))
    assert made.returncode == 0, made.stderr
    assert "of these, 2 would be stored and 0 rejected" in made.stdout
    shop = tmp_path / "shop"
    declaration = (shop / "warehouse.py").read_text()
    kind = "string" if name.endswith("parquet") else "double"  # a decimal is told as text, which keeps its digits
    assert f'("{kind}", "US Gross")' in declaration
    checked = command(shop, "check", str(tmp_path / name), "--table", "films")
    assert (checked.returncode, checked.stdout) == (
        0,
        "2 events would give 2 rows of films, and none would be rejected\n",
    )
    with running(shop, declaration=None) as warehouse:
        sent = warehouse.dw("send", "films", str(tmp_path / name))
        assert sent.stdout.startswith("2 events accepted: 2 stored, 0 rejected")
        again = warehouse.dw("send", "films", str(tmp_path / name))
        assert "2 events of this file were sent before" in again.stdout
        rows = warehouse.query("select title, cast(us_gross as double) as gross, at from films order by title")
        assert [(row["title"], row["gross"]) for row in rows] == [("The Land, Girls", 146083.0), ('say "é"', 10876.5)]
        assert rows[0]["at"].startswith("1998-06-12T10:00:00.123")


def test_the_tests_that_are_written_pass(tmp_path):
    (tmp_path / "films.ndjson").write_bytes(lines())
    assert command(tmp_path, "init", ".", "--from", "films.ndjson").returncode == 0
    done = subprocess.run([sys.executable, "-m", "pytest", "-q"], cwd=tmp_path, capture_output=True, text=True)
    assert "1 passed" in done.stdout, done.stdout


@pytest.mark.parametrize("name", ["errors", "clicks_quarantine"])
def test_a_file_whose_name_is_reserved_gets_another_table(tmp_path, name):
    (tmp_path / f"{name}.ndjson").write_bytes(lines())
    assert command(tmp_path, "init", ".", "--from", f"{name}.ndjson").returncode == 0
    assert command(tmp_path, "check", f"{name}.ndjson", "--table", f"{name}_events").returncode == 0


def test_what_would_be_rejected_is_told_before_it_is_sent(tmp_path):
    (tmp_path / "warehouse.py").write_text(
        "from datawarehouse import Warehouse\n"
        "warehouse = Warehouse('w').with_streaming_input_table('films', {'id': 'string', 'n': 'int'})\n"
        "warehouse.with_table('own', {'id': 'string'})\n"
    )
    Path(tmp_path / "films.ndjson").write_text('{"id": "1", "n": 1, "more": 2}\n{"n": "x"}\nnonsense\n{"n": "y"}\n')
    done = command(tmp_path, "check", "films.ndjson", "--table", "films")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "4 events would give 1 row of films, and 3 would be rejected:",
        '  2: column n, expected a whole number from -2147483648 to 2147483647; the first, event 2, has the string "x"',
        "  1: expected JSON; the first, event 3, has invalid character (byte 4)",
        "keys that no column has, and that would be left out: more 1",
    ]
    found = json.loads(command(tmp_path, "check", "films.ndjson", "--table", "films", "--output", "json").stdout)
    assert (found["rows"], found["rejected"], found["causes"][0]["first_event"]) == (1, 3, 2)
    refused = command(tmp_path, "check", "films.ndjson", "--table", "own")
    assert (refused.returncode, "streaming input tables" in refused.stderr) == (2, True)


def test_a_row_of_csv_with_too_many_fields_blocks_no_other(tmp_path):
    (tmp_path / "films.csv").write_text("id,n\na,1\nb,2,3\nc,3\n")
    made = command(tmp_path, "init", ".", "--from", "films.csv")
    assert "of these, 2 would be stored and 1 rejected" in made.stdout
    with running(tmp_path, declaration=None) as warehouse:
        warehouse.dw("send", "films", "films.csv")
        assert warehouse.query("select id, n from films order by 1") == [{"id": "a", "n": 1}, {"id": "c", "n": 3}]
        [rejected] = warehouse.query("select from_utf8(raw_data) as raw from films_quarantine")
        assert rejected["raw"] == "b,2,3"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("e.csv", b"", "has no header"),
        ("e.ndjson", b"\n", "No event was found"),
        ("e.ndjson", b"nonsense\n", "No event was found"),
        ("e.ndjson.gz", gzip.compress(lines())[:-12], "cannot be read any further"),
        ("e.parquet", b"PAR1 and no more", "cannot be read as Parquet"),
    ],
)
def test_a_file_without_events_is_refused_by_name(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    done = command(tmp_path, "init", "p", "--from", name)
    assert (done.returncode, message in done.stderr, name in done.stderr or message.startswith("cannot")) == (
        2, True, True,
    ), done.stderr  # fmt: skip
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,n,n,m,m\na,1,2,3,4\n", "several columns of one name, 'm', 'n'"),
        ('id,n\na,1\nb,"2\nc,3\nd,4\n', "a quote in line 3 that is never closed"),
        ('id,n\na,1\nb,"2\nc,3\nd,4', "a quote in line 3 that is never closed"),
        ("id,n\na,1\n".encode("utf-16"), "is UTF-16"),
        (gzip.compress("id,n\na,1\n".encode("utf-16")), "is UTF-16"),
    ],
    ids=["names", "quote", "quote at the end", "UTF-16", "UTF-16 in gzip"],
)
def test_csv_that_would_lose_something_is_refused(tmp_path, content, message):
    (tmp_path / "warehouse.py").write_text(
        "from datawarehouse import Warehouse\n"
        "warehouse = Warehouse('w').with_streaming_input_table('films', {'id': 'string', 'n': 'string'})\n"
    )
    path = tmp_path / "films.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    done = command(tmp_path, "check", "films.csv", "--table", "films")
    assert (done.returncode, message in done.stderr) == (2, True), done


def test_utf_16_is_told_of_lines_of_json_too(tmp_path):
    (tmp_path / "films.ndjson").write_bytes('{"id": "1"}\n'.encode("utf-16"))
    done = command(tmp_path, "init", "p", "--from", "films.ndjson")
    assert (done.returncode, "iconv -f UTF-16 -t UTF-8" in done.stderr) == (2, True)


def test_csv_has_fields_of_any_length_and_of_many_lines(tmp_path):
    (tmp_path / "warehouse.py").write_text(
        "from datawarehouse import Warehouse\n"
        "warehouse = Warehouse('w').with_streaming_input_table('films', {'id': 'string', 'n': 'string'})\n"
    )
    long = "x" * 300_000
    (tmp_path / "films.csv").write_text(f'id,n\na,{long}\nb,"two\nlines" \nc,"two\nlines"\nd,"two\nlines"')
    done = command(tmp_path, "check", "films.csv", "--table", "films")
    assert done.stdout == "4 events would give 4 rows of films, and none would be rejected\n", done


WITHOUT_PANDAS = """
import sys
from pathlib import Path

class Missing:
    def find_spec(self, name, path, target=None):
        if name == "pandas":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
from datawarehouse.parquet.events import rows_as_json

print(b"".join(rows_as_json(Path(sys.argv[1]))).decode(), end="")
"""


def test_parquet_has_nanoseconds_and_maps_of_any_keys(tmp_path):
    instant = pa.timestamp("ns")
    table = pa.table(
        {
            "at": pa.array([1_700_000_000_123_456_789], pa.timestamp("ns", "Europe/Berlin")),
            "nested": pa.array([[{"at": [(1_700_000_000_123_456_789, None)]}]], pa.list_(
                pa.struct([("at", pa.map_(instant, instant))]))),
            "days": pa.array([[(0, Decimal("1.5"))]], pa.map_(pa.date32(), pa.decimal128(5, 2))),
            "raw": pa.array([[(b"\xff", 1)]], pa.map_(pa.binary(), pa.int32())),
            "of_day": pa.array([1_000], pa.time64("ns")),
        }
    )  # fmt: skip
    path = tmp_path / "e.parquet"
    pq.write_table(table, path)
    done = subprocess.run([sys.executable, "-c", WITHOUT_PANDAS, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    text = "2023-11-14 22:13:20.123"
    assert json.loads(done.stdout) == {
        "at": text, "nested": [{"at": {text: None}}], "days": {"1970-01-01": "1.50"}, "raw": {"/w==": 1},
        "of_day": "00:00:00.000001",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"]), "several columns of one name, 'a'"),
        (pa.table({"a": pa.array([2**62], pa.timestamp("us"))}), "cannot be read as Parquet"),
        (pa.table({"a": pa.array([2**30], pa.date32())}), "cannot be read as Parquet"),
    ],
    ids=["names", "instant", "date"],
)
def test_parquet_that_no_event_can_be_made_of_is_refused(tmp_path, table, message):
    pq.write_table(table, tmp_path / "e.parquet")
    done = command(tmp_path, "init", "p", "--from", "e.parquet")
    assert (done.returncode, message in done.stderr) == (2, True), done


@pytest.mark.parametrize("folder", ["file", "file/below"])
def test_a_folder_that_cannot_be_written_is_told_of(tmp_path, folder):
    (tmp_path / "file").write_text("mine")
    for verb in ("init", "demo"):
        done = command(tmp_path, verb, folder)
        assert (done.returncode, "cannot be written" in done.stderr) == (2, True), done
