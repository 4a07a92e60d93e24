"""`make demo`: the whole way of an event, from a Kinesis client to the answer of a query, in a folder of its own.

It starts `dw up`, sends impressions and clicks with boto3, and asks with `dw query`, as a user would. The folder `demo`
stays, and the next run begins it anew.
"""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import boto3
from tqdm import tqdm
from traffic import traffic

HERE = Path(__file__).parent
FOLDER = HERE.parents[1] / "demo"
DW = str(Path(sys.executable).parent / "dw")
SEED, EVENTS, MALFORMED = 7, 20_000, 0.01
RECORDS_IN_A_CALL = 500

CLICK_THROUGH = """
select f.advertiser, i.campaign, count(*) as impressions, count(c.id) as clicks,
       round(100.0 * count(c.id) / count(*), 2) as ctr_percent, sum(c.price) as spent
from impressions i
join facts f on f.campaign = i.campaign
left join clicks c on c.impression_id = i.id
group by 1, 2
order by ctr_percent desc
"""


def main() -> None:
    began = time.monotonic()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    shutil.copy(HERE / "warehouse.py", FOLDER)
    data = FOLDER / "data"
    process, url = start(data)
    try:
        say(f"dw up takes events at {url}")
        sent = send(url)
        (data / "facts").mkdir()
        (data / "facts" / "facts.json").write_text((HERE / "facts.json").read_text())
        dw("flush", data)
        show(data, sent)
    finally:
        process.terminate()
        process.wait()
    say(f"\nThat took {time.monotonic() - began:.0f} s. dw up was stopped, and the folder demo stays. To go on there:")
    say("  . .venv/bin/activate; cd demo; dw up")
    say("and then open http://127.0.0.1:8321, or in another terminal:")
    say("  . .venv/bin/activate; cd demo; dw query 'select campaign, count(*) from impressions group by 1'; dw sql")


def start(data: Path) -> tuple[subprocess.Popen, str]:
    declaration = ["--warehouse", str(FOLDER / "warehouse.py")]
    command = [DW, "up", *declaration, "--data", str(data), "--port", "0", "--output", "json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return process, json.loads(process.stdout.readline())["url"]


def send(url: str) -> int:
    """Send the events through the Kinesis API, as any producer on AWS does; how many."""
    kinesis = boto3.client(
        "kinesis", endpoint_url=url, region_name="us-east-1", aws_access_key_id="any", aws_secret_access_key="any"
    )
    waiting = {"impressions": [], "clicks": []}
    sent, started = 0, time.monotonic()

    def put(stream: str) -> None:
        nonlocal sent
        answer = kinesis.put_records(StreamName=stream, Records=waiting[stream])
        assert answer["FailedRecordCount"] == 0
        sent += len(waiting[stream])
        waiting[stream] = []

    events = tqdm(traffic(SEED, EVENTS, MALFORMED), total=EVENTS, unit=" events", disable=not sys.stderr.isatty())
    for stream, key, event in events:
        waiting[stream].append({"Data": event, "PartitionKey": key})
        if len(waiting[stream]) == RECORDS_IN_A_CALL:
            put(stream)
    for stream, records in waiting.items():
        if records:
            put(stream)
    say(f"boto3 put {sent} records in {time.monotonic() - started:.1f} s")
    return sent


def show(data: Path, sent: int) -> None:
    say("\nThe click-through rate by campaign:")
    dw("query", data, CLICK_THROUGH)
    say("\nThe hour folders:")
    for folder in sorted({path.parent for path in data.rglob("*.parquet")}):
        say(f"  {folder.relative_to(data)}/")
    for table in ("impressions", "clicks"):
        say(f"\nThe quarantine of {table}, by cause:")
        dw("quarantine", data, "ls", table)
    status = json.loads(dw("status", data, "--output", "json", shown=False))
    streaming = [table for table in status["tables"] if "received" in table]
    stored, rejected = (sum(table[name] for table in streaming) for name in ("stored", "rejected"))
    say(f"\nsent {sent} = stored {stored} + rejected {rejected}")
    if sent != stored + rejected:
        raise SystemExit("The numbers do not add up.")


def dw(verb: str, data: Path, *arguments: str, shown: bool = True) -> str:
    declaration = ["--warehouse", str(FOLDER / "warehouse.py")] if verb == "flush" else []
    command = [DW, verb, *arguments, *declaration, "--data", str(data)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    if shown and done.stdout:
        say(done.stdout.rstrip())
    return done.stdout


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
