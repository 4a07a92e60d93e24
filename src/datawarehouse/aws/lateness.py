"""The table that says how late the events of a streaming input table come, and the job in SQL that fills it each hour:
what `event_time` adds on AWS."""

from __future__ import annotations

from datawarehouse.aws.schedules import delivered_after_minutes
from datawarehouse.definition.lateness import LATENESS_COLUMNS, LATENESS_KEY, LATENESS_SUFFIX, counting
from datawarehouse.definition.sql_job import SqlJob
from datawarehouse.definition.tables import BatchInputTable, StreamingInputTable, checked_columns


def lateness_of(table: StreamingInputTable) -> BatchInputTable | None:
    """The table of the lateness of a table; None for one without event time.

    Its job runs when the last events of an hour are delivered, and again for an hour that got rows after that.
    """
    if table.event_time is None:
        return None
    name = table.name + LATENESS_SUFFIX
    return BatchInputTable(
        name,
        checked_columns(name, LATENESS_COLUMNS),
        checked_columns(name, {LATENESS_KEY: "string"}),
        "parquet",
        job=SqlJob(counting(table.name, table.event_time, table.partition_key_name)),
        schedule_expression=f"cron({delivered_after_minutes(table)} * * * ? *)",
        policy_arns_to_attach=(),
        reads=(table.name,),
        rerun_when_late=True,
        retention_days=table.retention_days,
    )
