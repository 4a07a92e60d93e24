"""One run of a job, in a separate process.

1. Limit the process and lower its priority. What ends it when it must end is `supervise`.
2. Import the function from the module that declares it, and call it. Its queries see committed data; its rows are
   checked and kept.
3. Publish one file for each partition that has rows. The files exist, but no query reads them until the owner commits
   them.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import importlib.util
import os
import resource
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from datawarehouse.definition.job import run_function
from datawarehouse.definition.tables import Column, from_wire
from datawarehouse.errors import DataWarehouseError
from datawarehouse.jobs.context import EmbeddedJobContext, RunQuery
from datawarehouse.jobs.late_pandas import load_pandas_late
from datawarehouse.jobs.orders import JobFailure, JobOrder, JobOutput, shortened
from datawarehouse.parquet.files import Lake
from datawarehouse.parquet.footer import ROWS, DataFile, Footer
from datawarehouse.parquet.schema import arrow_schema

_NICE = 10
_OUT_OF_MEMORY_SCORE = 1000  # the highest possible


def execute(order: JobOrder, query: RunQuery) -> JobOutput | JobFailure:
    """Do a run in a process that exists only for it. Errors of the job are returned, not raised."""
    _limit(order)
    _stand_back()
    load_pandas_late()
    return execute_here(order, query, lambda: _function(order))


def execute_here(
    order: JobOrder, query: RunQuery, function: Callable[[], Callable[..., Any]]
) -> JobOutput | JobFailure:
    """Do a run of the function that `function` returns, without limits. Errors of the job are returned, not raised."""
    process = os.getpid()
    columns = from_wire(order.columns)
    context = EmbeddedJobContext(order.table, columns, order.time_ms, query)
    failure = None
    try:
        if order.sql:
            context.store(query(order.sql, ()).arrow())
        else:
            run_function(function(), context)
    except BaseException as error:
        failure = _failure(order, error)
    if os.getpid() != process:
        os._exit(0)  # a process that the job forked and that came back from it; the run goes on in the other one
    if failure:
        return failure
    try:
        return _published(order, columns, context)
    except Exception as error:
        return _failure(order, error)


def _failure(order: JobOrder, error: BaseException) -> JobFailure:
    reason = f"{type(error).__name__}: {_text(error)}"
    if isinstance(error, MemoryError):
        reason = f"MemoryError: the run needed more memory than {order.memory_bytes_max} bytes (job_memory_bytes_max)"
    elif isinstance(error, OSError) and error.errno == errno.EFBIG:
        reason = f"OSError: the run wrote a file of more than {order.file_bytes_max} bytes (job_scratch_bytes_max)"
    elif isinstance(error, DataWarehouseError):
        reason = str(error)
    return JobFailure(shortened(reason), shortened("".join(traceback.format_exception(error))))


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as wrong:  # the user's class may be wrong itself
        return f"(its text cannot be made: {type(wrong).__name__})"


def _limit(order: JobOrder) -> None:
    os.chdir(order.scratch)
    tempfile.tempdir = order.scratch
    os.environ["TMPDIR"] = order.scratch
    _lower(resource.RLIMIT_FSIZE, order.file_bytes_max)
    if sys.platform == "linux":
        _lower(resource.RLIMIT_DATA, order.memory_bytes_max)


def _lower(limit: int, most: int) -> None:
    """Set a limit that the user's code cannot raise again."""
    _, inherited = resource.getrlimit(limit)
    most = most if inherited == resource.RLIM_INFINITY else min(most, inherited)
    resource.setrlimit(limit, (most, most))


def _stand_back() -> None:
    """Give this process a lower priority than the owner and its other children, and let the kernel end it first if
    memory is short.

    Linux may schedule each session as one (sched(7), "The autogroup feature"); niceness then counts only inside a
    session, and each session has a separate one.
    """
    os.nice(_NICE)
    for file, value in (("autogroup", _NICE), ("oom_score_adj", _OUT_OF_MEMORY_SCORE)):
        with contextlib.suppress(OSError):  # not available on this system
            Path("/proc/self", file).write_text(str(value))


def _function(order: JobOrder) -> Callable[[EmbeddedJobContext], Any]:
    sys.path[:] = order.search
    if "." in order.module or not Path(order.file).is_file():
        module = importlib.import_module(order.module)
    else:  # a file of the user, under any module name
        spec = importlib.util.spec_from_file_location(order.module.strip("_"), order.file)
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    function: Callable[[EmbeddedJobContext], Any] = getattr(module, order.function)
    return function


def _published(order: JobOrder, columns: Sequence[Column], context: EmbeddedJobContext) -> JobOutput:
    schema, lake = arrow_schema(columns), Lake(Path(order.lake))
    files: list[DataFile] = []
    for partition, batches in context.written.items():
        table = pa.Table.from_batches(batches, schema)
        if table.num_rows:
            rows = table.num_rows
            footer = Footer(
                order.table, ROWS, partition, [], rows, rows, order.schema_version, run=(order.run, order.time_ms)
            )
            files.append(lake.write(order.name, schema, [table], footer, merged=True))
    return JobOutput(list(context.written), files, sum(file.footer.rows for file in files))
