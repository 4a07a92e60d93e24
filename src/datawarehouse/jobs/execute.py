"""One run of a job, in a process of its own.

1. Limit the process; import the function from where it was declared.
2. Call it. Its queries see what is committed; its rows are checked and kept.
3. Publish one file for each partition that has rows. They exist; nobody sees them until the owner commits them.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import resource
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from datawarehouse.definition.tables import Column
from datawarehouse.definition.types import parse_type
from datawarehouse.errors import DataWarehouseError
from datawarehouse.jobs.context import Context, Query, run_function
from datawarehouse.jobs.orders import JobFailure, JobOrder, JobOutput
from datawarehouse.parquet.files import Lake
from datawarehouse.parquet.footer import ROWS, DataFile, Footer
from datawarehouse.parquet.schema import arrow_schema


def execute(order: JobOrder, query: Query) -> JobOutput | JobFailure:
    """Do a run. Never raises what the job raises."""
    _limit(order)
    columns = [Column(name, parse_type(kind)) for name, kind in order.columns]
    try:
        context = Context(order.table, columns, order.time_ms, query)
        run_function(_function(order), context)
    except MemoryError:
        limit = f"{order.memory_bytes_max} bytes (job_memory_bytes_max)"
        return JobFailure(f"MemoryError: the run needed more memory than {limit}", traceback.format_exc())
    except DataWarehouseError as error:
        return JobFailure(str(error), traceback.format_exc())
    except BaseException as error:
        return JobFailure(f"{type(error).__name__}: {error}", traceback.format_exc())
    return _published(order, columns, context)


def _limit(order: JobOrder) -> None:
    os.chdir(order.scratch)
    tempfile.tempdir = order.scratch
    os.environ["TMPDIR"] = order.scratch
    resource.setrlimit(resource.RLIMIT_FSIZE, (order.file_bytes_max, order.file_bytes_max))
    if sys.platform == "linux":
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (order.memory_bytes_max, most))


def _function(order: JobOrder) -> Callable[[Context], Any]:
    sys.path[:] = order.search
    if "." in order.module or not Path(order.file).is_file():
        module = importlib.import_module(order.module)
    else:  # a file of the user's, under whatever name it was loaded
        spec = importlib.util.spec_from_file_location(order.module.strip("_"), order.file)
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
    function: Callable[[Context], Any] = getattr(module, order.function)
    return function


def _published(order: JobOrder, columns: list[Column], context: Context) -> JobOutput:
    schema, lake = arrow_schema(columns), Lake(Path(order.lake))
    files: list[DataFile] = []
    for partition, batches in context.written.items():
        table = pa.Table.from_batches(batches, schema)
        if table.num_rows:
            rows = table.num_rows
            footer = Footer(order.table, ROWS, partition, [], rows, rows, order.schema_version)
            files.append(lake.write(order.name, schema, [table], footer, merged=True))
    return JobOutput(list(context.written), files, sum(file.footer.rows for file in files))
