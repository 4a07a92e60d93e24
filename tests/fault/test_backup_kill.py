"""Back-ups under full intake, and kill -9 while one is made.

A back-up has every event that was acknowledged before it began, once. After any kill the back-ups that were there are
whole, and the next one is right.
"""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from forks import forks
from running import DECLARATION, DW, running, start, started, until

from datawarehouse import open_warehouse
from datawarehouse.backup.manifest import decode, moment_of
from datawarehouse.backup.restore import restore
from datawarehouse.testing import simulate
from patience import patient

SERIES = int(os.environ.get("DW_TEST_BACKUP_SERIES", "2"))
KILLS_IN_A_SERIES = 5
FILES = 1000
MANY_FILES = 5000
START_MS = 1_772_348_400_000  # 2026-03-01T07:00:00Z
FAST = {"query_time_max_s": 1, "compact_after_hours": 0, "convert_interval_ms": 10}
WAREHOUSE = """
from datawarehouse import Warehouse

columns = {"id": "string", "n": "int"}
warehouse = (
    Warehouse("shop")
    .with_streaming_input_table("plain", columns, input_stream_shard_count=4)
    .with_streaming_input_table("arranged", columns, sort_by=["n"])
)
"""
# Prints `ready`, each id that is acknowledged, and `begin` and `made` around each back-up.
CHILD = f"""
import threading
from datawarehouse import open_warehouse
import datawarehouse.runtime.embedded
{WAREHOUSE}
printing = threading.Lock()

def say(*words):
    with printing:
        print(*words, flush=True)

def main(folder, to, prefix):
    with open_warehouse(warehouse, folder, {{"convert_interval_ms": 10}}) as opened:
        def put():
            for number in range(1_000_000):
                for table in ("plain", "arranged"):
                    opened.put(table, [{{"id": f"{{prefix}}-{{number}}", "n": number}}, b"no event"])
                say("id", f"{{prefix}}-{{number}}")

        threading.Thread(target=put, daemon=True).start()
        opened.flush()
        say("ready")
        while True:
            say("begin")
            made = opened.backup(to, kept=3)
            say("made", made.moment_ms, len(made.problems))
"""


def declared():
    scope = {}
    exec(WAREHOUSE, scope)
    return scope["warehouse"]


def moments(to):
    found = [moment_of(path.name) for path in to.iterdir()] if to.exists() else []
    return sorted(moment for moment in found if moment is not None)


def check_restored(to, folder, acknowledged, at_ms=None):
    """Restore a back-up: each event is in it that was acknowledged before it began, none twice, and the ledger
    closes."""
    done = restore(to, folder, at_ms, lambda progress: None)
    assert done.problems == []
    with simulate(declared(), folder) as opened:
        opened.clock.set_ms(max(opened.clock.now_ms(), done.manifest.ended_ms))
        for table in ("plain", "arranged"):
            found = Counter(id for (id,) in opened.query(f"select id from {table}"))
            assert acknowledged <= found.keys(), f"lost: {sorted(acknowledged - found.keys())[:5]}"
            assert set(found.values()) <= {1}, "doubled"
            totals = opened.catalog.totals(table)
            [(rejected,)] = opened.query(f"select count(*) from {table}_quarantine")
            assert (totals.rows, totals.rejected) == (found.total(), rejected)
            assert totals.received == totals.rows + totals.rejected
    return done


class FastClock:
    """A second is half an hour."""

    def __init__(self):
        self.began = time.monotonic()

    def now_ms(self):
        return START_MS + int((time.monotonic() - self.began) * 1_800_000)


class Busy(threading.Thread):
    """Repeats something until it is stopped; `error` is what it failed with."""

    def __init__(self, work):
        super().__init__(daemon=True)
        self.work = work
        self.stopping = False
        self.error = None

    def run(self):
        try:
            while not self.stopping:
                self.work()
        except BaseException as error:
            self.error = error


def test_each_has_what_was_acknowledged_before_it_while_everything_goes_on(tmp_path):
    to = tmp_path / "backups"
    acknowledged, begun, deleted = [], {}, []
    numbers = iter(range(1_000_000_000))
    with open_warehouse(declared(), tmp_path / "data", FAST, FastClock()) as opened:

        def put():
            ids = [f"{next(numbers)}" for _ in range(20)]
            for table in ("plain", "arranged"):
                opened.put(table, [*({"id": id, "n": int(id) % 7} for id in ids), b"no event"])
            acknowledged.extend(ids)

        def tidy():
            opened.compact("plain")
            opened.compact("arranged")
            deleted.append(opened.catalog.store.rows("select max(id) - count(*) from files")[0][0])
            time.sleep(0.01)

        threads = [Busy(put), Busy(put), Busy(tidy)]
        for thread in threads:
            thread.start()
        try:
            until(lambda: any(deleted) and len(acknowledged) > 500, "files were retired and deleted")
            for _ in range(6):
                before, gone = len(acknowledged), deleted[-1]
                made = opened.backup(to)
                assert made.problems == []
                begun[made.moment_ms] = set(acknowledged[:before])
                until(lambda gone=gone: deleted[-1] > gone, "deletion goes on after a back-up")
        finally:
            for thread in threads:
                thread.stopping = True
            for thread in threads:
                thread.join(patient(20))
        assert [thread.error for thread in threads] == [None] * 3
        assert opened.catalog.store.rows("select count(*) from files where compacted is not null")[0][0]
    assert len(begun) == 6
    for number, (moment, ids) in enumerate(begun.items()):
        check_restored(to, tmp_path / f"restored-{number}", ids, moment)


def stopped_while_it_writes(pid, to):
    """Stop a child and let it go on unless it has written a part of a copy."""
    os.kill(pid, signal.SIGSTOP)
    until(lambda: state(pid) == "T", "it has stopped")
    if list(to.rglob("*.aside")):
        return True
    os.kill(pid, signal.SIGCONT)
    return False


def state(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def killed(begin, folder, to, prefix, chance, while_it_writes):
    """Begin a child and kill it while it makes a back-up: (ids that were acknowledged, those before the last back-up
    that it said was made)."""
    process = begin(folder, to, prefix)
    said = []
    try:
        wanted = chance.randint(1, 3)
        while wanted:
            said.append(process.stdout.readline())
            assert said[-1], "the child has ended"
            wanted -= said[-1] == "begin\n"
        if while_it_writes:
            until(lambda: stopped_while_it_writes(process.pid, to), "it is stopped while it writes a copy")
        else:
            time.sleep(chance.uniform(0, 0.12))
        os.kill(process.pid, signal.SIGKILL)
        said += process.stdout.read().splitlines(keepends=True)
    finally:
        process.kill()
    acknowledged, before, sure = set(), set(), set()
    for line in (line.split() for line in said if line.endswith("\n")):
        match line:
            case ["id", id]:
                acknowledged.add(id)
            case ["begin"]:
                before = set(acknowledged)
            case ["made", _, problems]:
                assert problems == "0"
                sure = before
    return acknowledged, sure


@pytest.mark.parametrize("seed", range(SERIES))
def test_whatever_is_killed_the_next_one_is_right(tmp_path, seed):
    chance = random.Random(seed)
    folder, to = tmp_path / "data", tmp_path / "backups"
    (tmp_path / "backing_child.py").write_text(CHILD)
    acknowledged, in_last, unfinished = set(), set(), 0
    try:
        with forks("backing_child", tmp_path, tmp_path) as begin:
            for kill in range(KILLS_IN_A_SERIES):
                more, sure = killed(begin, folder, to, f"{seed}-{kill}", chance, while_it_writes=kill == 0)
                in_last = acknowledged | sure if sure else in_last
                acknowledged |= more
                unfinished += bool(list(to.rglob("*.aside")))
                for number, moment in enumerate(moments(to)):
                    last = number == len(moments(to)) - 1
                    check_restored(to, tmp_path / f"after-{kill}-{number}", in_last if last else set(), moment)
                with simulate(declared(), folder) as opened:
                    opened.clock.set_ms(time.time_ns() // 1_000_000)
                    made = opened.backup(to, kept=3)
                    in_last = set(acknowledged)
                assert made.problems == []
                assert not list(to.rglob("*.aside")), "what the dead one was writing is gone"
                lists = [decode(path.read_bytes()) for path in to.glob("2*.json")]
                kept = {path.name for path in (to / "files").glob("*/*")}
                assert kept == {file.digest for manifest in lists for file in manifest.files}
                assert len(lists) <= 3
                check_restored(to, tmp_path / f"next-{kill}", acknowledged)
        assert unfinished, "none was killed while it wrote"
    except BaseException as error:
        raise AssertionError(f"seed {seed} replays the kills") from error


CALL = re.compile(r"^\d+ +(fsync|fdatasync|rename\w*)\((?:\d+<([^>]+)>)?")
QUOTED = re.compile(r'"([^"]+)"')


@pytest.mark.skipif(sys.platform != "linux", reason="this system has no strace, which is for Linux")
@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_nothing_has_its_name_before_it_is_durable(tmp_path):
    """Each copy is synced before it is renamed, and the folders of the copies before the manifest gets its name; the
    same for a restore and the file FORMAT."""
    (tmp_path / "warehouse.py").write_text(DECLARATION)
    (tmp_path / "data" / "facts").mkdir(parents=True)
    with simulate(dw_declared(), tmp_path / "new") as opened:
        opened.put("clicks", {"id": "a"})
        opened.flush()
    (tmp_path / "data" / "facts").rename(tmp_path / "new" / "facts")
    (tmp_path / "data").rmdir()
    (tmp_path / "new").rename(tmp_path / "data")
    (tmp_path / "data" / "facts" / "a.json").write_text('{"thing": "x"}')
    for last, arguments in (
        (r"backups/2[^/]+Z\.json", ("backup", "backups")),
        (r"other/FORMAT", ("restore", "backups", "--data", "other")),
    ):
        trace = tmp_path / "trace.txt"
        command = ["strace", "-f", "-y", "-o", str(trace), "-e", "trace=fsync,fdatasync,/^rename", DW, *arguments]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=patient(60))
        lines = [(found, line) for line in trace.read_text().splitlines() if (found := CALL.match(line))]
        calls = [(found[1], found[2], *QUOTED.findall(line)) for found, line in lines]
        renames = check_order(calls, re.compile(rf"{tmp_path}/{last}"), (f"{tmp_path}/backups/", f"{tmp_path}/other/"))
        assert renames > 5


def check_order(calls, last, roots):
    """How many files were renamed; the one that is `last` comes after all others are durable."""
    synced, unsynced_folders, renames, is_over = set(), set(), 0, False
    for name, path, *renamed in calls:
        if not name.startswith("rename"):
            synced.add(path)
            unsynced_folders.discard(path)
            continue
        source, target = renamed
        if target.startswith(roots):
            assert source in synced, f"{target} before its bytes"
            synced.discard(source)
            if last.fullmatch(target):
                assert not unsynced_folders, f"{target} before the names of copies"
                is_over = True
            elif not target.endswith("BACKUPS"):
                assert not is_over, target
                unsynced_folders.add(target.rpartition("/")[0])
            renames += 1
    assert is_over
    return renames


def dw_declared():
    scope = {}
    exec(DECLARATION, scope)
    return scope["warehouse"]


def fill(warehouse, files):
    facts = warehouse.folder / "data" / "facts"
    facts.mkdir(exist_ok=True)
    for number in range(files):
        (facts / f"{number}.json").write_text(json.dumps({"thing": f"{number}"}))
    warehouse.events("clicks", b'{"id": "a"}')


def copied(folder):
    return len(list((folder / "backups").glob("files/*/*")))


def backing_up(folder):
    return started([DW, "backup", "backups"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def test_a_command_that_is_killed_ends_its_back_up_and_holds_nothing(tmp_path):
    with running(tmp_path) as warehouse:
        fill(warehouse, MANY_FILES)
        for kill in (1, 2):
            with backing_up(tmp_path) as backup:
                until(lambda n=kill: copied(tmp_path) > 5 * n, "copies are made")
                backup.kill()
                backup.wait()
            until(lambda: "is being made" not in warehouse.dw("backup", "data/refused", check=False).stderr, "it ended")
            before = copied(tmp_path)
            assert before < MANY_FILES
            assert warehouse.dw("status", "--output", "json")
            assert moments(tmp_path / "backups") == []
        made = json.loads(warehouse.dw("backup", "backups", "--output", "json").stdout)
        assert made["result"] == "complete"
        assert made["new_files"] < made["files"] - 5, "it goes on with what has been copied"


def test_an_owner_that_is_killed_is_said_and_the_next_one_goes_on(tmp_path):
    warehouse = start(tmp_path)
    try:
        fill(warehouse, FILES)
        with backing_up(tmp_path) as backup:
            until(lambda: copied(tmp_path) > 5, "copies are made")
            warehouse.process.kill()
            said = backup.communicate(timeout=patient(30))[0].decode()
        assert backup.returncode == 4
        assert "does not answer" in said
        warehouse.process.wait()
        warehouse.process.stdout.close()
        assert moments(tmp_path / "backups") == []
        warehouse = start(tmp_path, declaration=None)
        made = json.loads(warehouse.dw("backup", "backups", "--output", "json").stdout)
        assert made["result"] == "complete"
        assert made["new_files"] < made["files"]
    finally:
        warehouse.stop()
