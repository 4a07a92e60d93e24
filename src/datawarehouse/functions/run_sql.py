"""The handler of a Lambda function that runs a job in SQL; `publish` says how its rows become visible.

Athena writes the result of the statement straight into a folder of the run (UNLOAD), so no row passes through the
function, and a result may be of any size. An error is raised, so that Lambda retries the run, and keeps the event if no
attempt succeeds.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datawarehouse.definition.partition import HOUR_MS, partition_of
from datawarehouse.definition.sql_job import STATEMENT, bound
from datawarehouse.functions.clients import client
from datawarehouse.functions.instant import scheduled_ms
from datawarehouse.functions.logs import log
from datawarehouse.functions.publish import Publisher
from datawarehouse.functions.run_job import LambdaContext, athena_for, point_hours_again
from datawarehouse.functions.tables import expire_old, read_table


def handler(event: Mapping[str, Any], context: LambdaContext) -> Mapping[str, str | int]:
    """Which partition was written. Raises what Athena answers.

    With the event {"point_again_from": "2026/11/01/00"} the statement does not run: see `run_job.handler`.
    """
    glue = client("glue")
    table = read_table(glue, os.environ["DW_DATABASE"], os.environ["DW_TABLE"])
    if since := event.get("point_again_from"):
        return point_hours_again(glue, table, since)
    time_ms, results = scheduled_ms(event), os.environ["DW_RESULTS"]
    athena = athena_for(table, results, context)
    partition = partition_of(time_ms - HOUR_MS)
    log("the statement starts", table=table.name, partition=partition)
    statement = Path(os.environ["LAMBDA_TASK_ROOT"], STATEMENT).read_text(encoding="utf-8")
    Publisher(glue, client("s3"), athena, table, results).publish_result(partition, bound(statement, time_ms))
    expire_old(glue, table, time_ms)
    log("the rows of the statement are stored", table=table.name, partition=partition)
    return {"partition": partition}
