"""A file with garbage at every boundary of a request, sent by a command that is killed and started again.

`DW_TEST_SEND_BYTES=2e9 DW_TEST_PATIENCE=20 python -m pytest -s tests/fault/test_send_kill.py` does it with 2 GB.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
from running import DW, start, started, until

from datawarehouse.runtime.lines import BATCH_BYTES
from patience import patient

BYTES = int(float(os.environ.get("DW_TEST_SEND_BYTES", 8 * BATCH_BYTES)))
KILLS = 5
GARBAGE = (
    '[2026-11-23 07:00:00] %d oops',
    '{"id":"%d","n":',
    "%d",
    '"%d"',
    '[{"id":"%d"}]',
    '{"id":"%d","n":"no number"}',
    "%d \x00 \udcff",
)  # fmt: skip


def write(path, chance):
    """Write a file of about BYTES; (its events, its garbage lines)."""
    events = garbage = written = size = 0
    is_boundary = True  # the first line is one as well
    with path.open("wb") as file:
        while written < BYTES:
            if is_boundary:
                line = chance.choice(GARBAGE) % garbage
                garbage += 1
            else:
                line = json.dumps({"id": f"e{events}", "n": events, "text": "x" * chance.randrange(600)})
                events += 1
            data = line.encode("utf-8", "surrogateescape") + b"\n"
            file.write(data)
            written += len(data)
            size += len(data)
            # The first line of a request, and its last ones: each of its other lines is shorter than 700 bytes.
            is_boundary = size >= BATCH_BYTES - 700
            if size >= BATCH_BYTES:
                size = 0
    return events, garbage


@pytest.mark.seeds(fixed=1, random=0)
@pytest.mark.timeout(patient(180))
def test_each_line_is_stored_or_rejected_once_however_often_it_is_killed(tmp_path, seed):
    chance = random.Random(seed)
    log = tmp_path / "log.ndjson"
    events, garbage = write(log, chance)
    server = start(tmp_path, "--disk-free-bytes-min", "0")
    began, kills = time.monotonic(), 0
    try:
        for number in range(1, KILLS + 1):
            with started([DW, "send", "clicks", "log.ndjson"], cwd=tmp_path, stdout=subprocess.DEVNULL) as send:
                enough = (events + garbage) * number * (BYTES > 1e8) / (KILLS + 1)
                before = received(server)
                until(
                    lambda: received(server) > max(before, enough) or send.poll() is not None,  # noqa: B023
                    "more events are in",
                    limit_s=60,
                )
                time.sleep(chance.random() / 20)  # anywhere in a request
                kills += send.poll() is None
                send.kill()
                if number % 2 == 0:
                    server.stop(signal.SIGKILL)
                    server = start(tmp_path, "--disk-free-bytes-min", "0")
        done = json.loads(server.dw("send", "clicks", "log.ndjson", "--output", "json").stdout)
        assert done["accepted"] + done["again"] == events + garbage
        server.dw("flush")
        [stored] = server.query("select count(*) as n, count(distinct id) as ids, sum(n) as total from clicks")
        [rejected] = server.query("select count(*) as n, count(distinct raw_data) as lines from clicks_quarantine")
        assert stored == {"n": events, "ids": events, "total": events * (events - 1) // 2}
        assert rejected == {"n": garbage, "lines": garbage}
        assert kills, "none was killed while it was sending"
        assert server.dw("send", "clicks", "log.ndjson").stdout.startswith("0 events accepted")
        sys.stdout.write(
            f"\n{log.stat().st_size} bytes, killed {kills} times (the server too, {KILLS // 2} times), seed {seed}: "
            f"{stored['n']} events stored, {rejected['n']} garbage lines rejected, each once; "
            f"{time.monotonic() - began:.0f} s\n"
        )
    finally:
        server.stop()


def received(server):
    status = server.status()
    return next(table["received"] for table in status["tables"] if table["table"] == "clicks")
