"""What a run makes visible, what it deletes, and in which order."""

import io
import re
from datetime import UTC, datetime, timedelta

import pytest

from datawarehouse.errors import DataWarehouseError
from datawarehouse.functions.athena import Athena
from datawarehouse.functions.clients import ClientError
from datawarehouse.functions.objects import COMPLETE
from datawarehouse.functions.publish import HourRows, Publisher
from datawarehouse.functions.tables import read_table

EARLIER, HOUR, NEXT = "2026/11/23/05", "2026/11/23/06", "2026/11/23/07"
HOME = f"s3://data/t/{HOUR}/"


class Aws:
    """S3, Glue and Athena as far as a run needs them. A listing has one key a page, an UNLOAD makes two files.

    objects: (when it was written, what is in it) by URL. partitions: where each points to. calls: those that change
    something, in order. failing: how the call begins that fails. locked: URLs that cannot be deleted.
    """

    def __init__(self, key, form="json"):
        self.key, self.form, self.failing, self.unloads = key, form, None, 0
        self.objects, self.partitions, self.calls, self.locked = {}, {}, [], set()

    def publish(self, *hours):
        athena = Athena(self, "warehouse", "batch", "s3://results/batch/t/", lambda: 300_000)
        publisher = Publisher(self, self, athena, read_table(self, "warehouse", "t"), "s3://results")
        written = {hour: HourRows(io.BytesIO(), 1) for hour in hours}
        for rows in written.values():
            rows.lines.write(b"{}\n")
        publisher.publish(written)

    def add(self, url, minutes_ago, body=b""):
        self.objects[url] = datetime.now(UTC) - timedelta(minutes=minutes_ago), body

    def called(self, operation, subject):
        self.calls.append(f"{operation} {subject}")
        if self.failing and self.calls[-1].startswith(self.failing):
            raise ClientError({"Error": {"Code": "InternalError", "Message": "as it happens"}}, operation)

    def get_table(self, DatabaseName, Name):
        key, form, location = self.key, self.form, "s3://data/t/"
        if Name == "t_staging":
            key, form, location = "run", "json", "s3://results/staging/t/"
        return {
            "Table": {
                "Parameters": {"classification": form},
                "PartitionKeys": [{"Name": key, "Type": "string"}] if key else [],
                "StorageDescriptor": {"Columns": [{"Name": "id", "Type": "string"}], "Location": location},
                "CreateTime": datetime.now(UTC),
            }
        }

    def get_partition(self, DatabaseName, TableName, PartitionValues):
        [value] = PartitionValues
        if value not in self.partitions:
            raise ClientError({"Error": {"Code": "EntityNotFoundException", "Message": value}}, "GetPartition")
        return {"Partition": {"StorageDescriptor": {"Location": self.partitions[value]}}}

    def create_partition(self, DatabaseName, TableName, PartitionInput):
        [value] = PartitionInput["Values"]
        if value in self.partitions:
            raise ClientError({"Error": {"Code": "AlreadyExistsException", "Message": value}}, "CreatePartition")
        self.called("create_partition", value)
        self.partitions[value] = PartitionInput["StorageDescriptor"]["Location"]

    def batch_update_partition(self, DatabaseName, TableName, Entries):
        [entry] = Entries
        [value] = entry["PartitionValueList"]
        self.called("batch_update_partition", value)
        self.partitions[value] = entry["PartitionInput"]["StorageDescriptor"]["Location"]
        return {}

    def put_object(self, Bucket, Key, Body, ContentType=None):
        url = f"s3://{Bucket}/{Key}"
        self.called("put_object", url)
        self.add(url, 0, Body if isinstance(Body, bytes) else Body.read())

    def copy_object(self, Bucket, Key, CopySource):
        url = f"s3://{Bucket}/{Key}"
        assert url not in self.objects
        self.called("copy_object", url)
        self.add(url, 0, self.objects[f"s3://{CopySource['Bucket']}/{CopySource['Key']}"][1])

    def get_paginator(self, operation):
        assert operation == "list_objects_v2"
        return self

    def paginate(self, Bucket, Prefix):
        found = {url.removeprefix(f"s3://{Bucket}/"): written for url, (written, _) in self.objects.items()}
        for key in sorted(found):
            if key.startswith(Prefix):
                yield {"Contents": [{"Key": key, "LastModified": found[key]}]}
        yield {}

    def delete_objects(self, Bucket, Delete):
        urls = [f"s3://{Bucket}/{each['Key']}" for each in Delete["Objects"]]
        assert 1 <= len(urls) <= 1000
        self.called("delete_objects", len(urls))
        for url in set(urls) - self.locked:
            del self.objects[url]
        failed = [url.removeprefix(f"s3://{Bucket}/") for url in urls if url in self.locked]
        return {"Errors": [{"Key": key, "Code": "AccessDenied", "Message": "Access Denied"} for key in failed]}

    def start_query_execution(self, QueryString, **_):
        self.unloads += 1
        folder = re.search(r" TO '(s3://[^']+/)'", QueryString)[1]
        for file in ("a", "b"):
            self.add(f"{folder}{file}", 0, f"{self.unloads}{file}")
        return {"QueryExecutionId": "any"}

    def get_query_execution(self, QueryExecutionId):
        return {"QueryExecution": {"Status": {"State": "SUCCEEDED"}}}


def run_of(aws):
    """The objects of the run to which the hour points."""
    return {f"{aws.partitions[HOUR]}{name}" for name in ("rows.json", COMPLETE)}


def test_all_files_of_an_unload_replace_those_of_the_run_before_in_the_folder_of_the_hour():
    aws = Aws(key=None, form="parquet")
    for numbers in ("12", "34"):
        aws.publish(HOUR, NEXT)
        for hour, number in zip((HOUR, NEXT), numbers, strict=True):
            there = [body for url, (_, body) in aws.objects.items() if re.fullmatch(f"s3://data/t/{hour}/[^/]+", url)]
            assert sorted(there) == [f"{number}a", f"{number}b"]


def test_no_hour_becomes_visible_until_all_are_written():
    aws = Aws(key="inserted_at")
    aws.partitions = {HOUR: f"{HOME}11/"}
    aws.failing = f"put_object s3://data/t/{NEXT}/"
    with pytest.raises(ClientError, match="as it happens"):
        aws.publish(HOUR, NEXT)
    assert [call.split()[0] for call in aws.calls] == ["put_object", "put_object"]
    assert aws.partitions == {HOUR: f"{HOME}11/"}


def test_an_hour_is_pointed_to_its_new_folder_before_a_file_of_an_older_one_is_deleted():
    aws = Aws(key="inserted_at")
    old = [f"{HOME}{run}/a" for run in ("11", "12", "13")]
    for url in old:
        aws.add(url, minutes_ago=300)
    aws.partitions = {HOUR: f"{HOME}12/"}
    aws.failing = "batch_update_partition"
    with pytest.raises(ClientError, match="as it happens"):
        aws.publish(HOUR)
    assert aws.partitions == {HOUR: f"{HOME}12/"} and set(old) < set(aws.objects)
    aws.failing = None
    aws.calls.clear()
    aws.publish(HOUR)
    operations = [call.split()[0] for call in aws.calls]
    assert operations == ["put_object", "put_object", "batch_update_partition", "delete_objects"]
    assert aws.calls[1].endswith(COMPLETE)
    assert aws.objects[f"{aws.partitions[HOUR]}rows.json"][1] == b"{}\n"
    assert set(old) & set(aws.objects) == set(old[1:])  # queries may still read the one it pointed to


def test_a_run_goes_when_another_one_followed_it_more_than_an_hour_ago():
    aws = Aws(key="inserted_at")
    for url, minutes_ago in {
        f"{HOME}11/a": 300,
        f"{HOME}12/a": 61,
        f"s3://data/t/{EARLIER}/11/a": 300,
        f"s3://data/t/{EARLIER}/12/a": 61,
        f"s3://data/t/{EARLIER}/13/a": 59,
    }.items():
        aws.add(url, minutes_ago)
    aws.publish(HOUR)
    left = {f"{HOME}12/a", f"s3://data/t/{EARLIER}/12/a", f"s3://data/t/{EARLIER}/13/a"}
    assert set(aws.objects) == {*left, *run_of(aws)}


def test_a_run_of_thousands_of_files_goes_whole():
    aws = Aws(key="inserted_at")
    for number in range(2500):
        aws.add(f"{HOME}11/{number}", minutes_ago=300)
    aws.add(f"{HOME}12/a", minutes_ago=300)
    aws.publish(HOUR)
    assert set(aws.objects) == {f"{HOME}12/a", *run_of(aws)}


def test_a_file_that_cannot_be_deleted_is_an_error():
    aws = Aws(key="inserted_at")
    for url in (f"{HOME}11/a", f"{HOME}11/b", f"{HOME}12/a"):
        aws.add(url, minutes_ago=300)
    aws.locked = {f"{HOME}11/b"}
    with pytest.raises(DataWarehouseError, match=rf"{HOME}11/b could not be deleted: Access Denied"):
        aws.publish(HOUR)
