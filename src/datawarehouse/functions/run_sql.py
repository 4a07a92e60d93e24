"""The handler of a Lambda function that runs a job in SQL; `publish` says how its rows become visible.

Athena writes the result of the statement straight into a folder of the run (UNLOAD), so no row passes through the
function, and a result may be of any size. An error is raised, so that Lambda retries the run, and keeps the event if no
attempt succeeds.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from datawarehouse.definition.partition import HOUR_MS, partition_of
from datawarehouse.definition.sql_job import STATEMENT, bound
from datawarehouse.functions.clients import client
from datawarehouse.functions.instant import scheduled_ms
from datawarehouse.functions.late import PastRun, mark_of, watch
from datawarehouse.functions.publish import Publisher
from datawarehouse.functions.run_job import LambdaContext, athena_for, point_hours_again
from datawarehouse.functions.run_log import logged_run
from datawarehouse.functions.tables import expire_old, read_table


def handler(event: Mapping[str, Any], context: LambdaContext) -> Mapping[str, Any]:
    """Which partition was written, and which ones `again` because they were late. Raises what Athena answers.

    With the event {"point_again_from": "2026/11/01/00"} the statement does not run: see `run_job.handler`.
    """
    glue = client("glue")
    table = read_table(glue, os.environ["DW_DATABASE"], os.environ["DW_TABLE"])
    if since := event.get("point_again_from"):
        return point_hours_again(glue, table, since)
    time_ms, results = scheduled_ms(event), os.environ["DW_RESULTS"]
    athena = athena_for(table, results, context)
    statement = Path(os.environ["LAMBDA_TASK_ROOT"], STATEMENT).read_text(encoding="utf-8")

    def run(time_ms: int) -> str:
        partition = partition_of(time_ms - HOUR_MS)
        mark = mark_of(PastRun(time_ms, datetime.now(UTC)))
        with logged_run(table.name, partition, time_ms):
            publisher = Publisher(glue, client("s3"), athena, table, results, mark)
            publisher.publish_result(partition, bound(statement, time_ms))
        return partition

    before_ms = context.get_remaining_time_in_millis()
    partition = run(time_ms)
    expire_old(glue, table, time_ms)
    took_ms = before_ms - context.get_remaining_time_in_millis()
    again = watch(glue, table, time_ms, run, context.get_remaining_time_in_millis, took_ms)
    return {"partition": partition, **({"again": list(again)} if again else {})}
