"""The example deployed into the emulator, and the `dw` command that operates it."""

import json
import os
import subprocess
import time
from pathlib import Path

from apply import Emulator
from emulator import REGION
from engine import Engine
from running import DW

from patience import patient

EXAMPLE = Path(__file__).parents[2] / "examples" / "acme_ads"


class Deployed:
    """The example in an emulator, under a stack of its own. folder: where `dw` runs; its dw.toml names the outputs."""

    def __init__(self, aws, stack, folder, program=EXAMPLE):
        done = Engine(Emulator(aws.url, region=REGION), project="acme-ads", stack=stack).run(
            program, config={"acme-ads:dev": "false"}
        )
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
