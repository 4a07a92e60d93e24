"""Compaction of a streaming input table on AWS: a function that has Athena write each closed hour into few files.

1. It runs once an hour, when the hour that has ended can no longer change.
2. It looks at the hours into which records of the stream can still be delivered late: as long as the stream keeps them,
   and a day in which Firehose retries.
"""

from typing import NotRequired, TypedDict

import pulumi

from datawarehouse.aws.alarms import COMPACTION_IDLE, LATE_OBJECTS_ALARM, add_alarm, idle_alarm
from datawarehouse.aws.arguments import checked_arguments, checked_name, shared_arguments
from datawarehouse.aws.lambda_cron import LambdaCronJob
from datawarehouse.aws.packaging import library
from datawarehouse.aws.policies import JobRights, Place, batch_job
from datawarehouse.aws.refusals import in_one_line
from datawarehouse.aws.schedules import RETRY_HOURS, STREAM_RETENTION_HOURS, settled_after_minutes
from datawarehouse.definition.alerts import Conditions
from datawarehouse.definition.tables import StreamingInputTable

MEMORY_MB = 512
"""It keeps the names of an hour's objects, and lists all of the hours that it looks at."""
TIMEOUT_SECONDS = 900


class HourlyCompactionArgs(TypedDict):
    """The arguments of an HourlyCompaction.

    table: the declared table. database_arn, database_name: the Glue database that has it. data_bucket, results_bucket,
    workgroup: names. stream_retention_hours: how long its stream keeps records (default: 24). kms_key_arn: what both
    buckets and the log are encrypted with. conditions: which alarms there are; `missed_runs` for a function that does
    not run, `lag_s` for late objects. alarm_topic_arn, log_retention_days, region: as of a LambdaCronJob.
    """

    table: StreamingInputTable
    database_arn: pulumi.Input[str]
    database_name: pulumi.Input[str]
    data_bucket: pulumi.Input[str]
    results_bucket: pulumi.Input[str]
    workgroup: pulumi.Input[str]
    stream_retention_hours: NotRequired[int]
    alarm_topic_arn: NotRequired[pulumi.Input[str]]
    conditions: NotRequired[Conditions]
    kms_key_arn: NotRequired[pulumi.Input[str]]
    log_retention_days: NotRequired[int]
    region: NotRequired[pulumi.Input[str]]


class HourlyCompaction(pulumi.ComponentResource):
    """Compacts the hours of a table, each once it can no longer change, and again if objects come late.

    Raises DeclarationError, before anything is created, if an argument is unknown.
    """

    cron: LambdaCronJob

    @in_one_line
    def __init__(self, name: str, args: HourlyCompactionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        given = checked_arguments(checked_name("HourlyCompaction", name), args, HourlyCompactionArgs)
        table: StreamingInputTable = given["table"]
        super().__init__("datawarehouse:index:HourlyCompaction", name, {}, opts)
        minutes = settled_after_minutes(table)
        rules = {
            "DW_SORT_BY": ",".join(table.sort_by),
            "DW_DEDUPE_KEY": table.dedupe_key,
            "DW_RETENTION_DAYS": str(table.retention_days or ""),
        }
        code = library("compact.handler")
        self.cron = LambdaCronJob(
            f"{name}-cron",
            {
                "schedule_expression": f"cron({minutes} * * * ? *)",
                "code": code.archive(),
                "handler": code.handler,
                "environment": {
                    "DW_DATABASE": given["database_name"],
                    "DW_TABLE": table.name,
                    "DW_WORKGROUP": given["workgroup"],
                    "DW_RESULTS": pulumi.Output.concat("s3://", given["results_bucket"]),
                    "DW_SETTLED_MINUTES": str(minutes),
                    "DW_LOOK_BACK_HOURS": str(
                        given.get("stream_retention_hours", STREAM_RETENTION_HOURS) + RETRY_HOURS
                    ),
                    **{name: text for name, text in rules.items() if text},
                },
                "policy_statements": pulumi.Output.all(
                    **{name: given[name] for name in _KNOWN_LATER}, key_arn=given.get("kms_key_arn")
                ).apply(
                    # A job in SQL that reads the table that it fills.
                    lambda found: batch_job(
                        JobRights(
                            place=Place.of(found["database_arn"]),
                            database=found["database_name"],
                            table=table.name,
                            reads=(),
                            folders=(),
                            data_bucket=found["data_bucket"],
                            results_bucket=found["results_bucket"],
                            workgroup=found["workgroup"],
                            is_partitioned=True,
                            is_parquet=True,
                            is_sql=True,
                            publishes=True,
                            key_arn=found["key_arn"],
                        )
                    )
                ),
                "memory_mb": MEMORY_MB,
                "timeout_seconds": TIMEOUT_SECONDS,
                **shared_arguments(given),  # type: ignore[typeddict-item]
            },
            pulumi.ResourceOptions(parent=self),
        )
        conditions, region = given.get("conditions", Conditions()), given.get("region")
        if topic := given.get("alarm_topic_arn"):
            missed = conditions.missed_runs
            if missed is not None and (idle := idle_alarm(1, missed, COMPACTION_IDLE)):
                function = {"FunctionName": self.cron.function.name}
                self.cron.alarms.append(add_alarm(f"{name}-cron", idle, function, topic, self.cron, region))
            if conditions.lag_s is not None:
                where = {"Database": given["database_name"], "Table": table.name}
                self.cron.alarms.append(add_alarm(name, LATE_OBJECTS_ALARM, where, topic, self, region))
        self.register_outputs({"function_name": self.cron.function.name})


_KNOWN_LATER = ("database_arn", "database_name", "data_bucket", "results_bucket", "workgroup")
