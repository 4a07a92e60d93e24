"""A Kinesis stream that accepts events, and the Firehose that converts them to Parquet in a table's folders.

1. The stream keeps records for a day or more, even if delivery fails.
2. Firehose reads it, checks each record against the columns of the Glue table and buffers rows as Parquet.
3. A full or old buffer becomes a file below `<table>/YYYY/MM/DD/HH/`, by the arrival of its oldest record in UTC.
4. Records that do not fit become error documents below `errors/<table>/`, which is in no table's folder except that of
   the quarantine.

To a table in Iceberg, Firehose appends rows that a function has made of the records: `iceberg`.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from datawarehouse.aws.alarms import add_delivery_alarms
from datawarehouse.aws.arguments import checked_arguments, checked_choice, checked_name, checked_number
from datawarehouse.aws.iceberg import RecordConverter, RecordConverterArgs, destination, latest
from datawarehouse.aws.naming import FIREHOSE_MAX, POLICY_MAX, ROLE_MAX, STREAM_MAX, short_name
from datawarehouse.aws.policies import Place, delivery, document, firehose_trust, iceberg_delivery
from datawarehouse.aws.protection import protected, replaceable
from datawarehouse.aws.refusals import in_one_line
from datawarehouse.definition.alerts import Conditions
from datawarehouse.definition.arguments import SHARD_COUNT_MAX
from datawarehouse.definition.tables import HIVE, ICEBERG, TABLE_FORMATS, Column, checked_columns
from datawarehouse.errors import DeclarationError

BUFFER_MIB = 128
"""With conversion 64 to 128; the maximum, since larger files are better ("Convert input data format")."""
FLUSH_SECONDS_MAX = 900
RETENTION_HOURS = (24, 8760)
WARM_MIB_PER_SECOND = (1, 10_240)
STREAM_MODES = ("provisioned", "on-demand")
HOUR_FOLDER = "!{timestamp:yyyy/MM/dd/HH}/"
"""Java's DateTimeFormatter; `YYYY` and `DD` would be another year and day ("Understand custom prefixes")."""
ERROR_KIND = "!{firehose:error-output-type}/"


class InputStreamArgs(TypedDict):
    """The arguments of an InputStream.

    bucket: the name of the bucket that files go to. database_name, table_name: the Glue table that records are
    converted for; it exists before. columns: its columns, `{name: type}`, `{name: (type, JSON key)}` or
    `[{"name": ..., "type": ...}]`, so that a change of them reaches Firehose. shard_count: 1 (default) to 500, not for
    an on-demand stream. stream_mode: "provisioned" (default) or "on-demand". warm_mib_per_second: what an on-demand
    stream takes from its first second on, 1 to 10240, in an account with Kinesis On-demand Advantage
    (default: what Kinesis starts with). retention_hours: how long the stream keeps records, 24 (default) to 8760,
    which is the longest outage of delivery that loses nothing; beyond 24 a shard costs more than twice as much.
    is_disposable: whether the stream can be deleted with its records; otherwise it and its delivery are protected
    (default). kms_key_arn:
    what records and the log are encrypted with (default: the keys of the services). bucket_kms_key_arn: what the bucket
    encrypts objects with, if that is a key of one's own. file_flush_interval_seconds: how long
    Firehose buffers, 0 to 900 (default). alarm_topic_arn: the SNS topic that alarms go to (default: no alarms).
    conditions: when malformed, refused and late records are alarms, as `with_alert` has them (default: its defaults).
    log_retention_days: for the log of delivery errors (default: 30). region: default is the provider's. table_format:
    "hive" (default) or "iceberg", as the table is. hour_column: the column of an Iceberg table that gets the hour in
    which a record arrived (default: "inserted_at").
    """

    bucket: pulumi.Input[str]
    database_name: pulumi.Input[str]
    table_name: pulumi.Input[str]
    columns: Mapping[str, str | tuple[str, str]] | Sequence[Mapping[str, str]]
    shard_count: NotRequired[int]
    stream_mode: NotRequired[str]
    warm_mib_per_second: NotRequired[int]
    retention_hours: NotRequired[int]
    is_disposable: NotRequired[bool]
    kms_key_arn: NotRequired[pulumi.Input[str]]
    bucket_kms_key_arn: NotRequired[pulumi.Input[str]]
    file_flush_interval_seconds: NotRequired[int]
    alarm_topic_arn: NotRequired[pulumi.Input[str]]
    conditions: NotRequired[Conditions]
    log_retention_days: NotRequired[int]
    region: NotRequired[pulumi.Input[str]]
    table_format: NotRequired[str]
    hour_column: NotRequired[str]


class InputStream(pulumi.ComponentResource):
    """A Kinesis stream whose JSON records Firehose delivers to a Glue table, checked against its columns.

    input_stream: the Kinesis stream, which producers put to. delivery_stream: the Firehose. converter: what converts
    records for a table in Iceberg, else None. alarms: those of all three. Raises DeclarationError,
    before anything is created, if an argument is unknown or outside the limits of the services.
    """

    input_stream: aws.kinesis.Stream
    delivery_stream: aws.kinesis.FirehoseDeliveryStream
    alarms: list[aws.cloudwatch.MetricAlarm]

    @in_one_line
    def __init__(self, name: str, args: InputStreamArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        given = _checked(checked_name("InputStream", name), args)
        is_kept = not given.get("is_disposable", False)
        super().__init__("datawarehouse:index:InputStream", name, {}, protected(opts, is_kept))
        self._name = name
        self._child = pulumi.ResourceOptions(parent=self)
        self._region = given.get("region")
        self.input_stream = self._stream(given)
        self.converter = self._record_converter(given) if given["table_format"] == ICEBERG else None
        logs = self._logs(given)
        self.delivery_stream = self._delivery(given, logs)
        self.alarms = []
        if topic := given.get("alarm_topic_arn"):
            self.alarms = add_delivery_alarms(
                name,
                self.input_stream.name,
                self.delivery_stream.name,
                given["file_flush_interval_seconds"],
                given.get("conditions", Conditions()),
                topic,
                self,
                self._region,
                converter=self.converter.function.name if self.converter else None,
            )
        self.register_outputs(
            {
                "stream_name": self.input_stream.name,
                "stream_arn": self.input_stream.arn,
                "delivery_stream_name": self.delivery_stream.name,
            }
        )

    def _stream(self, given: Mapping[str, Any]) -> aws.kinesis.Stream:
        provisioned = given["stream_mode"] == "provisioned"
        logical = f"{self._name}-stream"
        return aws.kinesis.Stream(
            logical,
            name=short_name(logical, STREAM_MAX),
            shard_count=given["shard_count"] if provisioned else None,
            stream_mode_details={"stream_mode": "PROVISIONED" if provisioned else "ON_DEMAND"},
            warm_throughput_mib_ps=given.get("warm_mib_per_second"),
            retention_period=given["retention_hours"],
            encryption_type="KMS",
            kms_key_id=given.get("kms_key_arn", "alias/aws/kinesis"),
            region=self._region,
            opts=self._child,
        )

    def _logs(self, given: Mapping[str, Any]) -> tuple[aws.cloudwatch.LogGroup, aws.cloudwatch.LogStream]:
        """The logs of Firehose's errors.

        Firehose keeps the schema that it has looked up until its own configuration changes (terraform-provider-aws,
        issues 5906 and 39593), and the provider exports no version of a Glue table. So the name of the log stream
        contains a digest of the columns: other columns give another log stream, and thereby an update of the delivery
        stream. The old log stream stays, so its name must not be used again when the same columns return: Pulumi adds a
        random suffix.
        """
        group = aws.cloudwatch.LogGroup(
            f"{self._name}-log",
            retention_in_days=given["log_retention_days"],
            kms_key_id=given.get("kms_key_arn"),
            region=self._region,
            opts=self._child,
        )
        stream = aws.cloudwatch.LogStream(
            f"{self._name}-log-{schema_digest(given['columns'])}",
            log_group_name=group.name,
            region=self._region,
            opts=replaceable(self, retain_on_delete=True),
        )
        return group, stream

    def _delivery(
        self, given: Mapping[str, Any], logs: tuple[aws.cloudwatch.LogGroup, aws.cloudwatch.LogStream]
    ) -> aws.kinesis.FirehoseDeliveryStream:
        group, stream = logs
        logical = f"{self._name}-delivery"
        role = aws.iam.Role(
            f"{logical}-role",
            name=short_name(f"{logical}-role", ROLE_MAX),
            # The account comes from the log group, which exists long before the stream: a new role needs time to be
            # known.
            assume_role_policy=group.arn.apply(lambda arn: firehose_trust(Place.of(arn).account)),
            opts=self._child,
        )
        policy = aws.iam.RolePolicy(
            f"{logical}-policy",
            name=short_name(f"{logical}-policy", POLICY_MAX),
            role=role.name,
            policy=pulumi.Output.all(
                self.input_stream.arn,
                given["database_name"],
                given["table_name"],
                given["bucket"],
                group.arn,
                given.get("kms_key_arn"),
                given.get("bucket_kms_key_arn"),
                *([self.converter.function.arn.apply(latest)] if self.converter else []),
            ).apply(lambda found: document((iceberg_delivery if self.converter else delivery)(*found))),
            opts=self._child,
        )
        logging = {"enabled": True, "log_group_name": group.name, "log_stream_name": stream.name}
        errors = pulumi.Output.concat("errors/", given["table_name"], "/", ERROR_KIND, HOUR_FOLDER)
        return aws.kinesis.FirehoseDeliveryStream(
            logical,
            name=short_name(logical, FIREHOSE_MAX),
            kinesis_source_configuration={"kinesis_stream_arn": self.input_stream.arn, "role_arn": role.arn},
            **self._destination(given, role.arn, errors, logging),
            region=self._region,
            # Firehose tries the role when it is created; the provider retries some refusals (terraform-provider-aws,
            # retryDeliveryStreamOp), but not of those in its issue 47937.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )

    def _destination(
        self,
        given: Mapping[str, Any],
        role_arn: pulumi.Input[str],
        errors: pulumi.Input[str],
        logging: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Where Firehose delivers to, and what it makes of the records."""
        if self.converter:
            place = self.input_stream.arn.apply(Place.of)
            settings = destination(place, role_arn, self.converter.function.arn, given, errors, logging)
            return {"destination": "iceberg", "iceberg_configuration": settings}
        table = given["table_name"]
        settings = {
            "bucket_arn": pulumi.Output.all(self.input_stream.arn, given["bucket"]).apply(
                lambda found: Place.of(found[0]).bucket(found[1])
            ),
            "role_arn": role_arn,
            "prefix": pulumi.Output.concat(table, "/", HOUR_FOLDER),
            "error_output_prefix": errors,
            "buffering_interval": given["file_flush_interval_seconds"],
            "buffering_size": BUFFER_MIB,
            "compression_format": "UNCOMPRESSED",
            "cloudwatch_logging_options": logging,
            "data_format_conversion_configuration": {
                "enabled": True,
                "input_format_configuration": {
                    "deserializer": {"open_x_json_ser_de": _deserializer(given["columns"])},
                },
                "output_format_configuration": {"serializer": {"parquet_ser_de": {"compression": "SNAPPY"}}},
                "schema_configuration": {
                    "database_name": given["database_name"],
                    "table_name": table,
                    "role_arn": role_arn,
                    "region": self.input_stream.arn.apply(lambda arn: Place.of(arn).region),
                    "version_id": "LATEST",
                },
            },
        }
        return {"destination": "extended_s3", "extended_s3_configuration": settings}

    def _record_converter(self, given: Mapping[str, Any]) -> RecordConverter:
        names = [name for name in RecordConverterArgs.__annotations__ if name in given]
        arguments: Any = {name: given[name] for name in names}
        return RecordConverter(f"{self._name}-converter", arguments, self._child)


def _deserializer(columns: Iterable[Column]) -> dict[str, Any]:
    """Firehose API reference, OpenXJsonSerDe: keys are made lower case before they are compared with the mappings."""
    keys = {column.name: column.key for column in columns if column.key is not None}
    return {"case_insensitive": True, **({"column_to_json_key_mappings": keys} if keys else {})}


def schema_digest(columns: Iterable[Any]) -> str:
    """Twelve digits that change when a column's name, type or place does."""
    return hashlib.sha256(json.dumps([[each.name, str(each.type)] for each in columns]).encode()).hexdigest()[:12]


def _checked(component: str, args: InputStreamArgs) -> dict[str, Any]:
    """The arguments, with their defaults."""
    given = checked_arguments(component, args, InputStreamArgs)
    columns = checked_columns(component, given["columns"])
    if not columns:
        raise DeclarationError(f"{component} has no columns; give those of the table.")
    mode = checked_choice(component, "stream_mode", given.get("stream_mode", STREAM_MODES[0]), STREAM_MODES)
    if mode == "on-demand" and "shard_count" in given:
        raise DeclarationError(f"{component}: an on-demand stream has no shard_count; leave it out.")
    if "warm_mib_per_second" in given:
        if mode != "on-demand":
            raise DeclarationError(
                f"{component}: warm_mib_per_second is {given['warm_mib_per_second']!r}, and the stream is provisioned: "
                "its shards are its throughput. Leave it out, or choose stream_mode 'on-demand'."
            )
        warm = given["warm_mib_per_second"]
        checked_number(component, "warm_mib_per_second", warm, *WARM_MIB_PER_SECOND, "Kinesis API, CreateStream")
    numbers = {
        "shard_count": (1, 1, SHARD_COUNT_MAX, "Kinesis Data Streams, Quotas and limits"),
        "retention_hours": (RETENTION_HOURS[0], *RETENTION_HOURS, "Kinesis API, IncreaseStreamRetentionPeriod"),
        "file_flush_interval_seconds": (FLUSH_SECONDS_MAX, 0, FLUSH_SECONDS_MAX, "Firehose API, BufferingHints"),
    }
    checked = {
        argument: checked_number(component, argument, given.get(argument, default), low, high, source)
        for argument, (default, low, high, source) in numbers.items()
    }
    table_format = checked_choice(component, "table_format", given.get("table_format", HIVE), TABLE_FORMATS)
    named = {"table_format": table_format, "hour_column": given.get("hour_column", "inserted_at")}
    return {**given, **checked, **named, "columns": columns, "stream_mode": mode}
