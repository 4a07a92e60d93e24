"""How long does somebody at a terminal wait: for a small answer, for the first screen of a large one, after Ctrl-C?

Method: a running warehouse with 500,000 small events. In rounds, one after the other in each:

- processes from start to end: Python that does nothing; `dw query` of a count and of five rows, which ask the running
  warehouse; the same `dw query` with a limit of its own, which makes it read the folder itself; and the baseline, a
  Python that imports DuckDB and counts the rows of the same Parquet files. Wall time, and CPU time of the process and
  its children.
- `dw sql` on a pseudo-terminal: from Enter to the 40th row of `select * from t`, 500,000 rows.
- the same shell: Ctrl-C in the second second of a query that would take hours; until the process that computes it has
  ended, as the system says (/proc), and until the next prompt.

`BENCH_ROUNDS` are the rounds.
"""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

from measuring import DW, SMALL, report, small_events, spread, warehouse

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "9"))
ROWS = 500_000
DUCKDB = "import duckdb; print(duckdb.sql(\"select count(*) from read_parquet('data/t/*/*/*/*/*.parquet')\"))"
FOREVER = (
    "select count(*) from unnest(sequence(1, 10000)) a(x), unnest(sequence(1, 10000)) b(y), "
    "unnest(sequence(1, 10000)) c(z) where x * y * z = -1;\n"
)
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "dw query: a count": [DW, "query", "select count(*) from t"],
    "dw query: five rows": [DW, "query", "select * from t limit 5"],
    "dw query that reads the folder itself: a count": [DW, "query", "select count(*) from t", "--query-threads", "2"],
    "baseline: import duckdb, count the same files": [sys.executable, "-c", DUCKDB],
}


def used(command: list[str], folder: Path) -> tuple[float, float]:
    """Wall time and CPU time, in ms."""
    began, before = time.perf_counter(), os.times()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall, after = time.perf_counter() - began, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return wall * 1000, cpu * 1000


class Shell:
    def __init__(self, folder: Path) -> None:
        self.end, file = pty.openpty()
        fcntl.ioctl(file, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))
        environment = {**os.environ, "XDG_STATE_HOME": str(folder), "TERM": "xterm"}
        self.process = subprocess.Popen(
            [DW, "sql"], cwd=folder, stdin=file, stdout=file, stderr=file, env=environment,
            preexec_fn=lambda: os.login_tty(0),
        )  # fmt: skip
        os.close(file)
        self.until("dw> $")

    def until(self, pattern: str) -> float:
        """Seconds until a pattern is on the terminal."""
        began, text = time.perf_counter(), ""
        while not re.search(pattern, text):
            if select.select([self.end], [], [], 30)[0]:
                text += os.read(self.end, 65536).decode(errors="ignore").replace("\r\n", "\n")
            else:
                raise SystemExit(f"not within 30 s: {pattern}; the terminal has {text[-2000:]!r}")
        return time.perf_counter() - began

    def type(self, text: str) -> None:
        os.write(self.end, text.encode())

    def first_screen(self) -> float:
        self.type("select * from t;\n")
        screen = self.until(r"(?s)select.*\n(ev-[^\n]*\n){40}")
        self.until("dw> $")
        return screen * 1000

    def ctrl_c(self, owner: int) -> tuple[float, float]:
        self.type(FOREVER)
        self.until("The query runs, ")
        before = computing(owner)
        time.sleep(0.5)
        pid = max(before, key=lambda pid: computing(owner)[pid] - before[pid])
        self.type("\x03")
        began = time.perf_counter()
        while pid in computing(owner):
            if time.perf_counter() > began + 30:
                raise SystemExit("What computes has not ended 30 s after Ctrl-C")
            time.sleep(0.005)
        ended = time.perf_counter() - began
        self.until("dw> $")
        return ended * 1000, (time.perf_counter() - began) * 1000


def computing(owner: int) -> dict[int, int]:
    """The processes of the warehouse for queries, each with the CPU time that it has used, in ticks."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            name = (path / "cmdline").read_bytes().replace(b"\0", b" ").strip()
            if name == b"dw up: query" and descends(int(path.name), owner):
                fields = (path / "stat").read_text().rsplit(")", 1)[1].split()
                found[int(path.name)] = int(fields[11]) + int(fields[12])
        except OSError:
            continue
    return found


def descends(pid: int, owner: int) -> bool:
    while pid > 1 and pid != owner:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    return pid == owner


def main() -> None:
    with warehouse(SMALL) as (process, _, folder):
        body = b"\n".join(small_events(ROWS))
        subprocess.run([DW, "send", "t", "-"], cwd=folder, input=body, check=True, capture_output=True)
        subprocess.run([DW, "flush"], cwd=folder, check=True)
        found = {name: [] for name in COMMANDS}
        shell, screens, ends = Shell(folder), [], []
        for _ in range(ROUNDS):
            for name, command in COMMANDS.items():
                found[name].append(used(command, folder))
            screens.append(shell.first_screen())
            ends.append(shell.ctrl_c(process.pid))
        shell.process.kill()
        shell.process.wait()
    rows = []
    for name, times in found.items():
        walls, cpus = zip(*times, strict=True)
        rows += [(f"{name}, ms", spread(list(walls))), ("  CPU time, ms", spread(list(cpus)))]
    rows += [
        ("dw sql: from Enter to the 40th of 500,000 rows, ms", spread(screens)),
        ("dw sql: Ctrl-C until the process that computes has ended, ms", spread([each[0] for each in ends])),
        ("dw sql: Ctrl-C until the next prompt, ms", spread([each[1] for each in ends])),
    ]
    report(f"Waiting at a terminal, {ROUNDS} rounds", rows)


if __name__ == "__main__":
    main()
