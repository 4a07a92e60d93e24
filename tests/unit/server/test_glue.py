"""The Glue catalog over a catalog of a year of hours, whose files need not be there."""

import asyncio
import base64
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from datawarehouse import Warehouse
from datawarehouse.access.identity import EVERYBODY, Identity
from datawarehouse.access.rights import Rights
from datawarehouse.catalog.catalog import Catalog
from datawarehouse.catalog.records import Converted, File
from datawarehouse.catalog.views import StoredView, keep_views
from datawarehouse.clock import WallClock
from datawarehouse.definition.partition import HOUR_MS, partition_of
from datawarehouse.scratch.limits import ScratchLimits
from datawarehouse.scratch.store import Scratch
from datawarehouse.server.glue import Glue
from datawarehouse.server.http import Request
from datawarehouse.server.scratch_schemas import ScratchSchemas

YEAR = 8760
FIRST_MS = round(datetime(2025, 1, 1, tzinfo=UTC).timestamp() * 1000)
HOURS = [partition_of(FIRST_MS + number * HOUR_MS) for number in range(YEAR)]
COLUMNS = {"id": "string", "tags": "array<string>", "s": "struct<a:int,b:map<string,decimal(10,2)>>"}


def files(kind, hours):
    return [
        File("clicks", kind, hour, f"{kind}/clicks/{hour}/{number}.parquet", 1, [(0, 0)], 1, 1, 100)
        for hour in hours
        for number in range(2 if hour < HOURS[100] else 1)
    ]


@pytest.fixture(scope="module")
def glue(tmp_path_factory):
    catalog = Catalog(tmp_path_factory.mktemp("glue") / "catalog.sqlite", writable=True, new=True, synced=False)
    warehouse = (
        Warehouse("shop")
        .with_streaming_input_table("clicks", COLUMNS)
        .with_batch_input_table("plain", {"id": "string"}, sql="select 'a' as id", schedule_expression="rate(1 hour)")
        .with_table("facts", {"id": "string"}, {"day": "date", "n": "int"}, data_format="JSON")
    )
    catalog.declare("shop", warehouse.tables())
    clicks = warehouse.get_table("clicks")
    catalog.commit_batch("clicks", files("rows", HOURS) + files("rejects", HOURS[5:6]), [], Converted(1, 1, 1), 1)
    keep_views(catalog, [StoredView("kept", "select id from clicks", clicks.columns[:1], ("clicks",))])
    for n in (2, 10):
        catalog.register_partition("facts", ["2026-01-01", str(n)], None)
    with ThreadPoolExecutor(1) as executor:
        scratch = Scratch(tmp_path_factory.mktemp("scratch"), WallClock(), ScratchLimits(0, 0, 0, 0))
        yield Glue("shop", catalog, ScratchSchemas(scratch), executor)
    catalog.close()


def asked(glue, operation, identity=EVERYBODY, **arguments):
    """(status, answer) of one call."""
    headers = {b"x-amz-target": f"AWSGlue.{operation}".encode(), b"authorization": b"AWS4-HMAC-SHA256 any"}
    request = Request("POST", "/", "", headers, None, identity=identity)
    response = asyncio.run(glue.handle(request, json.dumps(arguments).encode()))
    return response.status, json.loads(response.body)


def answer(glue, operation, **arguments):
    status, found = asked(glue, operation, **arguments)
    assert status == 200, found
    return found


def pages(glue, operation, of, **arguments):
    """All pages of a list, and how many there were."""
    found, token, count = [], {}, 0
    while True:
        page = answer(glue, operation, **arguments, **token)
        found, count = found + page[of], count + 1
        if "NextToken" not in page:
            return found, count
        token = {"NextToken": page["NextToken"]}


def test_tables(glue):
    assert [each["Name"] for each in answer(glue, "GetDatabases")["DatabaseList"]] == ["shop", "scratch"]
    assert answer(glue, "GetDatabase", Name="SHOP")["Database"]["Name"] == "shop"
    found, count = pages(glue, "GetTables", "TableList", DatabaseName="shop", MaxResults=3)
    assert ([each["Name"] for each in found], count) == (["clicks", "clicks_quarantine", "facts", "kept", "plain"], 2)
    table = answer(glue, "GetTable", DatabaseName="shop", Name="clicks", CatalogId="any")["Table"]
    assert table == found[0]
    assert {each["Name"]: each["Type"] for each in table["StorageDescriptor"]["Columns"]} == COLUMNS
    assert table["PartitionKeys"] == [{"Name": "inserted_at", "Type": "string"}]
    assert table["StorageDescriptor"]["Location"] == "s3://dw-tables/clicks/"
    assert table["Parameters"]["classification"] == "parquet"
    facts = found[2]
    assert "Location" not in facts["StorageDescriptor"]
    assert [each["Type"] for each in facts["PartitionKeys"]] == ["date", "int"]
    assert found[4]["PartitionKeys"] == []
    versions = answer(glue, "GetTableVersions", DatabaseName="shop", TableName="clicks")["TableVersions"]
    assert versions == [{"Table": table, "VersionId": "1"}]
    assert answer(glue, "GetCatalogImportStatus") == {"ImportStatus": {"ImportCompleted": True}}


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("clicks", ["clicks"]),
        ("click*", ["clicks", "clicks_quarantine"]),
        (".*c.*", ["clicks", "clicks_quarantine", "facts"]),
        ("^f.cts$", ["facts"]),
        ("click", []),
        (r"clicks\_quarantine", ["clicks_quarantine"]),
        ("*", ["clicks", "clicks_quarantine", "facts", "kept", "plain"]),
        (".*a.*a.*a.*a.*a.*a.*a.*a.*a.*a.*a.*", []),
    ],
)
def test_names_of_tables(glue, expression, names):
    found = answer(glue, "GetTables", DatabaseName="shop", Expression=expression)["TableList"]
    assert [each["Name"] for each in found] == names


def test_a_view(glue):
    view = answer(glue, "GetTable", DatabaseName="shop", Name="kept")["Table"]
    assert (view["TableType"], view["PartitionKeys"]) == ("VIRTUAL_VIEW", [])
    assert view["StorageDescriptor"]["Columns"] == [{"Name": "id", "Type": "string"}]
    text = base64.b64decode(view["ViewOriginalText"].removeprefix("/* Presto View: ").removesuffix(" */"))
    described = json.loads(text)
    assert described["originalSql"] == "select id from clicks"
    assert described["columns"] == [{"name": "id", "type": "varchar"}]
    status, refused = asked(glue, "GetPartitions", DatabaseName="shop", TableName="kept")
    assert (status, refused["message"]) == (400, "kept is a view, which has no partitions; ask for those of clicks.")
    for may, there in (("query:clicks", 200), ("query:facts", 400)):
        identity = Identity("k", Rights(frozenset({may})))
        assert asked(glue, "GetTable", identity, DatabaseName="shop", Name="kept")[0] == there


def test_a_search_for_names(glue):
    found, count = pages(glue, "SearchTables", "TableList", SearchText="LI", MaxResults=1)
    assert ([each["Name"] for each in found], count) == (["clicks", "clicks_quarantine"], 2)


@pytest.mark.parametrize("segments", [1, 3, 10])
def test_a_year_in_pages_and_segments_has_each_hour_once(glue, segments):
    found, counts = [], []
    for number in range(segments):
        segment = {"SegmentNumber": number, "TotalSegments": segments}
        some, count = pages(
            glue, "GetPartitions", "Partitions", DatabaseName="shop", TableName="clicks", Segment=segment,
            ExcludeColumnSchema=True,
        )  # fmt: skip
        found += [each["Values"][0] for each in some]
        counts.append(count)
    assert sorted(found) == HOURS
    assert counts == [9] if segments == 1 else all(0 < count < 9 for count in counts)


def test_partitions(glue):
    named = {"DatabaseName": "shop", "TableName": "clicks"}
    where = "inserted_at >= '2025/03/01/00' and inserted_at < '2025/03/02/00'"
    found = answer(glue, "GetPartitions", **named, Expression=where)["Partitions"]
    assert [each["Values"] for each in found] == [[f"2025/03/01/{hour:02}"] for hour in range(24)]
    first = found[0]
    assert first["StorageDescriptor"]["Location"] == "s3://dw-tables/clicks/2025/03/01/00/"
    assert {each["Name"]: each["Type"] for each in first["StorageDescriptor"]["Columns"]} == COLUMNS
    assert first["StorageDescriptor"]["NumberOfBuckets"] == -1
    assert answer(glue, "GetPartition", **named, PartitionValues=["2025/03/01/00"])["Partition"] == first
    wanted = [{"Values": [hour]} for hour in ("2025/03/01/01", "2024/01/01/00", "2025/03/01/00")]
    batch = answer(glue, "BatchGetPartition", **named, PartitionsToGet=wanted)["Partitions"]
    assert [each["Values"][0] for each in batch] == ["2025/03/01/01", "2025/03/01/00"]
    bare = answer(glue, "GetPartitions", **named, Expression=where, ExcludeColumnSchema=True)["Partitions"]
    assert "Columns" not in bare[0]["StorageDescriptor"]
    page = answer(glue, "GetPartitions", **named, MaxResults=5)["Partitions"]
    assert [each["Values"][0] for each in page] == HOURS[:5]
    quarantine = answer(glue, "GetPartitions", DatabaseName="shop", TableName="clicks_quarantine")["Partitions"]
    assert [each["Values"] for each in quarantine] == [[HOURS[5]]]
    assert quarantine[0]["StorageDescriptor"]["Location"] == f"s3://dw-tables/clicks_quarantine/{HOURS[5]}/"


def test_partitions_of_tables_that_users_fill(glue):
    named = {"DatabaseName": "shop", "TableName": "facts"}
    found, _ = pages(glue, "GetPartitions", "Partitions", **named, MaxResults=1)
    assert [each["Values"] for each in found] == [["2026-01-01", "10"], ["2026-01-01", "2"]]
    assert all("Location" not in each["StorageDescriptor"] for each in found)
    some = answer(glue, "GetPartitions", **named, Expression="n > 9 and day = date '2026-01-01'")["Partitions"]
    assert [each["Values"] for each in some] == [["2026-01-01", "10"]]
    assert answer(glue, "GetPartition", **named, PartitionValues=["2026-01-01", "2"])["Partition"]["Values"][1] == "2"
    assert answer(glue, "GetPartitions", DatabaseName="shop", TableName="plain") == {"Partitions": []}


@pytest.mark.parametrize(
    ("operation", "arguments", "code", "says"),
    [
        ("GetTable", {"DatabaseName": "shop", "Name": "x"}, "EntityNotFoundException", "Table x not found"),
        ("GetTable", {"DatabaseName": "x", "Name": "clicks"}, "EntityNotFoundException", "There is shop"),
        ("GetTable", {"DatabaseName": "shop"}, "InvalidInputException", "Name"),
        ("GetTable", {"DatabaseName": 1, "Name": "clicks"}, "InvalidInputException", "DatabaseName"),
        ("GetDatabase", {"Name": None}, "InvalidInputException", "Name"),
        ("GetPartition", {"PartitionValues": ["2024/01/01/00"]}, "EntityNotFoundException", "not found"),
        ("GetPartition", {"PartitionValues": ["a", "b"]}, "InvalidInputException", "inserted_at"),
        ("GetPartition", {"PartitionValues": [1]}, "InvalidInputException", "inserted_at"),
        ("BatchGetPartition", {"PartitionsToGet": [1]}, "InvalidInputException", "inserted_at"),
        ("BatchGetPartition", {"PartitionsToGet": [{}] * 1001}, "InvalidInputException", "at most 1000"),
        ("GetPartitions", {"Expression": "x = 1"}, "InvalidInputException", "no partition key 'x'"),
        ("GetPartitions", {"MaxResults": 0}, "InvalidInputException", "MaxResults"),
        ("GetPartitions", {"NextToken": "x"}, "InvalidInputException", "NextToken"),
        ("GetPartitions", {"NextToken": "e30="}, "InvalidInputException", "NextToken"),
        ("GetPartitions", {"NextToken": "WzFd"}, "InvalidInputException", "NextToken"),
        ("GetPartitions", {"NextToken": "WyJcdWQ4MDAiXQ=="}, "InvalidInputException", "NextToken"),
        ("GetPartitions", {"Segment": {"SegmentNumber": 3, "TotalSegments": 3}}, "InvalidInputException", "Segment"),
        ("GetPartitions", {"Segment": 1}, "InvalidInputException", "Segment"),
        ("GetTables", {"DatabaseName": "shop", "Expression": "(a+)+"}, "InvalidInputException", "valid are letters"),
        ("GetTables", {"DatabaseName": "shop", "Expression": "*" * 2049}, "InvalidInputException", "at most 2048"),
        ("SearchTables", {"Filters": [{"Key": "a"}]}, "InvalidInputException", "no filters"),
        ("DeleteTable", {}, "UnknownOperationException", "read only"),
        ("", {}, "UnknownOperationException", "there are BatchGetPartition"),
    ],
)
def test_refusals(glue, operation, arguments, code, says):
    if "Partition" in operation:
        arguments = {"DatabaseName": "shop", "TableName": "clicks", **arguments}
    status, found = asked(glue, operation, **arguments)
    assert (status, found["__type"]) == (400, code)
    assert says in found["message"]


@pytest.mark.parametrize(
    ("may", "names"),
    [
        ({"query:clicks"}, ["clicks", "kept"]),
        ({"read-files:clicks", "query:facts"}, ["clicks", "facts", "kept"]),
        ({"query"}, ["clicks", "clicks_quarantine", "facts", "kept", "plain"]),
        ({"put", "monitor"}, []),
    ],
)
def test_what_one_may_not_read_is_not_there(glue, may, names):
    identity = Identity("k", Rights(frozenset(may)))
    _, found = asked(glue, "GetTables", identity, DatabaseName="shop")
    assert [each["Name"] for each in found["TableList"]] == names
    for name in ("clicks", "facts", "plain"):
        status, _ = asked(glue, "GetTable", identity, DatabaseName="shop", Name=name)
        assert status == (200 if name in names else 400)
