"""More clients than the server can serve, for a moment; benchmarks/overload.py does it for a minute each."""

import os
import re
import subprocess
import sys
from pathlib import Path

from patience import patient

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "overload.py"


def test_what_is_acknowledged_under_overload_is_stored_once(tmp_path):
    """40 connections with the defaults and 100 with tiny limits, with 1 and with 64 shards."""
    environment = {**os.environ, "BENCH_SECONDS": "1", "BENCH_SHARE": "0.1", "BENCH_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, PROGRAM], env=environment, capture_output=True, text=True, timeout=patient(150)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall(r"each stored once: records +[1-9]", done.stdout)) == 4
    assert "none stored: Unreachable" in done.stdout
