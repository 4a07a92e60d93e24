"""`dw send`: a file is known by its path and what was sent of it, and the command says what became of its events."""

import fcntl
import gzip
import json
import os
import re
import shutil
import signal
import subprocess
from itertools import chain

import pytest
from running import DW, command, running, started, until

from datawarehouse.runtime.client import client_of
from datawarehouse.runtime.lines import Lines, batches
from datawarehouse.runtime.sending import Sender
from datawarehouse.runtime.sent_files import sent_file
from patience import patient


def lines(*ids):
    return "".join(json.dumps({"id": each}) + "\n" for each in ids)


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    with running(tmp_path_factory.mktemp("project"), "--convert-interval-ms", "20") as started:
        started.events("clicks", b"{}")  # so that the converting process has started
        started.flush()
        yield started


@pytest.fixture
def project(warehouse, tmp_path):
    """Where the files of a test are; the running warehouse is that of the module."""
    return tmp_path


def sent(warehouse, *arguments):
    done = warehouse.dw("send", "clicks", *arguments, "--output", "json")
    return json.loads(done.stdout)


def stored(warehouse, like):
    warehouse.flush()
    found = warehouse.query("select id, count(*) as n from clicks where id like ? group by id order by id", like)
    return {row["id"]: row["n"] for row in found}


def test_a_log_that_grew_sends_what_is_new(warehouse, project):
    log = project / "grows.ndjson"
    log.write_text(lines("g1", "g2", "g3"))
    assert sent(warehouse, log)["accepted"] == 3
    with log.open("a") as file:
        file.write(lines("g4"))
    again = sent(warehouse, log)
    assert (again["accepted"], again["again"]) == (1, 3)
    again = sent(warehouse, log)
    assert (again["accepted"], again["again"]) == (0, 4)
    assert stored(warehouse, "g%") == dict.fromkeys(("g1", "g2", "g3", "g4"), 1)


def test_another_file_with_equal_content_counts_as_its_own(warehouse, project):
    monday, tuesday = project / "monday.ndjson", project / "tuesday.ndjson"
    monday.write_text(lines("d1", "d2"))
    shutil.copy(monday, tuesday)
    for file in (monday, tuesday, monday, tuesday):
        sent(warehouse, file)
    assert stored(warehouse, "d%") == {"d1": 2, "d2": 2}
    tuesday.rename(project / "wednesday.ndjson")
    assert sent(warehouse, project / "wednesday.ndjson")["accepted"] == 2, "a file has its path for a name"


@pytest.mark.parametrize("now", [lines("other", "h2", "h3"), lines("h1"), "", lines("h1") + '{"id":"h', lines("zzz")])
def test_a_file_whose_head_has_changed_is_named_and_nothing_of_it_is_sent(warehouse, project, now):
    log = project / "rotated.ndjson"
    log.write_text(lines("h1", "h2"))
    assert sent(warehouse, log, "--new")["accepted"] == 2
    before = sum(stored(warehouse, "%").values())
    log.write_text(now)
    refused = warehouse.dw("send", "clicks", log, check=False)
    assert refused.returncode == 2
    assert f"{log} is no longer the file of which 2 events were sent to 'clicks'" in refused.stderr
    assert ("26 bytes of events are others" if "other" in now else "it now ends after") in refused.stderr
    assert "Nothing was sent" in refused.stderr
    assert "add --new" in refused.stderr
    assert sum(stored(warehouse, "%").values()) == before
    as_new = sent(warehouse, log, "--new")
    assert as_new["accepted"] == now.count("\n")
    assert sent(warehouse, log)["again"] == now.count("\n"), "from now on this is the file that is known"


def test_new_counts_a_file_again_and_is_itself_continued(warehouse, project):
    log = project / "new.ndjson"
    log.write_text(lines("n1", "n2"))
    assert sent(warehouse, log)["accepted"] == 2
    assert sent(warehouse, log, "--new")["accepted"] == 2
    with log.open("a") as file:
        file.write(lines("n3"))
    assert sent(warehouse, log)["accepted"] == 1
    assert stored(warehouse, "n%") == {"n1": 2, "n2": 2, "n3": 1}


def test_a_link_is_the_file_that_it_leads_to(warehouse, project):
    first, second, link = project / "first.ndjson", project / "second.ndjson", project / "current.ndjson"
    first.write_text(lines("l1"))
    second.write_text(lines("l2"))
    link.symlink_to(first)
    assert sent(warehouse, link)["accepted"] == 1
    assert sent(warehouse, first)["accepted"] == 0
    link.unlink()
    link.symlink_to(second)
    assert sent(warehouse, link)["accepted"] == 1
    assert stored(warehouse, "l%") == {"l1": 1, "l2": 1}


def test_one_file_is_its_own_for_each_table(warehouse, project):
    log = project / "tables.ndjson"
    log.write_text(lines("t1"))
    for table in ("clicks", "views"):
        assert json.loads(warehouse.dw("send", table, log, "--output", "json").stdout)["accepted"] == 1


def test_what_is_sent_of_a_file_is_its_events_however_they_are_written(warehouse, project):
    log = project / "forms"
    log.write_text(lines("f1", "f2"))
    assert sent(warehouse, log)["accepted"] == 2
    log.write_bytes(gzip.compress(lines("f1", "f2").encode()) + gzip.compress(lines("f3").encode()))
    assert sent(warehouse, log)["accepted"] == 1
    log.write_text("\n" + lines("f1", "f2", "f3", "f4").replace("\n", "\r\n\r\n"))
    assert sent(warehouse, log)["accepted"] == 1
    log.write_text("[\n" + ",\n".join(lines("f1", "f2", "f3", "f4", "f5").splitlines()) + "]\n")
    assert sent(warehouse, log)["accepted"] == 1
    assert stored(warehouse, "f%") == dict.fromkeys(("f1", "f2", "f3", "f4", "f5"), 1)


def test_a_last_line_that_is_being_written_waits_until_it_is_complete(warehouse, project):
    log = project / "written.ndjson"
    log.write_text(lines("w1") + '{"id":"w2"')
    first = warehouse.dw("send", "clicks", log)
    assert first.stdout == "1 event accepted: 1 stored, 0 rejected\n"
    assert "The last 10 bytes" in first.stderr
    assert "a line without a line end" in first.stderr
    with log.open("a") as file:
        file.write(', "n": 2}')  # whole, though there is no line end yet
    assert sent(warehouse, log)["accepted"] == 1
    with log.open("a") as file:
        file.write("\r\n" + lines("w3"))
    assert sent(warehouse, log)["accepted"] == 1
    warehouse.flush()
    assert warehouse.query("select id, n from clicks where id like 'w_' order by id") == [
        {"id": "w1", "n": None},
        {"id": "w2", "n": 2},
        {"id": "w3", "n": None},
    ]
    log = project / "ended.ndjson"
    log.write_text("no JSON at all")
    piped = warehouse.dw("send", "clicks", "-", stdin=log.read_text())
    assert piped.stdout.startswith("1 event accepted: 0 stored, 1 rejected (`"), "the end of a pipe is the end"


def test_two_that_send_one_file_do_not_get_into_each_others_way(warehouse, project):
    log = project / "two.ndjson"
    log.write_text(lines("two1"))
    sent(warehouse, log)
    records = [
        path for path in (warehouse.folder / "data" / "_sent").glob("*/sent.json") if "two.ndj" in path.read_text()
    ]
    lock = os.open(records[0].parent, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        refused = warehouse.dw("send", "clicks", log, check=False)
    finally:
        os.close(lock)
    assert refused.returncode == 4
    assert f"Another `dw send` is sending {log} to 'clicks'" in refused.stderr
    assert sent(warehouse, log)["again"] == 1


def test_a_record_that_cannot_be_read_is_named(warehouse, project):
    log = project / "record.ndjson"
    log.write_text(lines("r1"))
    sent(warehouse, log)
    records = [
        path for path in (warehouse.folder / "data" / "_sent").glob("*/sent.json") if "record" in path.read_text()
    ]
    records[0].write_bytes(b"{")
    refused = warehouse.dw("send", "clicks", log, check=False)
    assert refused.returncode == 4
    assert (
        f"{records[0].relative_to(warehouse.folder)}, which says what was sent of the file, cannot be read"
        in refused.stderr
    )
    assert sent(warehouse, log, "--new")["accepted"] == 1
    assert sent(warehouse, log)["again"] == 1


def test_a_file_of_any_name_and_a_record_that_cannot_be_written(warehouse, project):
    odd = project / os.fsdecode(b"odd \xff \xf0\x9f\x98\x80 'name.ndjson")
    odd.write_text(lines("odd"))
    assert sent(warehouse, odd)["accepted"] == 1
    assert sent(warehouse, odd)["again"] == 1
    log = project / "unwritten.ndjson"
    log.write_text(lines("u1"))
    root = warehouse.folder / "data" / "_sent"
    root.rename(project / "aside")
    root.write_text("no folder")
    try:
        refused = warehouse.dw("send", "clicks", log, check=False)
    finally:
        root.unlink()
        (project / "aside").rename(root)
    assert refused.returncode == 4
    assert "It cannot be noted how far the file is sent" in refused.stderr
    assert sent(warehouse, log)["accepted"] == 1, "nothing of it was sent before"


@pytest.mark.parametrize("is_noted", [True, False])
def test_ctrl_c_at_the_answer_of_a_request_neither_loses_nor_doubles_it(warehouse, project, is_noted):
    log, folder, prefix = project / "answered.ndjson", warehouse.folder / "data", f"c{is_noted:d}-"
    log.write_text(lines(prefix + "1", prefix + "2"))
    with sent_file(folder, "clicks", log, "") as record, log.open("rb") as file:
        note = record.end

        def interrupted(part):
            if is_noted:
                note(part)
            record.end = note
            raise KeyboardInterrupt

        record.end = interrupted
        sender, rest = Sender(lambda: client_of(folder), "clicks", patient(30)), iter(Lines(file))
        with pytest.raises(KeyboardInterrupt):
            sender.send(chain(record.rest(rest), batches(rest)), record.name, record)
        assert (sender.sent.accepted, sender.sent.unknown) == (2, 0)
    again = sent(warehouse, log)
    assert (again["accepted"], again["again"]) == (0, 2)
    assert stored(warehouse, f"{prefix}%") == {prefix + "1": 1, prefix + "2": 1}


def test_it_says_what_became_of_the_events(warehouse, project):
    text = lines("o1", "o2") + 'oops\n{"n":"x"}\n{"n":"y"}\n'
    told = warehouse.dw("send", "clicks", "-", stdin=text)
    assert told.returncode == 0, "rejected events are kept, so that this is no failure"
    assert told.stdout == (
        "5 events accepted: 2 stored, 3 rejected (`dw quarantine ls clicks`)\n"
        "2 rejected: column n, expected a whole number from -2147483648 to 2147483647\n"
        "1 rejected: expected JSON\n"
    )
    again = json.loads(warehouse.dw("send", "clicks", "-", "--output", "json", stdin='{"n":"x"}\n').stdout)
    assert (again["stored"], again["rejected"], again["waiting"], again["elsewhere"]) == (0, 1, 0, 0)
    assert [cause["records"] for cause in again["causes"]] == [1], "only of these events"


def test_a_back_up_knows_what_was_sent(tmp_path):
    log = tmp_path / "log.ndjson"
    log.write_text(lines("a", "b"))
    with running(tmp_path) as server:
        sent(server, log)
        server.dw("backup", "kept")
        log.write_text(lines("a", "b", "c"))
        sent(server, log)
    (tmp_path / "data").rename(tmp_path / "lost")
    assert command(tmp_path, "restore", "kept").returncode == 0
    with running(tmp_path) as server:
        again = sent(server, log)
        assert (again["accepted"], again["again"]) == (1, 2)
        assert stored(server, "%") == {"a": 1, "b": 1, "c": 1}


STUCK = ("--journal-bytes-max", "1MiB", "--convert-interval-ms", "60000")
"""Nothing is converted, and after the first megabyte nothing more is taken."""
LINE = b'{"id":"%06d","at":"2026-11-23T07:00:00Z"}\n'


def received(server):
    [table] = (table for table in server.status()["tables"] if table["table"] == "clicks")
    return table["received"]


def is_throttled(server):
    refused = rb'^dw_records_refused_total\{reason="journal_bytes_max",table="clicks"\} [1-9]'
    return re.search(refused, server.request("GET", "/metrics")[2], re.M)


def counted(server):
    server.flush()
    return server.query("select count(*) as n, count(distinct id) as ids from clicks")[0]


@pytest.mark.parametrize("file", ["log.ndjson", "-"])
def test_ctrl_c_says_how_many_events_are_in_and_how_to_go_on(tmp_path, file):
    (tmp_path / "log.ndjson").write_bytes(b"".join(LINE % n for n in range(60_000)))
    with running(tmp_path, *STUCK) as server:
        with (
            (tmp_path / "log.ndjson").open("rb") as log,
            started([DW, "send", "clicks", file], cwd=tmp_path, stdin=log, stderr=subprocess.PIPE) as send,
        ):
            until(lambda: received(server), "the first part is taken")
            until(lambda: is_throttled(server), "the next part is refused")
            send.send_signal(signal.SIGINT)
            _, said = send.communicate(timeout=patient(30))
        assert send.returncode == 130
        taken = received(server)
        assert 0 < taken < 60_000
        place = "standard input" if file == "-" else file
        assert said.decode().startswith(f"Interrupted. {taken} events of {place} are in. ")
        if file == "-":
            assert f"send what comes after its first {taken} lines" in said.decode()
            return
        assert said.decode().endswith("counts each event once: dw send clicks log.ndjson\n")
    with running(tmp_path) as server:
        done = server.dw("send", "clicks", "log.ndjson")
        assert done.stdout.startswith(f"{60_000 - taken} events accepted")
        assert f"{taken} events of this file were sent before" in done.stdout
        assert counted(server) == {"n": 60_000, "ids": 60_000}


def test_a_limit_that_is_reached_says_how_many_events_are_in_and_how_to_go_on(tmp_path):
    (tmp_path / "log.ndjson").write_bytes(b"".join(LINE % n for n in range(60_000)))
    with running(tmp_path, *STUCK) as server:
        done = server.dw("send", "clicks", "log.ndjson", "--patience-s", "0.1", check=False)
        taken = received(server)
        assert (done.returncode, done.stdout) == (4, "")
        assert "wait for conversion (journal_bytes_max)" in done.stderr
        assert f" {taken} events of log.ndjson are in. The same command goes on there" in done.stderr
        as_json = server.dw(
            "send", "clicks", "log.ndjson", "--patience-s", "0.1", "--output", "json", "--new", check=False
        )
        assert json.loads(as_json.stdout)["accepted"] == 0
        assert as_json.returncode == 4


def test_a_server_that_is_gone_says_how_many_events_may_be_in(tmp_path):
    (tmp_path / "log.ndjson").write_bytes(b"".join(LINE % n for n in range(60_000)))
    with running(tmp_path, *STUCK) as server:
        command = [DW, "send", "clicks", "log.ndjson", "--patience-s", "3"]
        with started(command, cwd=tmp_path, stderr=subprocess.PIPE) as send:
            until(lambda: received(server) and is_throttled(server), "a part is taken, and one refused")
            taken = received(server)
            server.stop(signal.SIGKILL)
            _, said = send.communicate(timeout=patient(30))
        assert send.returncode == 4
        assert f"{taken} events of log.ndjson are in" in said.decode()
        assert "Start one with `dw up`" in said.decode()
