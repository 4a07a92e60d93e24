"""The lines that clients can cause through a library are in the log once in a while, and not each time."""

import subprocess
import sys

PROGRAM = """
import logging
from datawarehouse.runtime.logs import log_to_stderr
from datawarehouse.server.http import AnswerCutOff

log_to_stderr("text")
for name in ("uvicorn.error", "asyncio"):
    log = logging.getLogger(name)
    for number in range(1000):
        log.warning("Something odd was received from %s.", number)
        log.warning("Something else.")
        try:
            raise OSError if number % 2 else AnswerCutOff
        except Exception as error:
            log.error("It failed", exc_info=error)
for number in range(3):
    logging.getLogger("datawarehouse").warning("One of ours.")
"""


def test_lines_of_libraries_do_not_fill_the_log():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    said = [line.split(maxsplit=2)[2] for line in done.stderr.splitlines() if line.startswith("20")]
    of_a_library = ["Something odd was received from 0.", "Something else.", "It failed"]
    assert said == 2 * of_a_library + 3 * ["One of ours."]
    assert done.stderr.count("Traceback") == 2
    assert "AnswerCutOff" not in done.stderr, "the log has its reason already"
