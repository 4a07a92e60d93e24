"""Python programs that begin with their imports done: forked from a process that has done them, one after the other.

Each runs as the main program of its process, to the end of the interpreter: what it raises, and a signal, end it as
they end a program that was started. It gets the environment that its test has then, and its arguments, by order.
"""

import json
import os
import select
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress

_SERVER = """
import gc, json, os, sys
exec(sys.argv[1])
gc.freeze()
for line in sys.stdin:
    order = json.loads(line)
    child = os.fork()
    if not child:
        break
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
else:
    os._exit(0)
os.setsid()
os.environ.clear()
os.environ.update(order["environment"])
for place, path in enumerate((os.devnull, os.devnull, order["errors"])):
    opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    os.dup2(opened, place)
    os.close(opened)
sys.argv = ["-c", *order["arguments"]]
exec(order["program"], {"__name__": "__main__"})
"""


class Program:
    """A forked program, with the methods of `subprocess.Popen` that tests use; it leads a session of its own."""

    def __init__(self, server, program, arguments, errors):
        self._server = server
        self._errors = errors
        order = {
            "program": program,
            "arguments": [str(argument) for argument in arguments],
            "environment": dict(os.environ),
            "errors": str(errors),
        }
        server.stdin.write(json.dumps(order).encode() + b"\n")
        self.pid = int(server.stdout.readline())
        self.returncode = None

    def poll(self):
        with suppress(subprocess.TimeoutExpired):
            self._wait(0)
        return self.returncode

    def communicate(self, timeout=None):
        """Wait for its end; nothing, and what it wrote to its standard error."""
        self._wait(timeout)
        return None, self._errors.read_text()

    def send_signal(self, number):
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it has ended, and its server is about to say so
                os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def _wait(self, timeout):
        if self.returncode is None:
            if not select.select([self._server.stdout], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("a forked program", timeout)
            self.returncode = int(self._server.stdout.readline())


@contextmanager
def forked_programs(imports):
    """What begins a program, given its text, its arguments and a file for its standard error; one at a time.

    imports: the statements that are done once.
    """
    command = [sys.executable, "-c", _SERVER, imports]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as server:
        try:
            yield lambda program, arguments, errors: Program(server, program, arguments, errors)
        finally:
            server.kill()
