"""A data folder with complete hours, a small deployment for its declaration in the emulator, and `dw push` between
them."""

import json
from datetime import UTC, datetime, timedelta

from functions_stack import Stack
from running import command

from datawarehouse.aws.glue_tables import readable_of
from datawarehouse.functions.athena import Athena
from datawarehouse.runtime.declaration import load
from datawarehouse.runtime.reader import Reader
from datawarehouse.settings import resolve
from datawarehouse.testing import simulate

DECLARATION = """
from datawarehouse import Warehouse

def counted(job):
    [(count, total)] = job.query("select count(*), sum(n) from clicks where inserted_at = ?", [job.partition])
    yield {"clicks": count, "total": total, "at": job.time}

def hourly(name, **more):
    return dict(
        name=name, columns={"clicks": "int", "total": "bigint", "at": "timestamp"}, job=counted,
        schedule_expression="rate(1 hour)", reads=["clicks"], run_when_complete=True, **more,
    )

warehouse = (
    Warehouse("shop")
    .with_streaming_input_table("clicks", {"id": "string", "n": "int"})
    .with_batch_input_table(**hourly("hourly", partition_keys={"hour": "string"}))
    .with_batch_input_table(**hourly("loose"))
    .with_batch_input_table(**hourly("lines", data_format="JSON", partition_keys={"hour": "string"}))
    .with_table("facts", {"color": "string"}, partition_keys={"country": "string"}, data_format="JSON")
)
"""
MALFORMED = '{"id": "x", "n": "many"}'
QUERIES = {
    "clicks": "select inserted_at, id, n from clicks",
    "hourly": "select hour, clicks, total, at from hourly",
    "loose": "select clicks, total, at from loose",
    "lines": "select hour, clicks, total, at from lines",
    "facts": "select country, color from facts",
}

REJECTS = """select inserted_at, arrival_timestamp, sequence_number, error_code, error_message, column_name, expected,
    received, raw_data from clicks_quarantine"""


class Sides:
    """A project folder with a data folder, and what is deployed for it.

    hour: the present one when it was made; the next may begin at any moment of a test.
    """

    def __init__(self, aws, name, folder, declaration=DECLARATION):
        self.hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        self.aws, self.folder, self.data = aws, folder, folder / "data"
        (folder / "warehouse.py").write_text(declaration)
        self.stack = Stack(aws, name)
        self.glue, self.s3, self.bucket = self.stack.glue, self.stack.s3, self.stack.data
        self.warehouse = load(str(folder / "warehouse.py"))
        for table in self.warehouse.tables():
            for each in readable_of(table):
                self.create(each)
        self.outputs = {
            "warehouse": "shop",
            "region": "us-east-1",
            "database": name,
            "data_bucket": self.bucket,
            "results_bucket": self.stack.results,
            "workgroups": {"adhoc": "adhoc"},
            "tables": {table.name: {"kind": table.kind} for table in self.warehouse.tables()},
        }
        (folder / "outputs.json").write_text(json.dumps({"warehouse": self.outputs}))

    def create(self, table):
        if table.statement:
            self._create_view(table)
            return
        given = table.arguments(f"s3://{self.bucket}/{table.folder}")
        storage = given["storage_descriptor"]
        self.glue.create_table(
            DatabaseName=self.stack.name,
            TableInput={
                "Name": given["name"],
                "TableType": given["table_type"],
                "Parameters": given["parameters"],
                "PartitionKeys": [_column(key) for key in given["partition_keys"]],
                "StorageDescriptor": {
                    "Columns": [_column(column) for column in storage["columns"]],
                    "Location": storage["location"],
                    "InputFormat": storage["input_format"],
                    "OutputFormat": storage["output_format"],
                    "SerdeInfo": {
                        "SerializationLibrary": storage["ser_de_info"]["serialization_library"],
                        "Parameters": storage["ser_de_info"]["parameters"],
                    },
                },
            },
        )

    def _create_view(self, view):
        given = view.view_arguments(view.view_text(self.stack.name))
        self.glue.create_table(
            DatabaseName=self.stack.name,
            TableInput={
                "Name": given["name"],
                "TableType": given["table_type"],
                "Parameters": given["parameters"],
                "StorageDescriptor": {
                    "Columns": [_column(column) for column in given["storage_descriptor"]["columns"]]
                },
                "ViewOriginalText": given["view_original_text"],
                "ViewExpandedText": given["view_expanded_text"],
            },
        )

    def change(self, table, **changes):
        """Change the description of a table in Glue."""
        found = self.glue.get_table(DatabaseName=self.stack.name, Name=table)["Table"]
        kept = ("Name", "TableType", "Parameters", "PartitionKeys", "StorageDescriptor")
        self.glue.update_table(DatabaseName=self.stack.name, TableInput={name: found[name] for name in kept} | changes)

    def simulated(self, hours=0, **settings):
        """The warehouse of the data folder; it begins so many hours before `hour`."""
        return simulate(self.warehouse, self.data, start=self.hour - timedelta(hours=hours), settings=settings)

    def fill(self, hours, **settings):
        """Fill hours with events; in each third some are malformed."""
        with self.simulated(hours, **settings) as opened:
            self.hours = []
            for hour in range(hours):
                self.hours.append(f"{opened.now:%Y/%m/%d/%H}")
                for half in range(2):
                    good = [{"id": f"{hour}-{half}-{n}", "n": n} for n in range(hour % 3 + 1)]
                    opened.put("clicks", [*good, *[MALFORMED] * (hour % 3 == 0)])
                    opened.advance("30m")

    def dw(self, *arguments):
        return command(self.folder, *arguments)

    def push(self, *arguments, code=0):
        """What `dw push` says of each table, and its stderr."""
        done = self.dw("push", "--outputs", "outputs.json", "--output", "json", *arguments)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return {each["table"]: each for each in json.loads(done.stdout or "[]")}, done.stderr

    def objects(self, prefix=""):
        """What is in the bucket: key -> (ETag, when it was written)."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        found = [each for page in pages for each in page.get("Contents", [])]
        return {each["Key"]: (each["ETag"], each["LastModified"]) for each in found}

    def live(self, table, hour):
        """The paths of the live files of an hour."""
        with Reader(self.data, resolve()) as reader:
            return [file.path for file in reader.catalog.live_paths(table, "rows", [hour])]

    def here(self, sql):
        with Reader(self.data, resolve()) as reader:
            return sorted(map(tuple, reader.engine.query(sql)))

    def there(self, sql):
        client = self.aws.client("athena")
        athena = Athena(client, self.outputs["database"], "adhoc", f"s3://{self.stack.results}/", lambda: 10**9)
        return sorted(athena.query(sql))

    def assert_equal(self, *tables):
        """Assert that both sides have the same rows, and the same rejects."""
        for table in tables or QUERIES:
            assert self.there(QUERIES[table]) == self.here(QUERIES[table]), table
        if not tables or "clicks" in tables:
            assert self.there(REJECTS) == self.here(REJECTS)


def _column(column):
    return {"Name": column["name"], "Type": column["type"]}
