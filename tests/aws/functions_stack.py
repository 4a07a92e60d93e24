"""A database with tables and buckets in the emulator, and what the tests of the functions do with them."""

from datetime import datetime, timedelta
from decimal import Decimal

from datawarehouse.definition.partition import partition_of
from datawarehouse.definition.storage import STORAGE

TICK = "2026-11-23T07:20:00Z"
HOUR = "2026/11/23/06"
COLUMNS = {"event_type": "string", "count": "int", "at": "timestamp", "price": "decimal(10,2)", "tags": "array<string>"}
ROW = {"event_type": "it's", "count": 3, "at": datetime(2026, 11, 23, 6, 0, 0, 250_000), "price": Decimal("1.50")}


class Stack:
    """A database, a bucket of data and one of results, and the tables that Pulumi would make in them."""

    def __init__(self, aws, name):
        self.glue, self.s3, self.name = aws.client("glue"), aws.client("s3"), name
        self.data, self.results = f"{name}-data".replace("_", "-"), f"{name}-results".replace("_", "-")
        self.glue.create_database(DatabaseInput={"Name": name})
        for bucket in (self.data, self.results):
            self.s3.create_bucket(Bucket=bucket)

    def table(self, name, columns=COLUMNS, form="JSON", key="inserted_at", parameters=(), location=None):
        storage = STORAGE[form]
        self.glue.create_table(
            DatabaseName=self.name,
            TableInput={
                "Name": name,
                "TableType": "EXTERNAL_TABLE",
                "Parameters": {**storage.table_parameters, **dict(parameters)},
                "PartitionKeys": [{"Name": key, "Type": "string"}] if key else [],
                "StorageDescriptor": {
                    "Columns": [{"Name": column, "Type": kind} for column, kind in columns.items()],
                    "Location": location or f"s3://{self.data}/{name}/",
                    "InputFormat": storage.input_format,
                    "OutputFormat": storage.output_format,
                    "SerdeInfo": {
                        "SerializationLibrary": storage.serde,
                        "Parameters": dict(storage.serde_parameters),
                    },
                },
            },
        )

    def parquet_table(self, name, columns=COLUMNS, key="inserted_at", run_key="run"):
        self.table(name, columns, "parquet", key)
        staging = f"s3://{self.results}/staging/{name}/"
        projection = {
            "projection.enabled": "true",
            f"projection.{run_key}.type": "injected",
            "storage.location.template": f"{staging}${{{run_key}}}/",
        }
        self.table(f"{name}_staging", columns, "JSON", run_key, projection, staging)

    def partitions(self, table):
        found = self.glue.get_partitions(DatabaseName=self.name, TableName=table)["Partitions"]
        return {partition["Values"][0]: partition["StorageDescriptor"] for partition in found}

    def keys(self, bucket, prefix=""):
        return [each["Key"] for each in self.s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])]

    def objects(self, bucket, prefix=""):
        """Those that queries see."""
        seen = [key for key in self.keys(bucket, prefix) if not key.rpartition("/")[2].startswith("_")]
        return {key: self.s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in seen}


class Lambda:
    def __init__(self, remaining_ms=300_000):
        self.remaining_ms = remaining_ms

    def get_remaining_time_in_millis(self):
        return self.remaining_ms


def answer(run, table, sql, params=None):
    """The rows that a job of `table` gets for a statement."""
    found = []

    def job(context):
        found.extend(context.query(sql, params))
        return []

    run(table, job)
    return found


def hours(first, last):
    """The hours from one to the other, both included, by their distance from the hour of TICK."""
    tick = datetime.fromisoformat(TICK)
    return [partition_of(int((tick + timedelta(hours=n)).timestamp() * 1000)) for n in range(first, last + 1)]


def given_partitions(stack, values, location=None):
    storage = stack.glue.get_table(DatabaseName=stack.name, Name="clicks")["Table"]["StorageDescriptor"]
    storage["Location"] = location or storage["Location"]
    for start in range(0, len(values), 100):
        stack.glue.batch_create_partition(
            DatabaseName=stack.name,
            TableName="clicks",
            PartitionInputList=[
                {"Values": [value], "StorageDescriptor": storage} for value in values[start : start + 100]
            ],
        )
