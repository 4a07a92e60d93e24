"""The commands of a page, run in a shell as somebody types them; what they print is what the page says.

In a page, `...` stands for any text in a line, and a line of `...` for any lines.
"""

import http.client
import os
import re
import subprocess
import threading
import time
from contextlib import closing

from running import until

from patience import patient

END = "__end_of_command__"
LOG_LINE = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z (info|warning) ")


class Shell:
    """One bash for a whole page, so that folders, variables and background jobs stay."""

    def __init__(self, folder, environment):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        self.bash = subprocess.Popen(
            ["bash"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**kept, **environment, "DW_PORT": "0"},
        )  # fmt: skip
        self.port = ""

    def run(self, command):
        """What a command prints, up to its end; of a background command, up to its first line."""
        until(self.is_settled, "what was sent is converted", 60)
        command = command.replace("127.0.0.1:8321", f"127.0.0.1:{self.port}")
        in_background = command.endswith("&")
        self.bash.stdin.write(f"{command}\n" + ("" if in_background else f"echo {END}\n"))
        self.bash.stdin.flush()
        lines = []
        for line in self.bash.stdout:
            if line.strip() == END:
                break
            if LOG_LINE.match(line):  # of what runs in the background; it may come between any two lines
                continue
            lines.append(line.rstrip("\n"))
            if in_background:
                self.port = re.search(r"127\.0\.0\.1:(\d+)", line)[1]
                break
        return "\n".join(lines).replace(f"127.0.0.1:{self.port}", "127.0.0.1:8321") if self.port else "\n".join(lines)

    def is_settled(self):
        """Whether no event waits in the warehouse. It takes a reader longer to type a command than these wait."""
        if not self.port:
            return True
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", int(self.port), timeout=patient(30))) as connection:
                connection.request("GET", "/metrics")
                text = connection.getresponse().read().decode()
        except (OSError, http.client.HTTPException):  # it was stopped
            return True
        return all(float(n) == 0 for n in re.findall(r"^dw_records_pending{.*} (\S+)$", text, re.MULTILINE))

    def close(self):
        self.bash.stdin.write("kill %1 2>/dev/null; wait\n")
        self.bash.stdin.close()
        self.bash.stdout.read()
        self.bash.stdout.close()
        self.bash.wait(patient(30))


def commands(page):
    """(command, what it prints) of each command in the page's console blocks."""
    for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = part.rstrip("\n").split("\n")
            command = [lines.pop(0)]
            while lines and lines[0].startswith("> "):
                command.append(lines.pop(0).removeprefix("> "))
            yield "\n".join(command), "\n".join(lines)


def pattern(expected):
    """Matches what a page says a command prints."""
    lines = expected.split("\n")
    return "".join(
        r"(?:.*\n)*?" if line == "..." else re.escape(line).replace(r"\.\.\.", ".*") + "\n" for line in lines
    )


def follow(steps, folder, environment, limit_s=120):
    """Run commands in a new shell, each of which must print what is said of it; the seconds that each took.

    steps: as `commands` gives them. environment: variables beside those of this process.
    """
    shell = Shell(folder, environment)
    watch = threading.Timer(patient(limit_s), shell.bash.kill)
    watch.start()
    took = []
    try:
        for command, expected in steps:
            began = time.monotonic()
            printed = shell.run(command)
            took.append(time.monotonic() - began)
            assert re.fullmatch(pattern(expected), printed + "\n"), (
                f"{command}\n--- says\n{expected}\n--- prints\n{printed}"
            )
    finally:
        shell.close()
        watch.cancel()
    return took
