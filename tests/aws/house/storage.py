"""Where data lies and how it is read: S3 buckets and objects, Glue tables, Athena workgroups."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from typing import Any

from graph import Node
from policies import as_list

from datawarehouse.definition.types import parse_type
from datawarehouse.errors import DataWarehouseError
from house.iceberg import iceberg_table_errors, is_iceberg, location_of
from house.world import Errors, World, about, get, number_in

# S3.

_BUCKET_PARTS = (
    "BucketPublicAccessBlock",
    "BucketServerSideEncryptionConfiguration",
    "BucketLifecycleConfiguration",
    "BucketPolicy",
)


@about("Bucket")
def bucket_rule(node: Node, world: World) -> Errors:
    """Closed, encrypted, reached by TLS alone, with a lifecycle."""
    for kind in _BUCKET_PARTS:
        if len(world.pointing(kind, "bucket", node)) != 1:
            yield f"has {len(world.pointing(kind, 'bucket', node))} {kind}"
    if not isinstance(node.inputs.get("forceDestroy"), bool):
        yield "does not say whether it may be destroyed with its objects (forceDestroy)"


@about(
    "BucketPublicAccessBlock",
    "BucketServerSideEncryptionConfiguration",
    "BucketLifecycleConfiguration",
    "BucketVersioning",
    "BucketOwnershipControls",
)
def bucket_part_rule(node: Node, world: World) -> Errors:
    """Amazon S3 user guide: "Blocking public access", "Default encryption", "Lifecycle configuration elements"."""
    if node.kind == "BucketPublicAccessBlock":
        for key in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"):
            if node.inputs.get(key) is not True:
                yield f"{key} is not true"
    elif node.kind == "BucketServerSideEncryptionConfiguration":
        for rule in as_list(node.inputs.get("rules") or [{}]):
            algorithm = get(rule, "applyServerSideEncryptionByDefault.sseAlgorithm")
            if algorithm not in ("AES256", "aws:kms"):
                yield f"sseAlgorithm is {algorithm!r}"
    elif node.kind == "BucketLifecycleConfiguration":
        yield from _lifecycle_errors(node, world)
    elif node.kind == "BucketVersioning":
        if get(node.inputs, "versioningConfiguration.status") not in ("Enabled", "Suspended"):
            yield "versioningConfiguration.status is not Enabled or Suspended"
    elif node.kind == "BucketOwnershipControls" and get(node.inputs, "rule.objectOwnership") != "BucketOwnerEnforced":
        yield "objectOwnership is not BucketOwnerEnforced"


def _lifecycle_errors(node: Node, world: World) -> Errors:
    rules = as_list(node.inputs.get("rules") or [])
    rules = [rule for rule in rules if isinstance(rule, dict)]
    if not any(isinstance(rule, dict) and rule.get("abortIncompleteMultipartUpload") for rule in rules):
        yield "parts of broken uploads stay for ever: no abortIncompleteMultipartUpload"
    if len({rule.get("id") for rule in rules}) != len(rules):
        yield "two rules have the same id"
    for rule in rules:
        name = rule.get("id")
        if not isinstance(name, str) or not 1 <= len(name) <= 255:
            yield f"rule id is {name!r}"
        if rule.get("status") != "Enabled":
            yield f"rule {name} is not Enabled"
        prefix = get(rule, "filter.prefix")
        if prefix is None:
            yield f"rule {name} says of no prefix that it applies to it"
        elif not isinstance(prefix, str) or (prefix and prefix.partition("/")[0] not in world.folders):
            yield f"rule {name} is for {prefix!r}, where nothing is written"
        elif prefix and not prefix.endswith("/"):
            yield f"rule {name} is for {prefix!r}: other folders may begin like that"
        days = {
            "expiration.days": get(rule, "expiration.days"),
            "abortIncompleteMultipartUpload.daysAfterInitiation": get(
                rule, "abortIncompleteMultipartUpload.daysAfterInitiation"
            ),
            "noncurrentVersionExpiration.noncurrentDays": get(rule, "noncurrentVersionExpiration.noncurrentDays"),
        }
        if all(value is None for value in days.values()):
            yield f"rule {name} does nothing"
        for key, value in days.items():
            if value is not None and not number_in(value, 1, 36_500):
                yield f"rule {name}: {key} is {value!r}"


@about("BucketObject", "BucketObjectv2")
def object_rule(node: Node, world: World) -> Errors:
    """Objects that a program uploads belong to a table."""
    key = node.inputs.get("key")
    url = f"s3://{node.inputs.get('bucket')}/{key}"
    if not isinstance(key, str) or not key or key.startswith("/") or key.endswith("/"):
        yield f"key is {key!r}"
    elif not any(url.startswith(location) for location in world.table_locations):
        yield f"key {key!r} lies in no table"
    if sum(node.inputs.get(one) is not None for one in ("content", "contentBase64", "source")) != 1:
        yield "has not exactly one of content, contentBase64, source"
    kind = node.inputs.get("contentType")
    if kind is not None and not re.fullmatch(r"[a-z]+/[\w.+-]+(; ?charset=[\w-]+)?", str(kind)):
        yield f"contentType is {kind!r}"


# Glue.

_FORMATS = {
    "parquet": (
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
        "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
        {"serialization.format": ("1",)},
        {"parquet.compression": ("SNAPPY",)},
    ),
    "json": (
        "org.apache.hadoop.mapred.TextInputFormat",
        "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
        "org.apache.hive.hcatalog.data.JsonSerDe",
        {"serialization.format": ("1",)},
        {},
    ),
}
# "OpenX JSON SerDe": results can have rows too many or too few. For keys in whatever case there is no other.
_ERROR_SERDE = "org.openx.data.jsonserde.JsonSerDe"
_FLAGS = {"EXTERNAL": ("TRUE",), "has_encrypted_data": ("true", "false")}

# Firehose developer guide, "Error handling for data format conversion"; in the lower case of Glue.
_ERROR_COLUMNS = {
    "attemptsmade": "int",
    "arrivaltimestamp": "bigint",
    "lasterrorcode": "string",
    "lasterrormessage": "string",
    "errorcode": "string",
    "errormessage": "string",
    "attemptendingtimestamp": "bigint",
    "rawdata": "string",
    "sequencenumber": "string",
    "subsequencenumber": "bigint",
}


@about("CatalogTable")
def table_rule(node: Node, world: World) -> Errors:
    """A table that Athena can read: lower case, types it has, partition keys given, columns of its own.

    Athena user guide, "Data types in Amazon Athena" and "Name databases, tables, and columns"; Glue API, TableInput.
    """
    inputs = node.inputs
    if inputs.get("tableType") == "VIRTUAL_VIEW":
        yield from _view_errors(node, world)
        return
    if is_iceberg(node):
        yield from iceberg_table_errors(node, world)
        yield from _location_errors(node, location_of(node), world)
        return
    if inputs.get("tableType") != "EXTERNAL_TABLE":
        yield f"tableType is {inputs.get('tableType')!r}, not EXTERNAL_TABLE"
    storage = inputs.get("storageDescriptor") or {}
    columns = [one for one in storage.get("columns") or [] if isinstance(one, dict)]
    keys = inputs.get("partitionKeys")
    if not isinstance(keys, list):
        yield "partitionKeys must be given, if only as an empty list"
        keys = []
    if not columns:
        yield "has no columns"
    names: list[str] = []
    for one in [*columns, *keys]:
        names.append(str(one.get("name")))
        if not re.fullmatch(r"[a-z0-9_]{1,255}", str(one.get("name"))):
            yield f"column name {one.get('name')!r} is not lower case letters, digits and _"
        try:
            parse_type(one.get("type"))
        except DataWarehouseError as error:
            yield f"column {one.get('name')}: {error}"
    for name, count in Counter(names).items():
        if count > 1:
            yield f"{name} is a column or partition key twice"
    for one in keys:
        if one.get("type") != "string":
            yield f"partition key {one.get('name')} is {one.get('type')}, not string"
    if str(node.physical_name).endswith("_error_docs"):
        for one in columns:
            if _ERROR_COLUMNS.get(str(one.get("name"))) != one.get("type"):
                yield f"error documents have no {one.get('name')} {one.get('type')}"
    yield from _format_errors(inputs, storage, str(node.physical_name).endswith("_error_docs"))
    yield from _location_errors(node, storage.get("location"), world)
    yield from _comparison_errors(node, world)
    yield from _projection_errors(inputs, [str(one.get("name")) for one in keys])
    twin = world.named("CatalogTable", str(node.physical_name).removesuffix("_staging"))
    if twin is not None and twin is not node and columns != get(twin.inputs, "storageDescriptor.columns"):
        yield f"its columns are not those of {twin.physical_name}"


_TRINO = {"string": "varchar", "timestamp": "timestamp(3)", "binary": "varbinary"}


def _view_errors(node: Node, world: World) -> Errors:
    """A view that Athena reads as one of its own: Trino, ViewReaderUtil and ConnectorViewDefinition."""
    inputs = node.inputs
    if inputs.get("parameters") != {"presto_view": "true", "comment": "Presto View"}:
        yield f"parameters are {inputs.get('parameters')!r}, not those of a view of Athena"
    if inputs.get("viewExpandedText") != "/* Presto View */":
        yield f"viewExpandedText is {inputs.get('viewExpandedText')!r}"
    storage = inputs.get("storageDescriptor")
    if inputs.get("partitionKeys") or not isinstance(storage, dict) or set(storage) != {"columns"}:
        yield "a view has columns, and neither partition keys nor files"
        return
    try:
        encoded = str(inputs.get("viewOriginalText")).removeprefix("/* Presto View: ").removesuffix(" */")
        view = json.loads(base64.b64decode(encoded, validate=True))
        columns = {column["name"]: _TRINO[column["type"]] for column in storage["columns"]}
        described = {column["name"]: column["type"] for column in view["columns"]}
        read = re.findall(r'from "(\w+)"', view["originalSql"])
    except (ValueError, KeyError, TypeError) as error:
        yield f"the view cannot be read: {error!r}"
        return
    if (view["catalog"], view["schema"]) != ("awsdatacatalog", inputs.get("databaseName")):
        yield f"reads {view['catalog']}.{view['schema']}, not its own database"
    if described != columns:
        yield f"its columns are {columns}, its description has {described}"
    if not read or any(world.named("CatalogTable", table) is None for table in read):
        yield f"reads {read}, and not all of these are tables"


def _format_errors(inputs: dict[str, Any], storage: dict[str, Any], is_of_errors: bool) -> Errors:
    parameters = inputs.get("parameters") or {}
    classification = parameters.get("classification")
    if classification not in _FORMATS:
        yield f"classification is {classification!r}, not one of {sorted(_FORMATS)}"
        return
    reader, writer, serde, serde_parameters, own = _FORMATS[classification]
    serde = _ERROR_SERDE if is_of_errors else serde
    given = storage.get("serDeInfo") or {}
    found = (storage.get("inputFormat"), storage.get("outputFormat"), given.get("serializationLibrary"))
    if found != (reader, writer, serde):
        yield f"{classification} is not read and written with {found}"
    for key, value in (given.get("parameters") or {}).items():
        if not key.startswith("mapping.") and value not in serde_parameters.get(key, ()):
            yield f"the serde takes no parameter {key}={value!r}"
    allowed = {**_FLAGS, **own}
    for key, value in parameters.items():
        if key == "classification" or key.startswith(("projection.", "storage.location.template", "datawarehouse.")):
            continue
        if value not in allowed.get(key, ()):
            yield f"parameter {key} is {value!r}"
    if "EXTERNAL" not in parameters:
        yield "parameter EXTERNAL is missing"


def _comparison_errors(node: Node, world: World) -> Errors:
    """A table says of its stream and its retention what their resources say: a later deployment believes it."""
    given = {
        key.removeprefix("datawarehouse."): value
        for key, value in (node.inputs.get("parameters") or {}).items()
        if key.startswith("datawarehouse.")
    }
    expected: dict[str, str] = {}
    for delivery in world.all("FirehoseDeliveryStream"):
        schema = "extendedS3Configuration.dataFormatConversionConfiguration.schemaConfiguration.tableName"
        name = get(delivery.inputs, schema)
        for target in get(delivery.inputs, "icebergConfiguration.destinationTableConfigurations") or []:
            name = f"{target.get('tableName')}_error_docs"  # the parameters of the table itself are Iceberg's
        stream = world.at(get(delivery.inputs, "kinesisSourceConfiguration.kinesisStreamArn"))
        if stream and name == node.physical_name:
            is_on_demand = get(stream.inputs, "streamModeDetails.streamMode") == "ON_DEMAND"
            expected["input_stream_shard_count"] = "on-demand" if is_on_demand else str(stream.inputs.get("shardCount"))
            expected["stream_retention_hours"] = str(stream.inputs.get("retentionPeriod"))
    if given:
        days = [
            str(get(rule, "expiration.days"))
            for part in world.all("BucketLifecycleConfiguration")
            for rule in part.inputs.get("rules") or []
            if isinstance(rule, dict) and get(rule, "filter.prefix") == f"{node.physical_name}/"
        ]
        expected["retention_days"] = days[0] if days else "none"
    # Streams that the program made by itself, and tables that are not of a declaration, say nothing.
    if given and given != expected:
        yield f"says {given} of itself, its stream and lifecycle say {expected}"


def _location_errors(node: Node, location: Any, world: World) -> Errors:
    if not isinstance(location, str) or not re.fullmatch(r"s3://[a-z0-9.-]+/([\w.-]+/)+", location):
        yield f"location is {location!r}, not s3://bucket/folder/"
        return
    for other, table in world.table_locations.items():
        if table is not node and (other.startswith(location) or location.startswith(other)):
            yield f"location {location} and that of {table.physical_name} lie in one another"


_NOW = r"\s*NOW\s*([+-]\s*\d+\s*(YEARS?|MONTHS?|WEEKS?|DAYS?|HOURS?|MINUTES?|SECONDS?))?\s*"
_PROJECTION = {
    "date": {"format", "range", "interval", "interval.unit"},
    "injected": set(),
}


def _projection_errors(inputs: dict[str, Any], keys: list[str]) -> Errors:
    """Athena user guide, "Set up partition projection" and "Supported types for partition projection"."""
    parameters = inputs.get("parameters") or {}
    projected = {key: value for key, value in parameters.items() if key.startswith(("projection.", "storage.location"))}
    if not projected:
        return
    known = {"projection.enabled", "storage.location.template"}
    if parameters.get("projection.enabled") != "true":
        yield f"projection.enabled is {parameters.get('projection.enabled')!r}, not 'true'"
    if not keys:
        yield "projection without a partition key"
    for key in keys:
        kind = parameters.get(f"projection.{key}.type")
        known.add(f"projection.{key}.type")
        if kind not in _PROJECTION:
            yield f"projection.{key}.type is {kind!r}"
            continue
        given = {part: parameters.get(f"projection.{key}.{part}") for part in _PROJECTION[kind]}
        known |= {f"projection.{key}.{part}" for part in given}
        if kind == "date":
            if given["format"] != "yyyy/MM/dd/HH":
                yield f"projection.{key}.format is {given['format']!r}"
            if not re.fullmatch(rf"(\d{{4}}/\d\d/\d\d/\d\d|{_NOW}),{_NOW}", str(given["range"])):
                yield f"projection.{key}.range is {given['range']!r}"
            if (given["interval"], given["interval.unit"]) != ("1", "HOURS"):
                yield f"projection.{key}.interval is {given['interval']!r} {given['interval.unit']!r}"
    if extra := projected.keys() - known:
        yield f"unknown projection parameters {sorted(extra)}"
    template, location = parameters.get("storage.location.template"), get(inputs, "storageDescriptor.location")
    if template != f"{location}{'/'.join(f'${{{key}}}' for key in keys)}/":
        yield f"storage.location.template is {template!r}, not the location with every partition key"


@about("CatalogDatabase")
def database_rule(node: Node) -> Errors:
    """Athena user guide, "Name databases, tables, and columns": taken unquoted, a name begins with a letter or _."""
    if not re.match(r"[a-z_]", str(node.physical_name)):
        yield f"name {node.physical_name!r} needs quotes in SQL"


# Athena.


@about("Workgroup")
def workgroup_rule(node: Node, world: World) -> Errors:
    """Athena API, WorkGroupConfiguration; `batch` is not enforced, since UNLOAD writes where it is told.

    Athena user guide, "Override client-side settings".
    """
    settings = node.inputs.get("configuration") or {}
    is_batch = "batch" in node.name
    if settings.get("enforceWorkgroupConfiguration") is not (not is_batch):
        yield f"enforceWorkgroupConfiguration is {settings.get('enforceWorkgroupConfiguration')!r}"
    cutoff = settings.get("bytesScannedCutoffPerQuery")
    if cutoff is not None and not number_in(cutoff, 10_485_760, 10**15):
        yield f"bytesScannedCutoffPerQuery is {cutoff!r}, not 10,485,760 or more"
    if cutoff is None:
        yield "queries have no limit"
    output = get(settings, "resultConfiguration.outputLocation")
    if not isinstance(output, str) or not re.fullmatch(r"s3://[a-z0-9.-]+/([\w.-]+/)+", output):
        yield f"outputLocation is {output!r}, not s3://bucket/folder/"
    shared = [
        one
        for one in world.all("Workgroup")
        if get(one.inputs, "configuration.resultConfiguration.outputLocation") == output
    ]
    if len(shared) > 1:
        yield "shares its results with another workgroup"
    if any(str(output).startswith(location) for location in world.table_locations):
        yield "results lie in a table"
    if get(settings, "resultConfiguration.encryptionConfiguration.encryptionOption") not in ("SSE_S3", "SSE_KMS"):
        yield "results are not encrypted"
    if settings.get("publishCloudwatchMetricsEnabled", True) is not True:
        yield "publishes no metrics"
    engine = get(settings, "engineVersion.selectedEngineVersion")
    if engine not in (None, "AUTO", "Athena engine version 3"):
        yield f"engine version is {engine!r}"
    if node.inputs.get("state", "ENABLED") != "ENABLED":
        yield f"state is {node.inputs['state']!r}"
