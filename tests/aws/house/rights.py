"""What the roles of functions, readers and Firehose must be allowed."""

from __future__ import annotations

import json
from typing import Any

from graph import ACCOUNT, PARTITION, REGION, Node
from policies import allowed, document_of

from house.iceberg import location_of
from house.identity import granted
from house.world import Errors, World, about, get

_EXPIRING = ("DeletePartition",)


@about("Function")
def function_rights_rule(node: Node, world: World) -> Errors:
    """What each of our functions needs at the least: it makes these calls, and Athena makes some with its rights.

    Athena user guide, "Configure access to databases and tables in the AWS Glue Data Catalog". That it has no
    more than it needs is for the audit against its calls to say.
    """
    role = world.at(node.inputs.get("role"))
    variables = get(node.inputs, "environment.variables")
    if role is None or role.kind != "Role" or not isinstance(variables, dict):
        return
    given = {key: str(value) for key, value in variables.items()}
    handler = str(node.inputs.get("handler")).removeprefix("datawarehouse.functions.")
    wanted: set[tuple[str, str]] = set()
    if handler == "register_partitions.handler":
        tables = given.get("DW_TABLES", "").split(",")
        calls = ("GetTable", "GetPartitions", "BatchGetPartition", "BatchCreatePartition", "BatchUpdatePartition")
        wanted |= _glue_pairs(given, tables, (*calls, *_EXPIRING) if "DW_RETENTION_DAYS" in given else calls)
        if table := world.named("CatalogTable", given.get("DW_COMPACTED")):
            wanted.add(("s3:ListBucket", _files_of(table).partition("/")[0]))
    elif handler == "generate_events.handler":
        stream = world.named("Stream", given.get("DW_STREAM"))
        wanted.add(("kinesis:PutRecords", str(stream.outputs.get("arn")) if stream else "no stream"))
    elif handler == "convert_events.handler":
        documents = f"errors/{given.get('DW_TABLE')}/format-conversion-failed/x"
        wanted.add(("s3:PutObject", f"arn:{PARTITION}:s3:::{given.get('DW_BUCKET')}/{documents}"))
    elif handler == "gateway.handler":
        wanted |= _gateway_pairs(given, node)
    elif handler == "run_job.handler":
        wanted |= _job_pairs(given, world)
    elif handler in ("compact.handler", "run_sql.handler"):
        wanted |= _statement_pairs(given, world)
    if handler == "compact.handler" or "DW_WATCHED" in given:
        wanted.add(("cloudwatch:PutMetricData", "*"))
    for name in filter(None, given.get("DW_WATCHED", "").split(",")):
        wanted |= _glue_pairs(given, [name], ("GetTable", "GetPartition", "GetPartitions"))
        if table := world.named("CatalogTable", name):
            wanted.add(("s3:GetObject", _files_of(table)))
    documents = [text for one in world.pointing("RolePolicy", "role", role) if (text := document_of(one))]
    for action, arn in sorted(wanted):
        if not allowed(documents, action, arn):
            yield f"its role may not {action} on {arn}"


def _gateway_pairs(given: dict[str, str], node: Node) -> set[tuple[str, str]]:
    """What the gateway needs to count what statements would read and to start them, and Athena to answer them."""
    groups = json.loads(get(node.inputs, "code.assets")["workgroups.json"]["text"])
    arn = f"arn:{PARTITION}:athena:{REGION}:{ACCOUNT}:workgroup/"
    wanted = {("athena:StartQueryExecution", f"{arn}{one['athena']}") for one in groups.values()}
    of_tables = ("GetTable", "GetTables", "GetPartition", "GetPartitions", "BatchGetPartition")
    wanted |= _glue_pairs(given, ["any"], of_tables)
    wanted |= _glue_pairs(given, [], ("GetDatabase", "GetDatabases"))
    wanted.add(("glue:GetDatabase", f"arn:{PARTITION}:glue:{REGION}:{ACCOUNT}:database/default"))
    data = f"arn:{PARTITION}:s3:::{given.get('DW_BUCKET')}"
    results = f"arn:{PARTITION}:s3:::{given.get('DW_RESULTS', '').removeprefix('s3://')}"
    wanted |= {(f"s3:{action}", bucket) for action in ("GetBucketLocation", "ListBucket") for bucket in (data, results)}
    upload = ("GetObject", "PutObject", "AbortMultipartUpload", "ListMultipartUploadParts")
    wanted |= {(f"s3:{action}", f"{results}/{name}/x") for action in upload for name in groups}
    return wanted | {("s3:GetObject", f"{data}/x"), ("s3:ListBucketMultipartUploads", results)}


def _glue_pairs(given: dict[str, str], tables: list[str], actions: tuple[str, ...]) -> set[tuple[str, str]]:
    """Every Glue call needs the tables and what they are in."""
    glue, database = f"arn:{PARTITION}:glue:{REGION}:{ACCOUNT}", given.get("DW_DATABASE")
    resources = [f"{glue}:catalog", f"{glue}:database/{database}"]
    resources += [f"{glue}:table/{database}/{table}" for table in tables]
    return {(f"glue:{action}", resource) for action in actions for resource in resources}


def _files_of(table: Node) -> str:
    """The ARN of any file of a table."""
    return f"arn:{PARTITION}:s3:::{str(get(table.inputs, 'storageDescriptor.location')).removeprefix('s3://')}x"


def _statement_pairs(given: dict[str, str], world: World) -> set[tuple[str, str]]:
    """What a statement needs whose result becomes a partition: it, and the files and partitions of its table."""
    workgroup = f"arn:{PARTITION}:athena:{REGION}:{ACCOUNT}:workgroup/{given.get('DW_WORKGROUP')}"
    wanted = {
        *((f"athena:{action}", workgroup) for action in ("StartQueryExecution", "GetQueryExecution")),
        ("athena:StopQueryExecution", workgroup),
        ("glue:GetDatabase", f"arn:{PARTITION}:glue:{REGION}:{ACCOUNT}:database/default"),
    }
    name = given.get("DW_TABLE", "")
    calls = ("GetTable", "GetPartition", "GetPartitions", "CreatePartition", "BatchUpdatePartition")
    wanted |= _glue_pairs(given, [], ("GetDatabase",)) | _glue_pairs(given, [name], calls)
    results = f"arn:{PARTITION}:s3:::{given.get('DW_RESULTS', '').removeprefix('s3://')}"
    upload = ("GetObject", "PutObject", "AbortMultipartUpload", "ListMultipartUploadParts")
    wanted |= {(f"s3:{action}", f"{results}/batch/{name}/x") for action in upload}
    lists = ("GetBucketLocation", "ListBucket", "ListBucketMultipartUploads")
    wanted |= {(f"s3:{action}", results) for action in lists}
    if table := world.named("CatalogTable", name):
        files = _files_of(table)
        wanted |= {(f"s3:{action}", files) for action in (*upload, "DeleteObject")}
        wanted |= {(f"s3:{action}", files.partition("/")[0]) for action in lists}
    return wanted


def _job_pairs(given: dict[str, str], world: World) -> set[tuple[str, str]]:
    """What any job needs: its queries, their results, and the files and partitions of its table."""
    workgroup = f"arn:{PARTITION}:athena:{REGION}:{ACCOUNT}:workgroup/{given.get('DW_WORKGROUP')}"
    wanted = {
        (f"athena:{action}", workgroup)
        for action in ("StartQueryExecution", "GetQueryExecution", "GetQueryResults", "StopQueryExecution")
    }
    name = given.get("DW_TABLE", "")
    wanted |= _glue_pairs(given, [], ("GetDatabase",)) | _glue_pairs(given, [name], ("GetTable", "GetPartitions"))
    wanted.add(("glue:GetDatabase", f"arn:{PARTITION}:glue:{REGION}:{ACCOUNT}:database/default"))
    results = f"arn:{PARTITION}:s3:::{given.get('DW_RESULTS', '').removeprefix('s3://')}"
    upload = ("GetObject", "PutObject", "AbortMultipartUpload", "ListMultipartUploadParts")
    wanted |= {(f"s3:{action}", f"{results}/batch/{name}/x") for action in upload}
    wanted |= {(f"s3:{action}", results) for action in ("GetBucketLocation", "ListBucket")}
    table = world.named("CatalogTable", name)
    location = get(table.inputs, "storageDescriptor.location") if table else None
    if table is None or not isinstance(location, str):
        return wanted
    files = _files_of(table)
    data = files.partition("/")[0]
    wanted |= {(f"s3:{action}", data) for action in ("GetBucketLocation", "ListBucket")}
    wanted |= {("s3:PutObject", files), ("s3:GetObject", files)}
    actions = ("CreatePartition", "BatchUpdatePartition") if table.inputs.get("partitionKeys") else ()
    if actions:
        wanted.add(("s3:DeleteObject", files))
    if get(table.inputs, "parameters.classification") == "parquet":
        wanted |= _glue_pairs(given, [f"{name}_staging"], ("GetTable",))
        wanted |= {(f"s3:{action}", f"{results}/staging/{name}/x") for action in ("PutObject", "GetObject")}
        # UNLOAD writes to the table's own folder if a partition can be pointed there, else the files are copied.
        wanted.add(("s3:DeleteObject", files))
        target = files if actions else f"{results}/unload/{name}/x"
        wanted |= {(f"s3:{action}", target) for action in ("PutObject", "AbortMultipartUpload")}
    return wanted | _glue_pairs(given, [name], (*actions, *_EXPIRING) if "DW_RETENTION_DAYS" in given else actions)


@about("Role")
def reader_rule(node: Node, world: World) -> Errors:
    """What a role that other accounts assume needs at the least, to query one workgroup.

    Athena user guide, "Example workgroup policies" and "Configure access to databases and tables in the AWS Glue Data
    Catalog".
    """
    if '"AWS"' not in (document_of(node) or ""):
        return
    pairs = granted(world, node)
    groups = {one.outputs.get("arn") for one in world.all("Workgroup")} & {resource for _, resource in pairs}
    if len(groups) != 1:
        yield f"may use {len(groups)} workgroups, not one"
        return
    [group] = groups
    workgroup = world.by_arn[str(group)]
    output = str(get(workgroup.inputs, "configuration.resultConfiguration.outputLocation")).removeprefix("s3://")
    glue = f"arn:{PARTITION}:glue:{REGION}:{ACCOUNT}"
    wanted = {
        (f"athena:{action}", str(group))
        for action in (
            *("GetWorkGroup", "StartQueryExecution", "StopQueryExecution", "GetQueryExecution", "GetQueryResults"),
            *("GetQueryResultsStream", "ListQueryExecutions", "BatchGetQueryExecution"),
        )
    }
    catalog = f"arn:{PARTITION}:athena:{REGION}:{ACCOUNT}:datacatalog/AwsDataCatalog"
    wanted |= {
        (f"athena:{action}", catalog)
        for action in ("GetDataCatalog", "ListDatabases", "GetDatabase", "ListTableMetadata", "GetTableMetadata")
    } | {("athena:ListDataCatalogs", "*"), ("athena:ListWorkGroups", "*")}  # which drivers ask
    tables = [one for one in world.all("CatalogTable") if not str(one.physical_name).endswith("_staging")]
    databases = {f"{glue}:catalog"} | {f"{glue}:database/{one.inputs.get('databaseName')}" for one in tables}
    inside = databases | {str(one.outputs.get("arn")) for one in tables}
    for action in ("GetDatabase", "GetDatabases"):
        wanted |= {(f"glue:{action}", resource) for resource in databases | {f"{glue}:database/default"}}
    for action in ("GetTable", "GetTables", "GetPartition", "GetPartitions", "BatchGetPartition"):
        wanted |= {(f"glue:{action}", resource) for resource in inside}
    files = [one for one in tables if one.inputs.get("tableType") != "VIRTUAL_VIEW"]
    locations = [str(location_of(one)).removeprefix("s3://") for one in files]
    buckets = {location.partition("/")[0] for location in locations}
    buckets.add(output.partition("/")[0])
    wanted |= {
        (f"s3:{action}", f"arn:{PARTITION}:s3:::{bucket}")
        for action in ("GetBucketLocation", "ListBucket")
        for bucket in buckets
    }
    wanted |= {("s3:GetObject", f"arn:{PARTITION}:s3:::{location}x") for location in locations}
    wanted |= {
        (f"s3:{action}", f"arn:{PARTITION}:s3:::{output}x")
        for action in ("GetObject", "PutObject", "AbortMultipartUpload", "ListMultipartUploadParts")
    }
    documents = [text for one in world.pointing("RolePolicy", "role", node) if (text := document_of(one))]
    for action, arn in sorted(wanted):
        if not allowed(documents, action, arn):
            yield f"readers may not {action} on {arn}"


def firehose_rights(
    stream: str, database: str, table: str, bucket: str, prefix: str, errors: str, logs: str
) -> set[tuple[str, str]]:
    """The (action, resource) pairs that delivery with conversion needs; stream, bucket and logs are ARNs.

    Firehose developer guide, "Controlling access with Amazon Data Firehose"; DescribeStream: aws-cdk issue 10783.
    """
    glue = f"arn:{PARTITION}:glue:{REGION}:{ACCOUNT}"
    rights = {
        (f"kinesis:{action}", stream)
        for action in ("DescribeStream", "DescribeStreamSummary", "GetShardIterator", "GetRecords", "ListShards")
    }
    for resource in (f"{glue}:catalog", f"{glue}:database/{database}", f"{glue}:table/{database}/{table}"):
        rights |= {(f"glue:{action}", resource) for action in ("GetTable", "GetTableVersion", "GetTableVersions")}
    rights |= {(f"s3:{action}", bucket) for action in ("GetBucketLocation", "ListBucket", "ListBucketMultipartUploads")}
    for folder in (prefix, errors):
        rights |= {
            (f"s3:{action}", f"{bucket}/{folder}*") for action in ("PutObject", "GetObject", "AbortMultipartUpload")
        }
    rights.add(("logs:PutLogEvents", f"{logs}:log-stream:*"))
    return rights


def delivery_errors(node: Node, settings: dict[str, Any], role: Node, world: World) -> Errors:
    schema = get(settings, "dataFormatConversionConfiguration.schemaConfiguration") or {}
    group = world.named("LogGroup", get(settings, "cloudwatchLoggingOptions.logGroupName"))
    wanted = firehose_rights(
        str(get(node.inputs, "kinesisSourceConfiguration.kinesisStreamArn")),
        str(schema.get("databaseName")),
        str(schema.get("tableName")),
        str(settings.get("bucketArn")),
        str(settings.get("prefix")).partition("!")[0],
        str(settings.get("errorOutputPrefix")).partition("!")[0],
        str(group.outputs.get("arn")) if group else "no log group",
    )
    given = {pair for pair in granted(world, role) if not pair[0].startswith("kms:")}
    for action, resource in sorted(wanted - given):
        yield f"its role may not {action} on {resource}"
    for action, resource in sorted(given - wanted):
        yield f"its role may {action} on {resource}, which Firehose does not need"
