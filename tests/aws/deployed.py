"""A small warehouse deployed into the emulator, and the `dw` command that operates it."""

import json
import os
import subprocess
import time

from apply import Emulator
from emulator import REGION
from engine import Engine
from running import DW

from patience import patient

DECLARATION = """
from datawarehouse import Warehouse


def hourly(job):
    if job.partition.startswith("2026/10/31/"):
        raise ValueError(f"no counts of {job.partition}")
    yield {"n": 1}
    yield {"n": 2}


warehouse = (
    Warehouse("shop")
    .with_streaming_input_table(
        "clicks", columns={"id": "string", "price": "decimal(9,4)"}, peak_events_per_second=100, event_bytes=200
    )
    .with_table("facts", columns={"thing": "string", "tags": "array<string>"}, data_format="JSON")
    .with_table("bought", columns={"n": "int"}, partition_keys={"country": "string", "year": "int"}, data_format="JSON")
    .with_batch_input_table(
        "counts", columns={"n": "int"}, job=hourly, schedule_expression="rate(1 hour)",
        partition_keys={"hour": "string"}, data_format="JSON",
    )
    .with_batch_input_table(
        "plain", columns={"n": "int"}, job=hourly, schedule_expression="rate(10 minutes)", data_format="JSON",
    )
)
"""
PROGRAM = """
import pulumi
from warehouse import warehouse

from datawarehouse.aws import ServerlessDataWarehouse

pulumi.export("warehouse", ServerlessDataWarehouse("shop", {"warehouse": warehouse}).addresses)
"""


class Deployed:
    """The declaration in an emulator. folder: where `dw` runs; its dw.toml names the outputs."""

    def __init__(self, aws, folder, declaration=DECLARATION, program_text=PROGRAM):
        program = folder / "program"
        program.mkdir()
        (program / "warehouse.py").write_text(declaration)
        (program / "__main__.py").write_text(program_text)
        (program / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
        self.settle(aws, folder, Engine(Emulator(aws.url, region=REGION), project="shop", stack="test").run(program))

    def settle(self, aws, folder, done):
        """Let `dw` in the folder work with what a program has deployed."""
        assert done.code == 0, done.messages
        self.aws, self.folder, self.outputs = aws, folder, done.outputs
        self.at = done.outputs["warehouse"]
        (folder / "outputs.json").write_text(json.dumps(done.outputs))
        (folder / "dw.toml").write_text('[aws]\noutputs = "outputs.json"\n')
        self.environment = {**os.environ, **aws.environment()}

    def start(self, *arguments, **environment):
        """A running `dw VERB ... --on aws`."""
        return subprocess.Popen(
            [DW, *arguments, "--on", "aws"],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def dw(self, *arguments, code=0, **environment):
        """(stdout, stderr) of `dw VERB ... --on aws`."""
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=patient(120))
        assert process.returncode == code, (process.returncode, out, err)
        return out, err

    def put(self, table, *events):
        """Put events, as bytes, on the stream of a table."""
        answer = self.aws.client("kinesis").put_records(
            StreamName=self.at["tables"][table]["stream"],
            Records=[{"Data": event, "PartitionKey": f"{number}"} for number, event in enumerate(events)],
        )
        assert answer["FailedRecordCount"] == 0

    def keys(self, prefix):
        pages = self.aws.client("s3").get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=self.at["data_bucket"], Prefix=prefix)
        return [each["Key"] for page in found for each in page.get("Contents", [])]

    def until(self, holds):
        """What `holds` returns, once that is true."""
        deadline = time.monotonic() + patient(30)
        while not (found := holds()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return found
