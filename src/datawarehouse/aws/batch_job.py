"""The job of a batch input table as a Lambda function, with permissions to query, and to write only its own table."""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import pulumi

from datawarehouse.aws.alarms import LATE_HOURS_ALARM, add_alarm
from datawarehouse.aws.arguments import checked_arguments, checked_name, shared_arguments
from datawarehouse.aws.glue_tables import readable_of
from datawarehouse.aws.lambda_cron import LambdaCronJob
from datawarehouse.aws.naming import QUEUE_MAX, WORKGROUP_MAX
from datawarehouse.aws.packaging import Code, entry, job_code, library
from datawarehouse.aws.policies import JobRights, Place, batch_job, dead_letters, document, function_logs
from datawarehouse.aws.refusals import in_one_line
from datawarehouse.aws.schedules import RETRY_HOURS, STREAM_RETENTION_HOURS
from datawarehouse.definition.alerts import Conditions
from datawarehouse.definition.schedule import is_due_each_hour, parse_schedule
from datawarehouse.definition.sql_job import STATEMENT, SqlJob
from datawarehouse.definition.tables import HIVE, BatchInputTable, StreamingInputTable, Table
from datawarehouse.errors import DeclarationError
from datawarehouse.sql.insertion import insertion


class BatchInputJobArgs(TypedDict):
    """The arguments of a BatchInputJob.

    table: the declared table. schedule_expression: when it runs (default: as the table says). database_arn,
    database_name: the Glue database that has the table. reads: the declared tables that the job may query (default:
    all of the database). views: the names of the views over them that it may query. data_bucket, results_bucket,
    workgroup: names. stream_retention_hours: how long the streams of these tables keep records (default: 24).
    conditions: as of a LambdaCronJob; with `lag_s`, hours that got rows after a run are told. kms_key_arn: what both
    buckets and the log are encrypted with. alarm_topic_arn, log_retention_days, region: as of a LambdaCronJob.
    """

    table: BatchInputTable
    database_arn: pulumi.Input[str]
    database_name: pulumi.Input[str]
    data_bucket: pulumi.Input[str]
    results_bucket: pulumi.Input[str]
    workgroup: pulumi.Input[str]
    schedule_expression: NotRequired[str]
    reads: NotRequired[Sequence[Table]]
    views: NotRequired[Sequence[str]]
    stream_retention_hours: NotRequired[int]
    alarm_topic_arn: NotRequired[pulumi.Input[str]]
    conditions: NotRequired[Conditions]
    kms_key_arn: NotRequired[pulumi.Input[str]]
    log_retention_days: NotRequired[int]
    region: NotRequired[pulumi.Input[str]]


class BatchInputJob(pulumi.ComponentResource):
    """Runs a table's job in Lambda. The scheduled time decides the partition; a rerun replaces it.

    Raises DeclarationError, before anything is created, if an argument is unknown or the job imports what Lambda lacks.
    """

    cron: LambdaCronJob

    @in_one_line
    def __init__(self, name: str, args: BatchInputJobArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        given = checked_arguments(checked_name("BatchInputJob", name), args, BatchInputJobArgs)
        table: BatchInputTable = given["table"]
        schedule = given.get("schedule_expression", table.schedule_expression)
        parse_schedule(schedule)
        code = code_of(table)
        watched = watched_of(table, given.get("reads", ()))
        watching = _watching(table, watched, given.get("stream_retention_hours", STREAM_RETENTION_HOURS))
        super().__init__("datawarehouse:index:BatchInputJob", name, {}, opts)
        self.cron = LambdaCronJob(
            f"{name}-cron",
            {
                "schedule_expression": schedule,
                "code": code.archive(),
                "handler": code.handler,
                "environment": {
                    "DW_DATABASE": given["database_name"],
                    "DW_TABLE": table.name,
                    **({} if isinstance(table.job, SqlJob) else {"DW_JOB": entry(table.job)}),
                    "DW_WORKGROUP": given["workgroup"],
                    "DW_RESULTS": pulumi.Output.concat("s3://", given["results_bucket"]),
                    **_retention(table),
                    **watching,
                },
                "policy_statements": _rights(given, table).apply(batch_job),
                "policy_arns_to_attach": table.policy_arns_to_attach,
                "memory_mb": table.memory_mb,
                "timeout_seconds": table.timeout_s,
                **shared_arguments(given),  # type: ignore[typeddict-item]
            },
            pulumi.ResourceOptions(parent=self),
        )
        is_told = given.get("conditions", Conditions()).lag_s is not None
        if watched and is_told and (topic := given.get("alarm_topic_arn")):
            where = {"Database": given["database_name"], "Table": table.name}
            self.cron.alarms.append(add_alarm(name, LATE_HOURS_ALARM, where, topic, self, given.get("region")))
        self.register_outputs({"function_name": self.cron.function.name})


def code_of(table: BatchInputTable) -> Code:
    """The code of the function that fills a table. Raises DeclarationError if Lambda could not run it."""
    if not isinstance(table.job, SqlJob):
        return job_code(f"Table {table.name!r}", table.job, "run_job.handler")
    if table.data_format != "parquet":
        raise DeclarationError(
            f"Table {table.name!r}: on AWS a statement fills tables of Parquet, and its data_format is "
            f"{table.data_format!r}. Leave data_format out, or give a function as job."
        )
    statement = insertion(table.columns, table.job.sql)
    return library("run_sql.handler", extra={STATEMENT: statement})


def _retention(table: BatchInputTable) -> dict[str, str]:
    """What lets a run take expired hours out of the catalog; hours are there only with a partition key."""
    days = table.retention_days if table.partition_keys else None
    return {} if days is None else {"DW_RETENTION_DAYS": str(days)}


def watched_of(table: BatchInputTable, reads: Sequence[Table]) -> list[str]:
    """The tables that a job reads whose hours may get rows after it ran for them, if the objects of an hour tell; none
    if it is not known which hours a run is about."""
    if not table.partition_keys or not is_due_each_hour(parse_schedule(table.schedule_expression)):
        return []
    return [each.name for each in reads if isinstance(each, StreamingInputTable) and each.table_format == HIVE]


def _watching(table: BatchInputTable, watched: Sequence[str], stream_retention_hours: int) -> dict[str, str]:
    if not watched:
        return {}
    return {
        "DW_WATCHED": ",".join(watched),
        "DW_LOOK_BACK_HOURS": str(min(stream_retention_hours + RETRY_HOURS, LATE_HOURS_MAX)),
        **({"DW_RERUN": "yes"} if table.rerun_when_late else {}),
    }


LATE_HOURS_MAX = 7 * 24
"""Each run lists the objects of the hours that it looks back."""
POLICY_CHARACTERS_MAX = 10_240
"""IAM user guide, "IAM and AWS STS quotas": the length of all inline policies of a role, without white space."""


def job_policy_characters(
    warehouse: str, table: BatchInputTable, reads: Sequence[Table], views: Sequence[str] = ()
) -> int:
    """The largest possible length of the policy of a table's job, in characters, whatever names its resources get."""
    place = Place("aws-us-gov", "ap-southeast-99", "1" * 12)
    longest = {"bucket": "b" * 63, "queue": "q" * QUEUE_MAX, "log": "l" * (len(warehouse) + len(table.name) + 40)}
    names, folders = _readable(reads, views)
    rights = JobRights(
        place,
        warehouse + "_" * 40,
        table.name,
        names,
        folders,
        longest["bucket"],
        longest["bucket"],
        "w" * WORKGROUP_MAX,
        bool(table.partition_keys),
        table.data_format == "parquet",
        isinstance(table.job, SqlJob),
        table.retention_days is not None,
        bool(watched_of(table, reads)),
        f"arn:{place.partition}:kms:{place.region}:{place.account}:key/{'k' * 40}",
    )
    arn = f"arn:{place.partition}:service:{place.region}:{place.account}:"
    all_statements = [*function_logs(arn + longest["log"]), *dead_letters(arn + longest["queue"]), *batch_job(rights)]
    return len(document(all_statements).replace(" ", ""))


def _readable(reads: Sequence[Table], views: Sequence[str]) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """(Glue tables and views, folders) that a job may read; None for all of the database."""
    found = [each for table in reads for each in readable_of(table)]
    return ((*(each.name for each in found), *views) if reads else None), tuple(
        each.folder for each in found if not each.statement
    )


def _rights(given: Mapping[str, Any], table: BatchInputTable) -> pulumi.Output[JobRights]:
    readable, folders = _readable(given.get("reads", ()), given.get("views", ()))

    def rights(found: Mapping[str, Any]) -> JobRights:
        return JobRights(
            place=Place.of(found["database_arn"]),
            database=found["database_name"],
            table=table.name,
            reads=readable,
            folders=folders,
            data_bucket=found["data_bucket"],
            results_bucket=found["results_bucket"],
            workgroup=found["workgroup"],
            is_partitioned=bool(table.partition_keys),
            is_parquet=table.data_format == "parquet",
            is_sql=isinstance(table.job, SqlJob),
            expires=table.retention_days is not None,
            publishes=bool(watched_of(table, given.get("reads", ()))),
            key_arn=found["key_arn"],
        )

    names = ("database_arn", "database_name", "data_bucket", "results_bucket", "workgroup")
    return pulumi.Output.all(**{name: given[name] for name in names}, key_arn=given.get("kms_key_arn")).apply(rights)
