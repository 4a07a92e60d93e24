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
