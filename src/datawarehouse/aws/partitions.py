"""Hourly partitions of a table: registered ahead by a function, or projected by Athena.

Registered: every hour is in the Glue catalog 12 hours before it begins, and every engine can read it. Projected: Athena
computes the hours ("Partition projection with Amazon Athena"); no function runs, and other engines see no hours.
"""

import json
from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from datawarehouse.aws.alarms import REGISTRAR_IDLE, add_alarm, idle_alarm
from datawarehouse.aws.arguments import checked_arguments, checked_name, checked_number, shared_arguments
from datawarehouse.aws.lambda_cron import LambdaCronJob
from datawarehouse.aws.packaging import library
from datawarehouse.aws.policies import Place, registrar
from datawarehouse.aws.protection import replaceable
from datawarehouse.aws.refusals import in_one_line
from datawarehouse.aws.schedules import longest_gap_hours
from datawarehouse.definition.alerts import Conditions
from datawarehouse.definition.partition import start_of
from datawarehouse.definition.tables import ICEBERG, RETENTION_DAYS_MAX, StreamingInputTable
from datawarehouse.errors import BadRequest, DeclarationError

HOURLY = "rate(1 hour)"
HOURS_AHEAD = 12
HOURS_AHEAD_MAX = 336
MEMORY_MB = 256
TIMEOUT_SECONDS = 900


class HourlyPartitionRegistrarArgs(TypedDict):
    """The arguments of an HourlyPartitionRegistrar.

    database_arn, database_name: the Glue database. table_names: its tables whose hours are registered, each with one
    string partition key and with hours in folders YYYY/MM/DD/HH/ below its location. schedule_expression: how often
    (default: "rate(1 hour)"). hours_ahead: 1 to 336 (default: 12, or more if the next run comes later).
    columns_digest: a text that differs whenever columns change, so that registered hours get the new columns at once.
    retention_days: after how many days hours are taken out of the catalog, 1 to 36500 (default: they stay).
    compacted_table_name, data_bucket: the one of the tables whose hours are compacted, and where its files are; give
    both or neither. conditions: from how many failed and missed runs on they are told, as `with_alert` has them.
    alarm_topic_arn, kms_key_arn, log_retention_days, region: as of a LambdaCronJob.
    """

    database_arn: pulumi.Input[str]
    database_name: pulumi.Input[str]
    table_names: Sequence[pulumi.Input[str]]
    schedule_expression: NotRequired[str]
    hours_ahead: NotRequired[int]
    columns_digest: NotRequired[str]
    retention_days: NotRequired[int]
    compacted_table_name: NotRequired[str]
    data_bucket: NotRequired[pulumi.Input[str]]
    alarm_topic_arn: NotRequired[pulumi.Input[str]]
    conditions: NotRequired[Conditions]
    kms_key_arn: NotRequired[pulumi.Input[str]]
    log_retention_days: NotRequired[int]
    region: NotRequired[pulumi.Input[str]]


class HourlyPartitionRegistrar(pulumi.ComponentResource):
    """Registers the hours of tables, from the last registered one to 12 hours ahead, and the present one at once.

    Raises DeclarationError, before anything is created, if an argument is unknown or the schedule is not one.
    """

    cron: LambdaCronJob

    @in_one_line
    def __init__(
        self, name: str, args: HourlyPartitionRegistrarArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        component = checked_name("HourlyPartitionRegistrar", name)
        given = checked_arguments(component, args, HourlyPartitionRegistrarArgs)
        schedule = given.get("schedule_expression", HOURLY)
        if not given["table_names"]:
            raise DeclarationError(f"{component}: table_names is empty; give the tables whose hours are registered.")
        ahead = checked_hours_ahead(component, schedule, given.get("hours_ahead"))
        days = given.get("retention_days")
        if days is not None:
            checked_number(component, "retention_days", days, 1, RETENTION_DAYS_MAX, "a hundred years")
        compacted = given.get("compacted_table_name")
        if (compacted is None) != ("data_bucket" not in given):
            raise DeclarationError(f"{component}: give both compacted_table_name and data_bucket, or neither.")
        super().__init__("datawarehouse:index:HourlyPartitionRegistrar", name, {}, opts)
        code = library("register_partitions.handler")
        tables = pulumi.Output.all(*given["table_names"])
        self.cron = LambdaCronJob(
            f"{name}-cron",
            {
                "schedule_expression": schedule,
                "code": code.archive(),
                "handler": code.handler,
                "environment": {
                    "DW_DATABASE": given["database_name"],
                    "DW_TABLES": tables.apply(",".join),
                    "DW_HOURS_AHEAD": str(ahead),
                    **({} if days is None else {"DW_RETENTION_DAYS": str(days)}),
                    **({} if compacted is None else {"DW_COMPACTED": compacted}),
                },
                "policy_statements": pulumi.Output.all(
                    given["database_arn"], given["database_name"], tables, given.get("data_bucket")
                ).apply(
                    lambda found: registrar(Place.of(found[0]), *found[1:3], expires=days is not None, lists=found[3])
                ),
                "timeout_seconds": TIMEOUT_SECONDS,
                "memory_mb": MEMORY_MB,
                **shared_arguments(given),  # type: ignore[typeddict-item]
            },
            pulumi.ResourceOptions(parent=self),
        )
        missed = given.get("conditions", Conditions()).missed_runs
        idle = None if missed is None else idle_alarm(longest_gap_hours(schedule), missed, REGISTRAR_IDLE)
        if idle and (topic := given.get("alarm_topic_arn")):
            function = {"FunctionName": self.cron.function.name}
            self.cron.alarms.append(add_alarm(f"{name}-cron", idle, function, topic, self.cron, given.get("region")))
        aws.lambda_.Invocation(
            f"{name}-now",
            function_name=self.cron.function.name,
            input=json.dumps({"source": "deployment"}),
            triggers={"tables": tables.apply(",".join), "columns": given.get("columns_digest", "")},
            region=given.get("region"),
            opts=replaceable(self),
        )
        self.register_outputs({"function_name": self.cron.function.name})


def check_hours(table: StreamingInputTable, is_projected: bool) -> None:
    """Check that the hours of a table can be registered, or projected; else DeclarationError."""
    schedule = table.partition_schedule_expression
    checked_hours_ahead(f"Table {table.name!r}", schedule)
    if is_projected and table.table_format == ICEBERG:
        raise DeclarationError(
            f"Table {table.name!r}: table_format is 'iceberg', whose hours are in its own metadata, and Athena "
            "projects the partitions of no such table. Leave partition_projection_start out, or declare this table in "
            "a warehouse of its own."
        )
    if is_projected and schedule != HOURLY:
        raise DeclarationError(
            f"Table {table.name!r}: partition_schedule_expression is {schedule!r}, but with "
            "partition_projection_start no partition is ever registered. Leave one of the two out."
        )
    if is_projected and table.compaction:
        raise DeclarationError(
            f"Table {table.name!r}: compaction is {table.compaction!r}, but with partition_projection_start Athena "
            "computes where an hour is, and cannot be pointed to compacted files. Leave one of the two out."
        )


def checked_hours_ahead(component: str, schedule: str, given: int | None = None) -> int:
    """How many hours a run registers ahead: 12, or more if the next run comes later; else DeclarationError."""
    gap = longest_gap_hours(schedule)
    default = min(max(HOURS_AHEAD, gap + 1), HOURS_AHEAD_MAX)
    ahead = checked_number(
        component, "hours_ahead", default if given is None else given, 1, HOURS_AHEAD_MAX, "two weeks"
    )
    if ahead <= gap:
        raise DeclarationError(
            f"{component}: hours are registered {ahead} hours ahead, but {schedule!r} can leave {gap} hours between "
            "two runs; new events could not be queried until the second. Give a schedule that is due more often."
        )
    return ahead


def projected_hours(
    key: str, location: pulumi.Input[str], first: str, retention_days: int | None
) -> Mapping[str, pulumi.Input[str]]:
    """The parameters of a table whose hours Athena projects, from `first` or the oldest hour that is kept, to the next
    hour."""
    start = f"NOW-{retention_days + 1}DAYS" if retention_days is not None else first
    return {
        "projection.enabled": "true",
        f"projection.{key}.type": "date",
        f"projection.{key}.format": "yyyy/MM/dd/HH",
        f"projection.{key}.range": f"{start},NOW+1HOURS",
        f"projection.{key}.interval": "1",
        f"projection.{key}.interval.unit": "HOURS",
        "storage.location.template": pulumi.Output.concat(location, "${", key, "}/"),
    }


def checked_first_hour(component: str, value: object) -> str:
    """The hour that projection starts with, YYYY/MM/DD/HH; else DeclarationError."""
    try:
        start_of(str(value))
    except BadRequest as error:
        raise DeclarationError(f"{component}: partition_projection_start: {error}") from None
    return str(value)
