"""Made-up events for development: a few each minute, with the declared columns; some can be malformed."""

import json
from typing import NotRequired, TypedDict

import pulumi

from datawarehouse.aws.arguments import checked_arguments, checked_name, checked_number, shared_arguments
from datawarehouse.aws.lambda_cron import LambdaCronJob
from datawarehouse.aws.packaging import library
from datawarehouse.aws.policies import producer
from datawarehouse.aws.refusals import in_one_line
from datawarehouse.aws.schedules import EACH_MINUTE
from datawarehouse.definition.alerts import Conditions
from datawarehouse.definition.tables import StreamingInputTable, to_wire
from datawarehouse.errors import DeclarationError

MEMORY_MB = 256
TIMEOUT_SECONDS = 60
EVENTS_MAX = 10_000


class EventGeneratorArgs(TypedDict):
    """The arguments of an EventGenerator.

    table: the declared streaming input table. stream_name, stream_arn: its input stream. events_per_minute: 1 to 10000
    (default: 60). malformed: the share of malformed events, from 0 (default) to 1. kms_key_arn: what
    the stream and the log are encrypted with. alarm_topic_arn, conditions, log_retention_days, region: as of a
    LambdaCronJob.
    """

    table: StreamingInputTable
    stream_name: pulumi.Input[str]
    stream_arn: pulumi.Input[str]
    events_per_minute: NotRequired[int]
    malformed: NotRequired[float]
    alarm_topic_arn: NotRequired[pulumi.Input[str]]
    conditions: NotRequired[Conditions]
    kms_key_arn: NotRequired[pulumi.Input[str]]
    log_retention_days: NotRequired[int]
    region: NotRequired[pulumi.Input[str]]


class EventGenerator(pulumi.ComponentResource):
    """Puts made-up events on a stream each minute. For development only: real tables should have only real events.

    Raises DeclarationError, before anything is created, if an argument is unknown or out of range.
    """

    cron: LambdaCronJob

    @in_one_line
    def __init__(self, name: str, args: EventGeneratorArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        component = checked_name("EventGenerator", name)
        given = checked_arguments(component, args, EventGeneratorArgs)
        table: StreamingInputTable = given["table"]
        rate = checked_number(
            component, "events_per_minute", given.get("events_per_minute", 60), 1, EVENTS_MAX, "one run's time"
        )
        malformed = given.get("malformed", 0.0)
        if not isinstance(malformed, int | float) or not 0 <= malformed <= 1:
            raise DeclarationError(f"{component}: malformed is {malformed!r}; valid is a share from 0 to 1.")
        events = {
            "tables": [{"name": table.name, "columns": to_wire(table.columns)}],
            "rate": rate,
            "malformed": malformed,
        }
        code = library("generate_events.handler", "generator", extra={"events.json": json.dumps(events)})
        super().__init__("datawarehouse:index:EventGenerator", name, {}, opts)
        self.cron = LambdaCronJob(
            f"{name}-cron",
            {
                "schedule_expression": EACH_MINUTE,
                "code": code.archive(),
                "handler": code.handler,
                "environment": {"DW_STREAM": given["stream_name"]},
                "policy_statements": pulumi.Output.all(given["stream_arn"], given.get("kms_key_arn")).apply(
                    lambda found: producer(*found)
                ),
                "timeout_seconds": TIMEOUT_SECONDS,
                "memory_mb": MEMORY_MB,
                **shared_arguments(given),  # type: ignore[typeddict-item]
            },
            pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"function_name": self.cron.function.name})
