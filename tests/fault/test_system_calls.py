"""Under a trace of system calls: no answer leaves the owner before the sync of the bytes that it acknowledges."""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from running import DECLARATION, DW, Running

from datawarehouse.folder import holder_of
from patience import patient

WRITES = ("write", "writev", "pwrite64", "pwritev")
LINE = re.compile(r"^(\d+) +(\d+\.\d+) (\w+)\((.*)$")
RESUMED = re.compile(r"^(\d+) +(\d+\.\d+) <\.\.\. (\w+) resumed>(.*)$")


@pytest.mark.skipif(sys.platform != "linux", reason="this system has no strace, which is for Linux")
@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_no_answer_precedes_the_sync_of_its_bytes(tmp_path):
    (tmp_path / "warehouse.py").write_text(DECLARATION)
    trace = tmp_path / "trace.txt"
    process = subprocess.Popen(
        ["strace", "-f", "-y", "-ttt", "-s", "100000", "-o", str(trace),
         "-e", "trace=write,writev,pwrite64,sendto,sendmsg,fdatasync,fsync",
         sys.executable, DW, "up", "--port", "0", "--output", "json"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        ready = json.loads(process.stdout.readline())
        warehouse = Running(process, tmp_path, ready["url"])

        def send(number):
            """One event over one of two routes, named so that it can be found in the trace."""
            mark = f"mark{number:04d}"
            if number % 2:
                assert warehouse.events("clicks", json.dumps({"id": mark}).encode())[0] == 200
            else:
                data = base64.b64encode(json.dumps({"id": mark}).encode()).decode()
                body = json.dumps({"StreamName": "clicks", "Data": data, "PartitionKey": mark})
                headers = {
                    "X-Amz-Target": "Kinesis_20131202.PutRecord",
                    "Content-Type": "application/x-amz-json-1.1",
                    "Authorization": "any",
                }
                assert warehouse.request("POST", "/", body, headers)[0] == 200

        for number in range(20):
            send(number)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(send, range(20, 120)))
    finally:
        os.kill(holder_of(tmp_path / "data").pid, signal.SIGTERM)
        process.wait(patient(60))
        process.stdout.close()
    check(trace.read_text(errors="replace").splitlines())


def check(lines):
    """Replay the trace: bytes written to the journal, syncs that began after that and ended, answers sent."""
    unsynced = {}  # mark -> True while its bytes wait for a sync
    syncing = {}  # thread -> the marks that the sync under way covers
    durable = set()
    answers = syncs = 0
    for line in lines:
        call = LINE.match(line)
        resumed = RESUMED.match(line)
        if call:
            thread, _, name, rest = call.groups()
            if name in WRITES and ".journal>" in rest[:300]:
                for mark in re.findall(r"mark\d{4}", rest):
                    unsynced[mark] = True
            elif name in ("fdatasync", "fsync") and ".journal>" in rest:
                syncing[thread] = set(unsynced)
                if "unfinished" not in rest:
                    finish(thread, syncing, unsynced, durable)
                    syncs += 1
            elif name in ("sendto", "sendmsg", "write", "writev") and "HTTP/1.1 200" in rest:
                answers += 1
                # Every answer under way is to a mark that is durable: none may outnumber the durable ones.
                assert answers <= len(durable), f"an answer before its sync: {line[:200]}"
        elif resumed and resumed[3] in ("fdatasync", "fsync") and resumed[1] in syncing:
            finish(resumed[1], syncing, unsynced, durable)
            syncs += 1
    assert answers == len(durable) == 120
    assert 0 < syncs <= 125, "concurrent requests share a sync"


def finish(thread, syncing, unsynced, durable):
    covered = syncing.pop(thread)
    durable.update(covered)
    for mark in covered:
        unsynced.pop(mark, None)


def test_the_check_finds_an_answer_before_its_sync():
    early = [
        '1 1.0 writev(7</x/0.journal>, [{iov_base="{mark0000}"}], 1) = 9',
        '2 1.1 sendto(8<socket:[1]>, "HTTP/1.1 200 OK", 15, 0, NULL, 0) = 15',
        "1 1.2 fdatasync(7</x/0.journal>) = 0",
    ]
    with pytest.raises(AssertionError, match="an answer before its sync"):
        check(early)
