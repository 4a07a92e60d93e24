"""The limit of memory where the system has none to offer: a thread that watches."""

import signal
import subprocess
import sys

import pytest

from patience import patient

WATCHED = """
import sys
from datawarehouse.query.limits import end_limit_of_memory, watch_memory
before = bytearray(40 << 20)
before[::4096] = b"x" * (len(before) // 4096)
watch_memory(32 << 20)
if sys.argv[3:] == ["lifted"]:
    end_limit_of_memory()
held = []
for _ in range(int(sys.argv[1])):
    piece = bytearray(1 << 20)
    piece[::4096] = b"x" * (len(piece) // 4096)
    held.append(piece)
import time
time.sleep(float(sys.argv[2]))
"""


A_WHILE = "0.2"  # seconds: ten times as long as the thread waits between two looks
UNTIL_KILLED = "30"  # on a busy machine the thread gets its turn later


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(["20", A_WHILE], 0), (["300", UNTIL_KILLED], 128 + signal.SIGKILL), (["300", A_WHILE, "lifted"], 0)],
    ids=["less than it may have", "more", "more, when the limit is lifted"],
)
def test_a_process_that_takes_more_than_it_may_have_is_killed(arguments, status):
    """Started by a small process: a child of this one would have had its memory, too (getrusage(2), ru_maxrss)."""
    command = ["sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-c", WATCHED, *arguments]
    done = subprocess.run(command, timeout=patient(60), check=False, stderr=subprocess.DEVNULL)
    assert done.returncode == status
