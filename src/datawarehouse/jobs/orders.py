"""The order for a run, and its report: plain values that can be sent to another process."""

from __future__ import annotations

import msgspec

from datawarehouse.parquet.footer import DataFile

ANSWER_BYTES_MAX = 8 * 1024 * 1024
"""How long the answer of a run may be: enough for the files of some 20,000 partitions."""

_ERROR_CHARACTERS_MAX = 20_000


class JobOrder(msgspec.Struct, frozen=True, tag=True):
    """One run of a job.

    run: its number in the catalog.
    module, file, function: where the job's function is defined; search: `sys.path` in the process that declared it.
    sql: in their place, the statement whose result is to be stored; its columns are those of the table.
    columns: (name, Glue type). time_ms: the scheduled instant. name: the end of the files' names, unique for each run.
    scratch: the run's own folder for temporary files.
    """

    run: int
    table: str
    columns: list[tuple[str, ...]]
    schema_version: int
    module: str
    file: str
    function: str
    search: list[str]
    time_ms: int
    lake: str
    name: str
    scratch: str
    memory_bytes_max: int
    file_bytes_max: int
    sql: str = ""


class JobOutput(msgspec.Struct, frozen=True, tag=True):
    """What a run published. partitions: all partitions that it wrote, including those without rows, which have no
    file."""

    partitions: list[str]
    files: list[DataFile]
    rows: int


class JobFailure(msgspec.Struct, frozen=True, tag=True):
    """Why a run has no output: one line, and the traceback where the job's own code raised.

    interrupted: whether it was ended from outside and must be repeated.
    """

    reason: str
    traceback: str = ""
    interrupted: bool = False


def shortened(text: str) -> str:
    """A text of a failure, shortened to its beginning and its end if it is too long, and without what UTF-8 lacks."""
    text = text.encode(errors="backslashreplace").decode()
    if len(text) <= _ERROR_CHARACTERS_MAX:
        return text
    half = _ERROR_CHARACTERS_MAX // 2
    return f"{text[:half]} [{len(text) - 2 * half} characters left out] {text[-half:]}"
