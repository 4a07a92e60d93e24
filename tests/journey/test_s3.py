"""Data files over S3's API: clients as they are, rights, and what must never be given."""

import hashlib
import http.client
import json
import threading
import urllib.request
from datetime import UTC, datetime, timedelta
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit

import boto3
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs
import pyarrow.parquet as pq
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from running import AWS, running, until

from datawarehouse import Warehouse
from datawarehouse.definition.partition import HOUR_MS
from datawarehouse.testing import simulate

BUCKET = "dw-tables"
START = datetime(2026, 3, 1, 7, tzinfo=UTC)
HOURS = 3
DECLARATION = """
from datawarehouse import Warehouse

columns = {"id": "string", "n": "int"}
warehouse = (
    Warehouse("shop")
    .with_streaming_input_table("clicks", columns)
    .with_streaming_input_table("views", columns, file_flush_interval_seconds=60)
    .with_table("facts", columns={"thing": "string"}, data_format="JSON")
)
"""


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    """Three hours of both tables, and a reject."""
    folder = tmp_path_factory.mktemp("s3")
    columns = {"id": "string", "n": "int"}
    declared = Warehouse("shop").with_streaming_input_table("clicks", columns)
    declared = declared.with_streaming_input_table("views", columns)
    with simulate(declared, folder / "data", start=START) as simulated:
        for hour in range(HOURS):
            for table in ("clicks", "views"):
                simulated.put(table, [{"id": f"{hour}", "n": n} for n in range(10)])
            simulated.advance(timedelta(hours=1))
        simulated.put("clicks", ["{"])
        simulated.flush()
    with running(folder, declaration=DECLARATION) as started:
        yield started


def client(warehouse, key=None, name="s3", **options):
    key = key or {"id": "any", "secret": "any"}
    return boto3.client(
        name,
        endpoint_url=warehouse.url,
        region_name="eu-west-1",
        aws_access_key_id=key["id"],
        aws_secret_access_key=key["secret"],
        config=Config(retries={"total_max_attempts": 1}, **options),
    )


@pytest.fixture(scope="module")
def s3(warehouse):
    return client(warehouse)


@pytest.fixture(scope="module")
def keyed(tmp_path_factory):
    """A warehouse with keys, and what each of them may do."""
    with running(tmp_path_factory.mktemp("s3_keys"), declaration=DECLARATION) as started:
        for table in ("clicks", "views"):
            started.events(table, b'{"id":"1","n":1}\n{')
        started.flush()

        def created(name, may):
            return json.loads(started.dw("keys", "create", name, "--may", may, "--output", "json").stdout)

        may = {
            "all": "read-files",
            "asks_too": "query",
            "clicks": "read-files:clicks",
            "asks": "query",
            "puts": "put:clicks",
        }
        yield started, {name: created(name, rights) for name, rights in may.items()}


def live(warehouse):
    """The files of the catalog, by key: their bytes."""
    found = {}
    data = warehouse.folder / "data"
    for table, home in (("clicks", "clicks"), ("views", "views"), ("clicks_quarantine", "errors/clicks")):
        for path in (data / home).rglob("*.parquet"):
            found[f"{table}/{path.relative_to(data / home)}"] = path.read_bytes()
    return found


def keys(answer):
    return [each["Key"] for each in answer.get("Contents", [])]


def code(call, *arguments, **options):
    """(status, code) of a refusal."""
    with pytest.raises(ClientError) as refused:
        call(*arguments, **options)
    error = refused.value.response
    return error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Code"]


def test_what_is_listed_is_what_is_there(warehouse, s3):
    files = live(warehouse)
    listed = s3.list_objects_v2(Bucket=BUCKET)
    assert keys(listed) == sorted(files)
    assert len(files) == 2 * HOURS + 1
    assert {each["Key"]: each["Size"] for each in listed["Contents"]} == {key: len(it) for key, it in files.items()}
    for key, content in files.items():
        got = s3.get_object(Bucket=BUCKET, Key=key)
        assert got["Body"].read() == content
        head = s3.head_object(Bucket=BUCKET, Key=key)
        assert (head["ContentLength"], head["ETag"]) == (len(content), got["ETag"])
    assert [each["Name"] for each in s3.list_buckets()["Buckets"]] == ["athena-results", BUCKET]
    assert s3.head_bucket(Bucket=BUCKET)["ResponseMetadata"]["HTTPHeaders"]["x-amz-bucket-region"] == "us-east-1"
    assert s3.get_bucket_location(Bucket=BUCKET)["LocationConstraint"] is None
    assert keys(s3.list_objects(Bucket=BUCKET)) == sorted(files)


@pytest.mark.parametrize(
    ("asked", "prefixes", "count"),
    [
        ({"Delimiter": "/"}, ["clicks/", "clicks_quarantine/", "views/"], 0),
        ({"Delimiter": "/", "Prefix": "clicks/2026/03/01/"}, [f"clicks/2026/03/01/{7 + n:02}/" for n in range(3)], 0),
        ({"Delimiter": "/", "Prefix": "clicks/2026/03/01/07/"}, [], 1),
        ({"Delimiter": "/", "Prefix": "clicks"}, ["clicks/", "clicks_quarantine/"], 0),
        ({"Delimiter": "03/", "Prefix": "v"}, ["views/2026/03/"], 0),
        ({"Prefix": "views/2026/03/01/0"}, [], 3),
        ({"Prefix": "views/2026/03/01/1"}, [], 0),
        ({"StartAfter": "clicks/2026/03/01/08/"}, [], 2 + 1 + 3),
        ({"StartAfter": "views/2026/03/01/08/", "Delimiter": "/"}, ["views/"], 0),
        ({"StartAfter": "zzz"}, [], 0),
        ({"MaxKeys": 0}, [], 0),
        ({"MaxKeys": 2_000_000_000}, [], 7),
        ({"Prefix": "facts/"}, [], 0),
        ({"Prefix": "\u00fc \x01&<"}, [], 0),
    ],
)
def test_lists(s3, asked, prefixes, count):
    answer = s3.list_objects_v2(Bucket=BUCKET, **asked)
    assert [each["Prefix"] for each in answer.get("CommonPrefixes", [])] == prefixes
    assert len(keys(answer)) == count
    assert (answer["KeyCount"], answer["IsTruncated"]) == (len(prefixes) + count, False)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("delimiter", ["", "/", "01/"])
def test_pages_have_everything_once(s3, size, delimiter):
    whole = s3.list_objects_v2(Bucket=BUCKET, Delimiter=delimiter, Prefix="")
    wanted = keys(whole), [each["Prefix"] for each in whole.get("CommonPrefixes", [])]
    for name in ("list_objects_v2", "list_objects"):
        pages = list(
            s3.get_paginator(name).paginate(Bucket=BUCKET, Delimiter=delimiter, PaginationConfig={"PageSize": size})
        )
        found = [key for page in pages for key in keys(page)]
        assert (found, [each["Prefix"] for page in pages for each in page.get("CommonPrefixes", [])]) == wanted
        assert all(len(keys(page)) + len(page.get("CommonPrefixes", [])) <= size for page in pages)
        assert len(pages) > 1 or size >= 3


def test_ranges_and_conditions(warehouse, s3):
    key, content = next(iter(live(warehouse).items()))
    size = len(content)
    asked = {"bytes=0-3": (0, 4), "bytes=-8": (size - 8, size), "bytes=4-": (4, size), f"bytes=5-{size * 9}": (5, size),
             f"bytes=-{size * 9}": (0, size), "bytes=0-0": (0, 1)}  # fmt: skip
    for header, (begin, end) in asked.items():
        got = s3.get_object(Bucket=BUCKET, Key=key, Range=header)
        assert got["Body"].read() == content[begin:end]
        assert got["ContentRange"] == f"bytes {begin}-{end - 1}/{size}"
        assert s3.head_object(Bucket=BUCKET, Key=key, Range=header)["ContentLength"] == end - begin
    for header in ("bytes=9-2", "bytes=0-1,3-4", "lines=1-2", "bytes=-", "bytes=x-"):
        got = s3.get_object(Bucket=BUCKET, Key=key, Range=header)
        assert (got["Body"].read(), got["ResponseMetadata"]["HTTPStatusCode"]) == (content, 200)
    for header in (f"bytes={size}-", "bytes=-0", "bytes=99999999999999999-"):
        assert code(s3.get_object, Bucket=BUCKET, Key=key, Range=header) == (416, "InvalidRange")
    etag, at = (s3.head_object(Bucket=BUCKET, Key=key)[name] for name in ("ETag", "LastModified"))
    assert s3.get_object(Bucket=BUCKET, Key=key, IfMatch=etag, IfUnmodifiedSince=at)["Body"].read() == content
    assert s3.get_object(Bucket=BUCKET, Key=key, IfNoneMatch='"other"')["Body"].read() == content
    for options in ({"IfNoneMatch": etag}, {"IfNoneMatch": "*"}, {"IfModifiedSince": at}):
        assert code(s3.get_object, Bucket=BUCKET, Key=key, **options)[0] == 304
    for options in ({"IfMatch": '"other"'}, {"IfUnmodifiedSince": at - timedelta(days=1)}):
        assert code(s3.get_object, Bucket=BUCKET, Key=key, **options) == (412, "PreconditionFailed")


@pytest.mark.parametrize(
    "key",
    ["clicks/nothing", "clicks/", "/clicks", "clicks/../views/x", "_keys.json", "../_keys.json", "FORMAT",
     "clicks/%2e%2e/_lock", "errors/clicks/2026/03/01/10/x", "views/2026/03/01/07", "clicks//2026/03/01/07/x",
     "\u00fc/\u1234", "facts/a.json",
     "x" * 1100, "clicks/\x00", "catalog.sqlite", "clicks/2026/03/01/07/*"],
)  # fmt: skip
def test_a_key_that_is_none(s3, key):
    assert code(s3.get_object, Bucket=BUCKET, Key=key) == (404, "NoSuchKey")
    assert code(s3.head_object, Bucket=BUCKET, Key=key) == (404, "404")


@pytest.mark.parametrize(
    "path",
    ["/{bucket}/clicks/../../_lock", "/{bucket}/..%2f..%2f_lock", "/{bucket}/%2e%2e/_lock", "//{bucket}/_lock",
     "/{bucket}/clicks%2f..%2f..%2f_lock", "/{bucket}/./clicks", "/{bucket}%2fclicks%2f_x"],
)  # fmt: skip
def test_a_path_leaves_no_folder(warehouse, path):
    address = urlsplit(warehouse.url)
    connection = http.client.HTTPConnection(address.hostname, address.port)
    connection.request("GET", path.format(bucket=BUCKET), headers={"x-amz-date": "20260101T000000Z"})
    answer = connection.getresponse()
    assert (answer.status, b"<Error>" in answer.read()) == (404, True)
    connection.close()


def test_what_is_not_served(warehouse, s3):
    there = keys(s3.list_objects_v2(Bucket=BUCKET))[0]
    assert s3.get_object(Bucket=BUCKET, Key=there, VersionId="null")["Body"].read()
    assert code(s3.get_object, Bucket=BUCKET, Key=there, VersionId="1") == (404, "NoSuchVersion")
    assert code(s3.get_object, Bucket="other", Key="a") == (404, "NoSuchBucket")
    assert code(s3.get_object_tagging, Bucket=BUCKET, Key="a") == (501, "NotImplemented")
    assert code(s3.list_multipart_uploads, Bucket=BUCKET) == (501, "NotImplemented")
    assert code(s3.list_objects_v2, Bucket=BUCKET, ContinuationToken="\u00e9") == (400, "InvalidArgument")
    body = b"x" * 300_000
    for call, options in (
        (s3.put_object, {"Key": "a", "Body": body}),
        (s3.delete_object, {"Key": "a"}),
        (s3.delete_objects, {"Delete": {"Objects": [{"Key": "a"}]}}),
        (s3.create_multipart_upload, {"Key": "a"}),
        (s3.copy_object, {"Key": "a", "CopySource": "dw-tables/a"}),
        (s3.delete_bucket, {}),
    ):
        assert code(call, Bucket=BUCKET, **options) == (405, "MethodNotAllowed")
        assert keys(s3.list_objects_v2(Bucket=BUCKET))  # the connection can be used after it
    for query in ("max-keys=-1", "max-keys=x", "encoding-type=x", "max-keys="):
        with pytest.raises(HTTPError) as refused:
            urllib.request.urlopen(f"{warehouse.url}/{BUCKET}?list-type=2&{query}")
        assert (refused.value.code, b"InvalidArgument" in refused.value.read()) == (400, True)


def test_addresses(warehouse, s3):
    """The bucket in the host, in the path, and without a signature; what is ours stays ours."""
    key = keys(s3.list_objects_v2(Bucket=BUCKET))[0]
    content = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    unsigned = boto3.client("s3", endpoint_url=warehouse.url, config=Config(signature_version=UNSIGNED))
    assert unsigned.get_object(Bucket=BUCKET, Key=key)["Body"].read() == content
    assert urllib.request.urlopen(f"{warehouse.url}/{BUCKET}/{key}").read() == content
    asked = urllib.request.Request(f"{warehouse.url}/{key}", headers={"Host": f"{BUCKET}.localhost", "x-amz-date": "x"})
    assert urllib.request.urlopen(asked).read() == content
    assert warehouse.request("GET", "/", headers={"x-amz-date": "x"})[1]["content-type"] == "application/xml"
    assert warehouse.request("GET", "/")[1]["content-type"] != "application/xml"
    for path in ("/v1/queries", "/metrics", "/health"):
        assert warehouse.request("GET", path, headers={"x-amz-date": "x"})[1]["content-type"] != "application/xml"


def test_pyarrow_reads_a_table(warehouse):
    filesystem = pyarrow.fs.S3FileSystem(
        access_key="any", secret_key="any", endpoint_override=urlsplit(warehouse.url).netloc, scheme="http",
        region="eu-west-1",
    )  # fmt: skip
    assert ds.dataset(f"{BUCKET}/clicks", filesystem=filesystem, format="parquet").to_table().num_rows == 30
    hour = filesystem.get_file_info(pyarrow.fs.FileSelector(f"{BUCKET}/views/2026/03/01/08"))
    assert [each.type for each in hour] == [pyarrow.fs.FileType.File]


def test_the_aws_command(warehouse, monkeypatch, capsys, tmp_path):
    from awscli.clidriver import create_clidriver

    def main(arguments):
        return create_clidriver().main(arguments)

    for name, value in {**AWS, "AWS_ENDPOINT_URL": warehouse.url}.items():
        monkeypatch.setenv(name, value)
    assert main(["s3", "ls", f"s3://{BUCKET}/clicks/2026/03/01/"]) == 0
    assert capsys.readouterr().out.split() == ["PRE", "07/", "PRE", "08/", "PRE", "09/"]
    assert main(["s3", "cp", f"s3://{BUCKET}/clicks/", str(tmp_path), "--recursive", "--quiet"]) == 0
    assert ds.dataset(tmp_path, format="parquet").to_table().num_rows == 30
    database = ["--database-name", "shop", "--table-name", "clicks"]
    assert main(["glue", "get-partitions", *database, "--expression", "inserted_at >= '2026/03/01/08'"]) == 0
    found = json.loads(capsys.readouterr().out)["Partitions"]
    assert [each["Values"] for each in found] == [["2026/03/01/08"], ["2026/03/01/09"]]


# -- rights


def finished(athena, sql, **options):
    """The id of a query that is over."""
    id = athena.start_query_execution(QueryString=sql, **options)["QueryExecutionId"]
    until(
        lambda: athena.get_query_execution(QueryExecutionId=id)["QueryExecution"]["Status"]["State"] == "SUCCEEDED", id
    )
    return id


def test_results_of_queries(warehouse, s3):
    athena = client(warehouse, name="athena")
    folder = {"ResultConfiguration": {"OutputLocation": "s3://mine/some/folder/"}}
    id = finished(
        athena, "select n, cast(null as varchar) as x from clicks where id = '0' order by n limit 2", **folder
    )
    other = finished(athena, "show tables")
    got = s3.get_object(Bucket="mine", Key=f"some/folder/{id}.csv")
    assert got["Body"].read() == b'"n","x"\n"0",\n"1",\n'
    ranged = s3.get_object(Bucket="mine", Key=f"some/folder/{id}.csv", Range="bytes=4-6", IfMatch=got["ETag"])
    assert ranged["Body"].read() == b'"x"'
    named = {"Bucket": "mine", "Prefix": "some/"}
    assert keys(s3.list_objects_v2(**named)) == [f"some/folder/{id}.csv", f"some/folder/{id}.csv.metadata"]
    assert s3.list_objects_v2(**named, Delimiter="/")["CommonPrefixes"] == [{"Prefix": "some/folder/"}]
    assert keys(s3.list_objects_v2(Bucket="mine", Prefix="other/")) == []
    at = athena.get_query_execution(QueryExecutionId=other)["QueryExecution"]["ResultConfiguration"]["OutputLocation"]
    assert at == f"s3://athena-results/{other}.txt"
    assert b"clicks\n" in s3.get_object(Bucket="athena-results", Key=f"{other}.txt")["Body"].read()
    assert code(s3.get_object, Bucket="athena-results", Key=f"{id}.csv") == (404, "NoSuchKey")
    assert code(s3.get_object, Bucket="mine", Key="some/folder/0123456789abcdef.csv") == (404, "NoSuchKey")
    assert {"mine", "athena-results"} < {each["Name"] for each in s3.list_buckets()["Buckets"]}


@pytest.mark.parametrize("bucket", ["127", "localhost"])
def test_a_bucket_with_a_name_of_the_server_hides_no_other(warehouse, s3, bucket):
    """Else one client's query would end the reading of all others."""
    there = keys(s3.list_objects_v2(Bucket=BUCKET))
    result = {"ResultConfiguration": {"OutputLocation": f"s3://{bucket}/r/"}}
    id = finished(client(warehouse, name="athena"), "select 1 as a", **result)
    assert keys(s3.list_objects_v2(Bucket=BUCKET)) == there
    assert s3.get_object(Bucket=bucket, Key=f"r/{id}.csv")["Body"].read() == b'"a"\n"1"\n'
    path = f"/{BUCKET}/{there[0]}"
    asked = {"Host": f"{bucket}.localhost", "x-amz-date": "x"}
    assert warehouse.request("GET", path, None, asked)[0] == 200
    assert warehouse.request("GET", f"/r/{id}.csv", None, asked)[2] == b'"a"\n"1"\n'


def test_a_result_is_of_whoever_asked(keyed):
    warehouse, keys_of = keyed
    folder = {"ResultConfiguration": {"OutputLocation": "s3://theirs/"}}
    id = finished(client(warehouse, keys_of["asks"], "athena"), "select 1", **folder)
    assert client(warehouse, keys_of["asks"]).get_object(Bucket="theirs", Key=f"{id}.csv")["Body"].read()
    for name in ("all", "puts"):
        assert code(client(warehouse, keys_of[name]).get_object, Bucket="theirs", Key=f"{id}.csv")[0] == 404
        assert code(client(warehouse, keys_of[name]).list_objects_v2, Bucket="theirs")[0] == 404
    theirs = finished(client(warehouse, keys_of["asks"], "athena"), "select 1")
    mine = finished(client(warehouse, keys_of["asks_too"], "athena"), "select 1")
    me = client(warehouse, keys_of["asks_too"])
    assert keys(me.list_objects_v2(Bucket="athena-results")) == [f"{mine}.csv", f"{mine}.csv.metadata"]
    assert code(me.get_object, Bucket="athena-results", Key=f"{theirs}.csv") == (404, "NoSuchKey")


def test_a_right_of_its_own(keyed):
    warehouse, keys_of = keyed
    everything = client(warehouse, keys_of["all"])
    there = keys(everything.list_objects_v2(Bucket=BUCKET))
    assert {key.partition("/")[0] for key in there} == {"clicks", "clicks_quarantine", "views", "views_quarantine"}
    some = client(warehouse, keys_of["clicks"])
    assert keys(some.list_objects_v2(Bucket=BUCKET)) == [key for key in there if key.startswith("clicks/")]
    assert keys(some.list_objects_v2(Bucket=BUCKET, Prefix="v")) == []
    for key in there:
        if key.startswith("clicks/"):
            assert some.get_object(Bucket=BUCKET, Key=key)["Body"].read().startswith(b"PAR1")
        else:
            assert code(some.get_object, Bucket=BUCKET, Key=key) == (403, "AccessDenied")
    for prefix in ("views/", "views_quarantine/2026", "nothing/"):
        assert code(some.list_objects_v2, Bucket=BUCKET, Prefix=prefix) == (403, "AccessDenied")
    for name in ("asks", "puts"):
        other = client(warehouse, keys_of[name])
        assert code(other.list_objects_v2, Bucket=BUCKET) == (403, "AccessDenied")
        assert code(other.get_object, Bucket=BUCKET, Key=there[0]) == (403, "AccessDenied")
        assert code(other.get_object, Bucket=BUCKET, Key="clicks/nothing") == (403, "AccessDenied")
    status, _, answer = warehouse.request("GET", f"/{BUCKET}/{there[0]}")
    assert (status, b"<Code>AccessDenied</Code>" in answer) == (403, True)
    for name, wanted in (("all", 200), ("clicks", 200), ("asks", 403)):
        bearer = {"Authorization": f"Bearer {keys_of[name]['token']}"}
        assert warehouse.request("GET", f"/{BUCKET}/{there[0]}", headers=bearer)[0] == wanted


def test_a_right_is_checked_when_a_key_is_made(warehouse, tmp_path):
    done = warehouse.dw("keys", "create", "x", "--may", "read-files:facts", check=False)
    assert done.returncode == 2
    assert "no table with files of the warehouse 'facts'" in done.stderr
    assert "there are clicks, clicks_quarantine, views, views_quarantine" in done.stderr


def test_wrong_signatures(keyed):
    warehouse, keys_of = keyed
    key = keys_of["all"]
    assert code(client(warehouse, {**key, "secret": "x"}).list_buckets) == (403, "SignatureDoesNotMatch")
    assert code(client(warehouse, {**key, "id": "x"}).list_buckets) == (403, "InvalidAccessKeyId")
    s3 = client(warehouse, key)
    there = keys(s3.list_objects_v2(Bucket=BUCKET))[0]

    def spoil(name, value):
        def change(request, **_):
            if name == "path":
                request.url = request.url.replace(*value)
            else:
                del request.headers[name]
                request.headers[name] = value

        s3.meta.events.register("before-send.s3.GetObject", change)
        try:
            return code(s3.get_object, Bucket=BUCKET, Key=there)
        finally:
            s3.meta.events.unregister("before-send.s3.GetObject", change)

    wrong = (403, "SignatureDoesNotMatch")
    assert spoil("x-amz-content-sha256", "UNSIGNED-PAYLOAD") == wrong
    assert spoil("path", ("clicks", "views")) == wrong
    assert spoil("X-Amz-Date", datetime.now(UTC).strftime("%Y%m%dT000000Z")) in (wrong, (403, "RequestTimeTooSkewed"))


@pytest.mark.parametrize("key", ["a b/\u00fc+=&?#~*()'!.txt", "p=2024%2F01/x", "a//b", "./x", "a/../b"])
def test_a_signature_of_any_key(keyed, key):
    warehouse, keys_of = keyed
    for style in ("path", "auto"):
        s3 = client(warehouse, keys_of["all"], s3={"addressing_style": style})
        assert code(s3.get_object, Bucket=BUCKET, Key=key) == (404, "NoSuchKey")


def fetched(url):
    """(status, code) of a GET."""
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.status, len(answer.read()) > 0
    except HTTPError as error:
        return error.code, error.read().decode().partition("<Code>")[2].partition("</Code>")[0]


def test_signed_urls(keyed):
    warehouse, keys_of = keyed
    s3 = client(warehouse, keys_of["clicks"], signature_version="s3v4")
    key = keys(s3.list_objects_v2(Bucket=BUCKET))[0]

    def url(key=key, expires=60, by=s3, **options):
        return by.generate_presigned_url(
            "get_object", Params={"Bucket": BUCKET, "Key": key}, ExpiresIn=expires, **options
        )

    assert fetched(url()) == (200, True)
    assert fetched(url(expires=604_800)) == (200, True)
    assert fetched(url(expires=604_801)) == (400, "AuthorizationQueryParametersError")
    assert fetched(url(expires=0)) == (400, "AuthorizationQueryParametersError")
    assert fetched(url(key.replace("clicks", "views"))) == (403, "AccessDenied")
    assert fetched(url().replace("X-Amz-Expires=60", "X-Amz-Expires=61")) == (403, "SignatureDoesNotMatch")
    assert fetched(url().replace(quote(key), quote(key)[:-1])) == (403, "SignatureDoesNotMatch")
    assert fetched(url() + "&X-Amz-Expires=100") == (400, "AuthorizationQueryParametersError")
    assert fetched(url().partition("&X-Amz-Signature")[0]) == (400, "AuthorizationQueryParametersError")
    assert fetched(url(by=client(warehouse, keys_of["clicks"]))) == (403, "SignatureDoesNotMatch")  # version 2
    put = s3.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": key})
    with pytest.raises(HTTPError, match="405"):
        urllib.request.urlopen(urllib.request.Request(put, b"x", method="PUT"))


def test_a_url_ends(keyed):
    warehouse, keys_of = keyed
    s3 = client(warehouse, keys_of["all"], signature_version="s3v4")
    key = keys(s3.list_objects_v2(Bucket=BUCKET))[0]
    url = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": key}, ExpiresIn=1)
    until(lambda: fetched(url) == (403, "AccessDenied"), "the URL has ended")


def test_who_one_is(keyed):
    warehouse, keys_of = keyed
    found = client(warehouse, keys_of["asks"], "sts").get_caller_identity()
    assert (found["Account"], found["Arn"]) == ("000000000000", "arn:aws:iam::000000000000:user/asks")
    wrong = client(warehouse, {**keys_of["asks"], "secret": "x"}, "sts")
    assert code(wrong.get_caller_identity) == (403, "SignatureDoesNotMatch")
    assert code(client(warehouse, keys_of["asks"], "sts").get_session_token) == (400, "InvalidAction")


# -- meanwhile


def test_readers_while_files_are_replaced(tmp_path):
    """Sixty-four readers list and read while files of closed hours become one: each list has all rows once, no file
    ever changes, and one that was listed before it was replaced is still given."""
    declared = Warehouse("shop").with_streaming_input_table("clicks", {"id": "string", "n": "int"})
    with simulate(declared, tmp_path / "data", start=START, settings={"compact_after_hours": 1000}) as simulated:
        for _ in range(HOURS):
            for n in range(5):
                simulated.put("clicks", [{"id": "x", "n": n}])
                simulated.flush()
                simulated.catalog.mark_merged(simulated.catalog.fresh_files("clicks"))
            simulated.clock.set_ms(simulated.clock.now_ms() + HOUR_MS)
    with running(tmp_path, declaration=DECLARATION) as warehouse:
        before = keys(client(warehouse).list_objects_v2(Bucket=BUCKET))
        assert len(before) == 5 * HOURS
        problems, seen, ended = [], [set() for _ in range(64)], threading.Event()
        known, rows = {}, {}

        def read(mine, number):
            try:
                while not (ended.is_set() and len(seen[number]) > 5 * HOURS):
                    listed = mine.list_objects_v2(Bucket=BUCKET).get("Contents", [])
                    for each in listed:
                        key = each["Key"]
                        got = mine.get_object(Bucket=BUCKET, Key=key, IfMatch=each["ETag"])["Body"].read()
                        if key not in rows:
                            rows[key] = pq.ParquetFile(pa.BufferReader(got)).metadata.num_rows
                        assert known.setdefault(key, got) == got
                        seen[number].add(key)
                    assert sum(rows[each["Key"]] for each in listed) == 5 * HOURS
            except Exception as error:
                problems.append(error)

        readers = [threading.Thread(target=read, args=(client(warehouse), number)) for number in range(64)]
        for reader in readers:
            reader.start()
        until(lambda: all(seen) or problems, "each has read", 60)
        warehouse.dw("compact", "clicks")
        ended.set()
        for reader in readers:
            reader.join()
        assert not problems
        s3 = client(warehouse)
        after = keys(s3.list_objects_v2(Bucket=BUCKET))
        assert (len(after), set(after) & set(before)) == (HOURS, set())
        for key in before:
            assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == known[key]


def test_a_server_that_stops_tells_that_a_file_is_cut_off(tmp_path):
    with running(tmp_path, declaration=DECLARATION) as warehouse:
        lines = b"".join(b'{"id":"%s","n":1}\n' % hashlib.sha512(b"%d" % n).hexdigest().encode() for n in range(60_000))
        assert warehouse.events("clicks", lines)[0] == 200
        warehouse.flush()
        s3 = client(warehouse)
        listed = s3.list_objects_v2(Bucket=BUCKET, Prefix="clicks/")["Contents"]
        largest = max(listed, key=lambda each: each["Size"])
        body = s3.get_object(Bucket=BUCKET, Key=largest["Key"])["Body"]
        first = body.read(1)
        warehouse.stop()
        with pytest.raises(Exception, match=r"read|broken|closed|reset"):
            while piece := body.read(65536):
                first += piece
        assert len(first) < largest["Size"]
