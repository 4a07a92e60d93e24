"""Kinesis streams, and their delivery by Firehose into a table."""

from __future__ import annotations

import re
from typing import Any

from graph import REGION, Node

from house.iceberg import iceberg_delivery_errors
from house.identity import waits_for_rights
from house.rights import delivery_errors
from house.world import Errors, World, about, get, number_in

_EXPRESSION = re.compile(r"!\{([^}]*)\}")


@about("FirehoseDeliveryStream")
def firehose_rule(node: Node, world: World) -> Errors:
    """Delivery of a stream with conversion to Parquet, into hours, by one role.

    Firehose developer guide, "Convert input data format" and "Understand custom prefixes"; API, BufferingHints.
    """
    inputs = node.inputs
    if inputs.get("destination") == "iceberg":
        if extra := inputs.keys() - {
            "name",
            "destination",
            "kinesisSourceConfiguration",
            "icebergConfiguration",
            "region",
        }:
            yield f"has {sorted(extra)}"
        source = world.at(get(inputs, "kinesisSourceConfiguration.kinesisStreamArn"))
        if source is None or source.kind != "Stream":
            yield "kinesisStreamArn is no stream of this stack"
        yield from iceberg_delivery_errors(node, world)
        return
    if inputs.get("destination") != "extended_s3":
        yield f"destination is {inputs.get('destination')!r}; conversion needs extended_s3"
    source = world.at(get(inputs, "kinesisSourceConfiguration.kinesisStreamArn"))
    if source is None or source.kind != "Stream":
        yield "kinesisStreamArn is no stream of this stack"
    settings = inputs.get("extendedS3Configuration")
    if not isinstance(settings, dict):
        yield "no extendedS3Configuration"
        return
    if not number_in(settings.get("bufferingInterval"), 0, 900):
        yield f"bufferingInterval is {settings.get('bufferingInterval')!r}, not 0 to 900 s"
    if not number_in(settings.get("bufferingSize"), 64, 128):
        yield f"bufferingSize is {settings.get('bufferingSize')!r}, not 64 to 128 MiB, with conversion"
    if settings.get("compressionFormat") != "UNCOMPRESSED":
        yield f"compressionFormat is {settings.get('compressionFormat')!r}; the serializer compresses"
    logging = settings.get("cloudwatchLoggingOptions") or {}
    stream = world.named("LogStream", logging.get("logStreamName"))
    streams = [
        one
        for one in world.all("LogStream")
        if (one.physical_name, one.inputs.get("logGroupName"))
        == (logging.get("logStreamName"), logging.get("logGroupName"))
    ]
    if logging.get("enabled") is not True or stream is None or not streams:
        yield "does not log to a log stream of its log group"
    roles = {
        get(inputs, "kinesisSourceConfiguration.roleArn"),
        settings.get("roleArn"),
        get(settings, "dataFormatConversionConfiguration.schemaConfiguration.roleArn"),
    }
    role = world.at(settings.get("roleArn"))
    if len(roles) != 1 or role is None or role.kind != "Role":
        yield f"roles are {sorted(map(str, roles))}, not one role of this stack"
    elif not waits_for_rights(node, role, world):
        yield "does not wait for the policy of its role"
    yield from _conversion_errors(node, settings, world)
    if role is not None and role.kind == "Role":
        yield from delivery_errors(node, settings, role, world)


def _conversion_errors(node: Node, settings: dict[str, Any], world: World) -> Errors:
    conversion = settings.get("dataFormatConversionConfiguration")
    if not isinstance(conversion, dict) or conversion.get("enabled", True) is not True:
        yield "does not convert records"
        return
    deserializer = get(conversion, "inputFormatConfiguration.deserializer.openXJsonSerDe")
    if not isinstance(deserializer, dict):
        yield "does not read JSON with OpenX"
    elif deserializer.get("caseInsensitive", True) is not True:
        yield "columns are lower case: caseInsensitive must be true"
    if get(conversion, "outputFormatConfiguration.serializer.parquetSerDe.compression") not in (None, "SNAPPY"):
        yield "Parquet is not compressed with SNAPPY"
    if not isinstance(get(conversion, "outputFormatConfiguration.serializer.parquetSerDe"), dict):
        yield "does not write Parquet"
    schema = conversion.get("schemaConfiguration") or {}
    if schema.get("region", REGION) != REGION:
        yield f"schema region is {schema.get('region')!r}"
    if schema.get("versionId", "LATEST") != "LATEST":
        yield f"schema versionId is {schema['versionId']!r}"
    table = world.named("CatalogTable", schema.get("tableName"))
    if table is None or table.inputs.get("databaseName") != schema.get("databaseName"):
        yield f"no Glue table {schema.get('databaseName')}.{schema.get('tableName')}"
        return
    bucket = str(settings.get("bucketArn")).rpartition(":")[2]
    prefix, errors = settings.get("prefix"), settings.get("errorOutputPrefix")
    if not isinstance(prefix, str) or not isinstance(errors, str):
        yield "prefix and errorOutputPrefix must be given"
        return
    for text, wanted in (
        (prefix, ["timestamp:yyyy/MM/dd/HH"]),
        (errors, ["firehose:error-output-type", "timestamp:yyyy/MM/dd/HH"]),
    ):
        if _EXPRESSION.findall(text) != wanted or text.count("!") != len(wanted):
            yield f"{text!r} does not have the expressions {wanted}"
        if not text.endswith("}/"):
            yield f"{text!r} does not end with a folder of the hour"
    files = f"s3://{bucket}/{prefix.partition('!')[0]}"
    if files != get(table.inputs, "storageDescriptor.location"):
        yield f"delivers to {files}, but the table {schema.get('tableName')} is elsewhere"
    failed = errors.replace("!{firehose:error-output-type}", "format-conversion-failed").partition("!")[0]
    failed = f"s3://{bucket}/{failed}"
    for location, other in world.table_locations.items():
        if failed.startswith(location) and not str(other.physical_name).endswith("_error_docs"):
            yield f"error documents lie in the table {other.physical_name}"
    documents = world.named("CatalogTable", f"{schema.get('tableName')}_error_docs")
    if documents is None or get(documents.inputs, "storageDescriptor.location") != failed:
        yield f"no table {schema.get('tableName')}_error_docs over {failed}"


@about("Stream")
def stream_rule(node: Node) -> Errors:
    """Encrypted; Kinesis API, IncreaseStreamRetentionPeriod: its limits, and CreateStream: which mode has shards."""
    if node.inputs.get("encryptionType") != "KMS" or not node.inputs.get("kmsKeyId"):
        yield "is not encrypted"
    elif not re.fullmatch(r"alias/[\w/-]+|arn:aws:kms:.+|[0-9a-f-]{36}", str(node.inputs["kmsKeyId"])):
        yield f"kmsKeyId is {node.inputs['kmsKeyId']!r}"
    elif str(node.inputs["kmsKeyId"]).startswith("alias/aws/") and node.inputs["kmsKeyId"] != "alias/aws/kinesis":
        yield f"kmsKeyId is {node.inputs['kmsKeyId']!r}, not that of Kinesis"
    if not number_in(node.inputs.get("retentionPeriod"), 24, 8760):
        yield f"retentionPeriod is {node.inputs.get('retentionPeriod')!r}, not 24 to 8760 h"
    mode = get(node.inputs, "streamModeDetails.streamMode") or "PROVISIONED"
    shards = node.inputs.get("shardCount")
    if mode not in ("PROVISIONED", "ON_DEMAND"):
        yield f"streamMode is {mode!r}"
    if (mode == "ON_DEMAND") != (shards is None):
        yield f"{mode} with shardCount {shards!r}"
    if shards is not None and not number_in(shards, 1, 10_000):
        yield f"shardCount is {shards!r}"
    warm = node.inputs.get("warmThroughputMibPs")
    if warm is not None and (mode != "ON_DEMAND" or not number_in(warm, 1, 10_240)):
        yield f"{mode} with warmThroughputMibPs {warm!r}"
