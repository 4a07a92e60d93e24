"""Trino in a process of Java, and its answers as test data.

`python tests/golden/real_trino.py record` asks every statement and writes answers.jsonl.gz; `check` asks and compares.
Both need a JDK of version 17 or newer and Maven, which downloads 300 MB the first time.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

sys.path.insert(0, str(Path(__file__).parent))
from golden_statements import Case, cases, for_trino, tables

HERE = Path(__file__).parent
ANSWERS = HERE / "answers.jsonl.gz"
HEAP_MB = 6_000
_NAMESPACE = "{http://maven.apache.org/POM/4.0.0}"


def missing() -> str:
    """What this machine lacks; "" if nothing."""
    return " and ".join(program for program in ("java", "mvn") if shutil.which(program) is None)


def version() -> str:
    return str(ET.parse(HERE / "pom.xml").findtext(f"{_NAMESPACE}properties/{_NAMESPACE}trino"))


def java(*arguments: str) -> list[str]:
    """The command that starts Trino.java; Maven downloads what that needs, where it has not yet."""
    with tempfile.TemporaryDirectory() as folder:
        classpath = Path(folder) / "classpath"
        command = ["mvn", "-q", "-B", "-f", str(HERE / "pom.xml"), "dependency:build-classpath"]
        subprocess.run([*command, f"-Dmdep.outputFile={classpath}"], check=True)
        paths = classpath.read_text()
    return ["java", f"-Xmx{HEAP_MB}m", "-cp", paths, str(HERE / "Trino.java"), *arguments]


class Trino:
    def __init__(self, statements: IO[str], answers: IO[str]) -> None:
        self._statements = statements
        self._answers = answers

    def ask(self, statement: str) -> dict[str, Any]:
        """{"types": [...], "rows": [[...], ...]} or {"error": "NAME: message"}"""
        self._statements.write(json.dumps(for_trino(statement)) + "\n")
        self._statements.flush()
        line = self._answers.readline()
        if not line:
            raise RuntimeError(f"Trino ended while it was asked: {statement}")
        return dict(json.loads(line))


@contextmanager
def running(catalog: str = "memory", schema: str = "default") -> Iterator[Trino]:
    process = subprocess.Popen(
        java(catalog, schema), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    with process:
        assert process.stdin and process.stdout
        try:
            yield Trino(process.stdin, process.stdout)
        finally:
            process.stdin.close()


def answers(trino: Trino) -> Iterator[dict[str, Any]]:
    """First the version; then for each table its columns and rows; then for each statement its answer."""
    yield {"trino": version()}
    for name, made, columns in tables():
        if "error" in (created := trino.ask(made)):
            raise RuntimeError(f"{name}: {created['error']}")
        yield {"table": name, "columns": columns, **trino.ask(f"SELECT * FROM {name} ORDER BY 1")}
    seen: set[str] = set()
    for case in cases():
        for statement, found in _asked(trino, case):
            if statement not in seen:
                seen.add(statement)
                yield {"sql": statement, **found}


def _asked(trino: Trino, case: Case) -> Iterator[tuple[str, dict[str, Any]]]:
    answer = trino.ask(case.whole)
    yield case.whole, answer
    if "error" not in answer or not case.parts:
        return
    alone = {part: trino.ask(case.of(part)) for part in case.parts}
    if all(found == answer for found in alone.values()):
        return
    yield from ((case.of(part), found) for part, found in alone.items() if "error" in found)
    if valid := [part for part, found in alone.items() if "error" not in found]:
        together = case.of(*valid)
        yield together, trino.ask(together)


def encoded(lines: Iterator[dict[str, Any]]) -> bytes:
    """The same bytes for the same answers."""
    target = io.BytesIO()
    with gzip.GzipFile(fileobj=target, mode="wb", mtime=0) as packed:
        for line in lines:
            packed.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
    return target.getvalue()


def recorded(path: Path = ANSWERS) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def main(verb: str) -> str:
    if lacks := missing():
        return f"Trino cannot be asked here: {lacks} is missing; a JDK from 17 on and Maven are needed."
    with running() as trino:
        found = encoded(answers(trino))
    if verb == "record":
        ANSWERS.write_bytes(found)
        lines = recorded()
        print(f"{len(lines)} lines, {len(found)} bytes, Trino {version()}")
        return ""
    before, after = ({_comparable(line) for line in part} for part in (recorded(), _lines(found)))
    if before == after:
        print(f"{len(after)} lines, nothing has changed")
        return ""
    return "Other answers than those of answers.jsonl.gz:\n" + "\n".join(sorted(before ^ after)[:20])


def _comparable(line: dict[str, Any]) -> str:
    """A line without what differs from run to run: the order of its keys, that of rows without ORDER BY, and which of
    several rows an error was found in."""
    kept = dict(line)
    if "error" in line:
        kept["error"] = ""
    elif not is_ordered(line.get("sql", "")):
        kept["rows"] = sorted(map(json.dumps, line.get("rows", ())))
    return json.dumps(kept, sort_keys=True)


def is_ordered(statement: str) -> bool:
    return bool(re.search(r"(?i)\border by [^()]*$", statement))


def _lines(packed: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(packed).decode().splitlines()]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]) or 0)
