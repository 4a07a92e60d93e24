"""`make bench`: every question in its own process, one after the other. Takes about an hour."""

import subprocess
import sys
from pathlib import Path

for name in (
    "conversion",
    "intake",
    "end_to_end",
    "overload",
    "queries",
    "formats",
    "doors",
    "restart",
    "compaction",
    "audit",
    "jobs",
    "bombs",
    "isolation",
    "producer",
    "status",
    "shell",
    "console_calls",
    "console",
    "simulated_time",
    "integrity",
    "http2",
    "signatures",
    "convert_events",
):
    subprocess.run([sys.executable, str(Path(__file__).with_name(f"{name}.py"))], check=True)
