"""What a run is told to do and what it reports: plain values, so that they can cross to another process."""

from __future__ import annotations

import msgspec

from datawarehouse.parquet.footer import DataFile


class JobOrder(msgspec.Struct, frozen=True, tag=True):
    """One run of a job.

    module, file, function: where the job's function is defined; search: what `sys.path` was where it was declared.
    columns: (name, Glue type). time_ms: the scheduled instant. name: what the files' names end with, unique for each
    run. scratch: a folder of the run's own, for temporary files.
    """

    table: str
    columns: list[tuple[str, str]]
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


class JobOutput(msgspec.Struct, frozen=True, tag=True):
    """What a run published. partitions: all that it wrote, those without a row and so without a file included."""

    partitions: list[str]
    files: list[DataFile]
    rows: int


class JobFailure(msgspec.Struct, frozen=True, tag=True):
    """Why a run has no output: one line, and the traceback where the job's own code raised.

    interrupted: whether it was ended for no reason of its own, and is to be repeated.
    """

    reason: str
    traceback: str = ""
    interrupted: bool = False
