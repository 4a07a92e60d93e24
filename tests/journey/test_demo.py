"""`dw demo`, as somebody starts it who has installed the package."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from running import until

DW = str(Path(sys.executable).parent / "dw")


@pytest.fixture
def demo(tmp_path):
    command = [DW, "demo", "shop", "--port", "0", "--no-open", "--output", "json", "--rate", "200"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    yield process, tmp_path / "shop", json.loads(process.stdout.readline())["url"]
    if process.poll() is None:
        process.kill()
    process.communicate()


def test_events_arrive_until_ctrl_c_and_the_folder_stays(demo):
    process, folder, url = demo
    with urllib.request.urlopen(url) as page:
        assert page.status == 200

    def stored():
        done = subprocess.run(
            [DW, "status", "--output", "json"], cwd=folder, capture_output=True, text=True, check=True
        )
        return {table["table"]: table["stored"] for table in json.loads(done.stdout)["tables"] if "stored" in table}

    until(lambda: min(stored().values()) > 0, "both tables get events")
    children = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    for pid in children:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert (folder / "data").exists()


def test_what_is_in_the_folder_stays_as_it_is(tmp_path):
    (tmp_path / "Makefile").write_text("mine")
    done = subprocess.run([DW, "demo", ".", "--no-open"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, "Makefile exists already" in done.stderr) == (2, True), done
    assert [path.name for path in tmp_path.iterdir()] == ["Makefile"]
    assert (tmp_path / "Makefile").read_text() == "mine"


def test_kill_ends_what_it_has_started(demo):
    process, _, _ = demo
    children = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    assert children
    process.terminate()
    assert process.wait() == 130
    for pid in children:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_it_ends_when_no_traffic_can_come(tmp_path):
    (tmp_path / "warehouse.py").write_text(
        "from datawarehouse import Warehouse\nwarehouse = Warehouse('w').with_streaming_input_table('t', {'id': 'int'})"
    )
    command = [DW, "demo", ".", "--no-open", "--port", "0"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 4, done
    assert "impressions" in done.stderr and "`dw generate` ended" in done.stderr
