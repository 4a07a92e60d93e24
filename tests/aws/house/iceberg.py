"""Iceberg tables of the Glue catalog: their metadata, their delivery and their optimizers.

AWS Glue API reference, CreateIcebergTableInput and CreateTableOptimizer; Firehose developer guide, "Deliver data to
Apache Iceberg Tables"; Iceberg table specification, "Schemas and Data Types", "Partitioning" and appendix C.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from graph import ACCOUNT, PARTITION, REGION, Node, hive_type

from house.identity import granted, waits_for_rights
from house.world import Errors, World, about, get, number_in

INPUT = "openTableFormatInput.icebergInput"
_PRIMITIVE = re.compile(r"boolean|int|long|float|double|string|binary|date|timestamp|decimal\(\d+,\d+\)")


def is_iceberg(table: Node) -> bool:
    return isinstance(get(table.inputs, INPUT), dict)


def location_of(table: Node) -> Any:
    """The s3:// folder of a Glue table of either format."""
    here = f"{INPUT}.icebergTableInput.location" if is_iceberg(table) else "storageDescriptor.location"
    return get(table.inputs, here)


def columns_of(table: Node) -> list[dict[str, str]]:
    """The columns of an Iceberg table as the catalog shows them: names, and types of Hive."""
    fields = get(table.inputs, f"{INPUT}.icebergTableInput.schema.fields") or []
    return [{"name": one["name"], "type": hive_type(json.loads(one["type"]))} for one in fields]


def iceberg_table_errors(node: Node, world: World) -> Errors:
    """A table that Glue makes as Iceberg, in hours, and that nothing of Hive describes."""
    given = get(node.inputs, INPUT)
    for key in ("storageDescriptor", "partitionKeys", "parameters", "tableType"):
        if key in node.inputs:
            yield f"{key} is not sent with an Iceberg table"
    if given.get("metadataOperation") != "CREATE":
        yield f"metadataOperation is {given.get('metadataOperation')!r}, not CREATE"
    if given.get("version") != "2":
        yield f"version is {given.get('version')!r}, not '2'"
    table = given.get("icebergTableInput")
    if not isinstance(table, dict):
        yield "has no schema and no location"
        return
    if extra := table.keys() - {"location", "schema", "partitionSpec"}:
        yield f"icebergTableInput has {sorted(extra)}"
    schema = table.get("schema")
    fields = get(table, "schema.fields")
    if not isinstance(fields, list) or not isinstance(schema, dict):
        yield "has no columns"
        return
    if schema.get("type") != "struct" or schema.get("schemaId") != 0:
        yield f"schema is {schema.get('type')!r} {schema.get('schemaId')!r}, not struct 0"
    ids: list[Any] = []
    for one in fields:
        if not re.fullmatch(r"[a-z0-9_]{1,255}", str(one.get("name"))):
            yield f"column name {one.get('name')!r} is not lower case letters, digits and _"
        if one.get("required") is not False:
            yield f"column {one.get('name')} is required"
        ids.append(one.get("id"))
        try:
            ids += _ids(json.loads(str(one.get("type"))))
        except (ValueError, KeyError, TypeError) as error:
            yield f"column {one.get('name')} has the type {one.get('type')!r}: {error!r}"
    for name, count in Counter(str(one.get("name")) for one in fields).items():
        if count > 1:
            yield f"{name} is a column twice"
    if sorted(map(str, ids)) != sorted(map(str, range(1, len(ids) + 1))):
        yield f"fields have the ids {ids}"
    spec = table.get("partitionSpec") or {}
    hours = spec.get("fields") or [{}]
    [hour] = hours if len(hours) == 1 else [{}]
    column = next((one for one in fields if one.get("id") == hour.get("sourceId")), {})
    wanted = {"transform": "identity", "name": column.get("name"), "fieldId": 1000, "sourceId": column.get("id")}
    if not column or hour != wanted or json.loads(str(column.get("type"))) != "string" or spec.get("specId") != 0:
        yield f"is partitioned by {spec}, not by its hour"
    documents = world.named("CatalogTable", f"{node.physical_name}_error_docs")
    if documents and [one.get("name") for one in documents.inputs.get("partitionKeys") or []] != [hour.get("name")]:
        yield "its error documents have another hour"
    kinds = {one.inputs.get("type") for one in world.pointing("CatalogTableOptimizer", "tableName", node)}
    if kinds != {"compaction", "retention", "orphan_file_deletion"}:
        yield f"its optimizers are {sorted(map(str, kinds))}"


def _ids(kind: Any) -> list[Any]:
    """The ids in a type. Raises ValueError, KeyError or TypeError if Iceberg has no such type."""
    if isinstance(kind, str):
        if not _PRIMITIVE.fullmatch(kind):
            raise ValueError(f"no type {kind}")
        return []
    if kind["type"] == "list":
        if kind["element-required"] is not False:
            raise ValueError("elements are required")
        return [kind["element-id"], *_ids(kind["element"])]
    if kind["type"] == "map":
        if kind["value-required"] is not False:
            raise ValueError("values are required")
        return [kind["key-id"], kind["value-id"], *_ids(kind["key"]), *_ids(kind["value"])]
    if kind["type"] != "struct" or any(one["required"] is not False or not one["name"] for one in kind["fields"]):
        raise ValueError("no struct of optional fields")
    return [number for one in kind["fields"] for number in (one["id"], *_ids(one["type"]))]


def iceberg_delivery_errors(node: Node, world: World) -> Errors:
    """Rows are appended to one table, after a function of ours has made them; what fails is kept."""
    settings = node.inputs.get("icebergConfiguration")
    if not isinstance(settings, dict):
        yield "no icebergConfiguration"
        return
    if settings.get("appendOnly") is not True:
        yield "does not only append"
    if settings.get("catalogArn") != f"arn:{PARTITION}:glue:{REGION}:{ACCOUNT}:catalog":
        yield f"catalogArn is {settings.get('catalogArn')!r}"
    if not number_in(settings.get("bufferingInterval"), 0, 900) or not number_in(settings.get("bufferingSize"), 1, 128):
        yield "buffers for other than 0 to 900 s or 1 to 128 MiB"
    if settings.get("s3BackupMode", "FailedDataOnly") != "FailedDataOnly":
        yield f"s3BackupMode is {settings.get('s3BackupMode')!r}"
    targets = settings.get("destinationTableConfigurations") or []
    target = targets[0] if len(targets) == 1 else {}
    table = world.named("CatalogTable", target.get("tableName"))
    if table is None or not is_iceberg(table) or table.inputs.get("databaseName") != target.get("databaseName"):
        yield f"no Iceberg table {target.get('databaseName')}.{target.get('tableName')}"
        return
    backup = settings.get("s3Configuration") or {}
    for place in (settings, backup):
        logging = place.get("cloudwatchLoggingOptions") or {}
        stream = world.named("LogStream", logging.get("logStreamName"))
        group = stream.inputs.get("logGroupName") if stream else None
        if logging.get("enabled") is not True or group is None or group != logging.get("logGroupName"):
            yield "does not log to a log stream of its log group"
    location = str(location_of(table))
    bucket = str(backup.get("bucketArn")).rpartition(":")[2]
    if not location.startswith(f"s3://{bucket}/"):
        yield f"keeps what fails in {bucket}, and the table is in {location}"
    name = table.physical_name
    errors = f"errors/{name}/!{{firehose:error-output-type}}/!{{timestamp:yyyy/MM/dd/HH}}/"
    if backup.get("errorOutputPrefix") != errors:
        yield f"errorOutputPrefix is {backup.get('errorOutputPrefix')!r}, not {errors}"
    documents = world.named("CatalogTable", f"{name}_error_docs")
    if documents is None or location_of(documents) != f"s3://{bucket}/errors/{name}/format-conversion-failed/":
        yield f"no table {name}_error_docs over its error documents"
    yield from _processor_errors(settings, table, world)
    yield from _role_errors(node, settings, table, bucket, world)


def _converter_of(settings: dict[str, Any], world: World) -> tuple[Node | None, dict[str, str]]:
    processors = get(settings, "processingConfiguration.processors") or []
    given = processors[0].get("parameters") or [] if len(processors) == 1 else []
    parameters = {str(one.get("parameterName")): str(one.get("parameterValue")) for one in given}
    return world.at(parameters.get("LambdaArn", "").removesuffix(":$LATEST")), parameters


def _processor_errors(settings: dict[str, Any], table: Node, world: World) -> Errors:
    function, parameters = _converter_of(settings, world)
    processing = settings.get("processingConfiguration") or {}
    kinds = [one.get("type") for one in processing.get("processors") or []]
    if processing.get("enabled") is not True or kinds != ["Lambda"]:
        yield "sends records to no function"
    if parameters.keys() != {"LambdaArn", "BufferSizeInMBs"} or parameters["BufferSizeInMBs"] != "0.2":
        yield f"the processor has {parameters}"
    if function is None or function.kind != "Function" or not parameters["LambdaArn"].endswith(":$LATEST"):
        yield f"sends records to {parameters.get('LambdaArn')!r}, no function of this stack"
        return
    variables = get(function.inputs, "environment.variables") or {}
    if function.inputs.get("handler") != "datawarehouse.functions.convert_events.handler":
        yield f"{function.inputs.get('handler')} converts no records"
    elif (variables.get("DW_TABLE"), variables.get("DW_DATABASE")) != (
        table.physical_name,
        table.inputs.get("databaseName"),
    ):
        yield "the function is that of another table"
    if not number_in(function.inputs.get("timeout"), 60, 300):
        yield "Firehose waits for a function for five minutes"
    description = get(function.inputs, "code.assets") or {}
    text = (description.get("table.json") or {}).get("text", "{}")
    described = json.loads(text)
    columns = [[one["name"], one["type"]] for one in columns_of(table)]
    if [*described.get("columns", []), [described.get("hour"), "string"]] != columns:
        yield "the function converts for other columns than those of the table"


def _role_errors(node: Node, settings: dict[str, Any], table: Node, bucket: str, world: World) -> Errors:
    roles = {
        get(node.inputs, "kinesisSourceConfiguration.roleArn"),
        settings.get("roleArn"),
        get(settings, "s3Configuration.roleArn"),
    }
    role = world.at(settings.get("roleArn"))
    if len(roles) != 1 or role is None or role.kind != "Role":
        yield f"roles are {sorted(map(str, roles))}, not one role of this stack"
        return
    if not waits_for_rights(node, role, world):
        yield "does not wait for the policy of its role"
    group = world.named("LogGroup", get(settings, "cloudwatchLoggingOptions.logGroupName"))
    _, parameters = _converter_of(settings, world)
    files, errors = f"{table.physical_name}/*", f"errors/{table.physical_name}/*"
    wanted = {
        (f"kinesis:{action}", str(get(node.inputs, "kinesisSourceConfiguration.kinesisStreamArn")))
        for action in ("DescribeStream", "DescribeStreamSummary", "GetShardIterator", "GetRecords", "ListShards")
    }
    wanted |= _catalog(table, ("GetTable", "GetDatabase", "UpdateTable"))
    wanted |= _s3(bucket, "", ("GetBucketLocation", "ListBucket", "ListBucketMultipartUploads"))
    wanted |= _s3(bucket, files, ("PutObject", "GetObject", "AbortMultipartUpload", "DeleteObject"))
    wanted |= _s3(bucket, errors, ("PutObject", "GetObject", "AbortMultipartUpload"))
    invoke = ("lambda:InvokeFunction", "lambda:GetFunctionConfiguration")
    wanted |= {(action, parameters.get("LambdaArn", "")) for action in invoke}
    wanted.add(("logs:PutLogEvents", f"{group.outputs.get('arn') if group else None}:log-stream:*"))
    yield from _difference(wanted, role, world, "Firehose does not need")


def _catalog(table: Node, actions: tuple[str, ...]) -> set[tuple[str, str]]:
    glue, database = f"arn:{PARTITION}:glue:{REGION}:{ACCOUNT}", table.inputs.get("databaseName")
    places = ("catalog", f"database/{database}", f"table/{database}/{table.physical_name}")
    return {(f"glue:{action}", f"{glue}:{place}") for action in actions for place in places}


def _s3(bucket: str, key: str, actions: tuple[str, ...]) -> set[tuple[str, str]]:
    return {(f"s3:{action}", f"arn:{PARTITION}:s3:::{bucket}" + (f"/{key}" if key else "")) for action in actions}


def _difference(wanted: set[tuple[str, str]], role: Node, world: World, whose: str) -> Errors:
    given = {pair for pair in granted(world, role) if not pair[0].startswith("kms:")}
    for action, resource in sorted(wanted - given):
        yield f"its role may not {action} on {resource}"
    for action, resource in sorted(given - wanted):
        yield f"its role may {action} on {resource}, which {whose}"


LOG_GROUPS = tuple(
    f"arn:{PARTITION}:logs:{REGION}:{ACCOUNT}:log-group:/aws-glue/iceberg-{kind}/logs:*"
    for kind in ("compaction", "retention", "orphan-file-deletion")
)
"""Where Glue's optimizers write to: "Table optimization prerequisites"."""
_SETTINGS = {
    "compaction": ("compactionConfiguration", {"strategy": "binpack"}),
    "retention": (
        "retentionConfiguration",
        {"snapshotRetentionPeriodInDays": 5, "numberOfSnapshotsToRetain": 1, "cleanExpiredFiles": True},
    ),
    "orphan_file_deletion": ("orphanFileDeletionConfiguration", {"orphanFileRetentionPeriodInDays": 3}),
}


@about("CatalogTableOptimizer")
def optimizer_rule(node: Node, world: World) -> Errors:
    """An optimizer of an Iceberg table, with a role that may do what it does and no more."""
    inputs = node.inputs
    if inputs.get("catalogId") != ACCOUNT:
        yield f"catalogId is {inputs.get('catalogId')!r}"
    table = world.named("CatalogTable", inputs.get("tableName"))
    if table is None or not is_iceberg(table) or table.inputs.get("databaseName") != inputs.get("databaseName"):
        yield f"no Iceberg table {inputs.get('databaseName')}.{inputs.get('tableName')}"
        return
    name, expected = _SETTINGS.get(str(inputs.get("type")), ("", {}))
    given = inputs.get("configuration") or {}
    if given.get("enabled") is not True or get(given, f"{name}.icebergConfiguration") != expected:
        yield f"{inputs.get('type')!r} is set to {given}"
    if extra := given.keys() - {"enabled", "roleArn", name}:
        yield f"its configuration has {sorted(extra)}"
    role = world.at(given.get("roleArn"))
    if role is None or role.kind != "Role":
        yield f"role is {given.get('roleArn')!r}, no role of this stack"
        return
    if not waits_for_rights(node, role, world):
        yield "does not wait for the policy of its role"
    bucket = str(location_of(table)).removeprefix("s3://").partition("/")[0]
    wanted = _s3(bucket, f"{table.physical_name}/*", ("PutObject", "GetObject", "DeleteObject"))
    wanted |= _s3(bucket, "", ("ListBucket",)) | _catalog(table, ("GetTable", "UpdateTable"))
    wanted |= {
        (f"logs:{action}", group)
        for action in ("CreateLogGroup", "CreateLogStream", "PutLogEvents")
        for group in LOG_GROUPS
    }
    yield from _difference(wanted, role, world, "the optimizers do not need")
