"""IAM and resource policies: pure functions of ARNs. Each grants what one component needs, and no more.

Sources: Firehose developer guide, "Controlling access"; Athena user guide, "Fine-grained access to databases and
tables" (a call to Glue needs permission for the object and for everything that contains it); Kinesis developer guide,
"Permissions to use user-generated KMS keys"; CloudWatch Logs, SQS and EventBridge user guides.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from datawarehouse.errors import DeclarationError
from datawarehouse.functions.metric_names import NAMESPACE

Statement = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Where resources are: the beginning of their ARNs."""

    partition: str
    region: str
    account: str

    @classmethod
    def of(cls, arn: str) -> Place:
        """The place of the resource of an ARN with a Region and an account. Raises DeclarationError if the text is not
        such an ARN."""
        parts = arn.split(":", 5)
        if len(parts) < 6 or parts[0] != "arn" or not parts[3] or not parts[4]:
            raise DeclarationError(
                f"{arn!r} is not an ARN with a Region and an account; valid is e.g. "
                "'arn:aws:glue:eu-west-1:123456789012:database/lake'."
            )
        return cls(parts[1], parts[3], parts[4])

    def bucket(self, name: str) -> str:
        return f"arn:{self.partition}:s3:::{name}"

    def objects(self, bucket: str, prefix: str) -> str:
        return f"{self.bucket(bucket)}/{prefix}*"

    def glue(self, database: str, tables: Iterable[str]) -> list[str]:
        """The ARNs of the tables (`*`: all of them), and of their database and catalog."""
        start = f"arn:{self.partition}:glue:{self.region}:{self.account}"
        return [
            f"{start}:catalog",
            f"{start}:database/{database}",
            *(f"{start}:table/{database}/{table}" for table in tables),
        ]

    def default_database(self) -> str:
        """The ARN of the database `default`; Athena needs it even when a query does not use it."""
        return f"arn:{self.partition}:glue:{self.region}:{self.account}:database/default"

    def workgroup(self, name: str) -> str:
        return f"arn:{self.partition}:athena:{self.region}:{self.account}:workgroup/{name}"

    def data_catalog(self) -> str:
        """The ARN of Glue's catalog, under its name in Athena."""
        return f"arn:{self.partition}:athena:{self.region}:{self.account}:datacatalog/AwsDataCatalog"

    def key_service(self, service: str) -> str:
        return f"{service}.{self.region}.amazonaws.com"


def document(statements: Iterable[Statement]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(sid: str, actions: Sequence[str], resources: str | Sequence[str], condition: Any = None) -> Statement:
    found: Statement = {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": resources}
    return found | {"Condition": condition} if condition else found


def trust(service: str, condition: Any = None) -> str:
    """Lets a service assume a role."""
    statement: Statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return document([statement | {"Condition": condition} if condition else statement])


def firehose_trust(account: str) -> str:
    """Lets Firehose assume a role on behalf of this account alone."""
    return trust("firehose.amazonaws.com", {"StringEquals": {"sts:ExternalId": account}})


def reader_trust(partition: str, accounts: Iterable[str], external_id: str) -> str:
    """Lets these accounts assume a role, and whoever they allow to do so, with the external id."""
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": [f"arn:{partition}:iam::{account}:root" for account in accounts]},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": external_id}},
    }
    return document([statement])


def delivery(
    stream_arn: str,
    database: str,
    table: str,
    bucket: str,
    log_group_arn: str,
    key_arn: str | None = None,
    bucket_key_arn: str | None = None,
) -> list[Statement]:
    """What Firehose needs to read a stream, look up a table's schema and write its files and its error documents.

    It must be able to write error documents, because otherwise delivery stops: "Error handling for data format
    conversion".
    """
    place = Place.of(stream_arn)
    statements = [
        _source(stream_arn),
        allow(
            "Schema",
            ["glue:GetTable", "glue:GetTableVersion", "glue:GetTableVersions"],
            place.glue(database, [table]),
        ),
        _delivered_to(place, bucket),
        allow(
            "Objects",
            ["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"],
            [place.objects(bucket, f"{table}/"), place.objects(bucket, f"errors/{table}/")],
        ),
        allow("Logs", ["logs:PutLogEvents"], f"{log_group_arn}:log-stream:*"),
    ]
    return statements + _delivery_keys(place, stream_arn, key_arn, bucket_key_arn)


def iceberg_delivery(
    stream_arn: str,
    database: str,
    table: str,
    bucket: str,
    log_group_arn: str,
    key_arn: str | None,
    bucket_key_arn: str | None,
    function_arn: str,
) -> list[Statement]:
    """What Firehose needs to read a stream, have its records converted and commit them to an Iceberg table: "Grant
    Firehose access to an Apache Iceberg Tables destination". function_arn: with its version."""
    place = Place.of(stream_arn)
    statements = [
        _source(stream_arn),
        allow("Catalog", ["glue:GetTable", "glue:GetDatabase", "glue:UpdateTable"], place.glue(database, [table])),
        _delivered_to(place, bucket),
        allow(
            "Objects",
            ["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload", "s3:DeleteObject"],
            place.objects(bucket, f"{table}/"),
        ),
        allow(
            "Errors",
            ["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"],
            place.objects(bucket, f"errors/{table}/"),
        ),
        allow("Convert", ["lambda:InvokeFunction", "lambda:GetFunctionConfiguration"], function_arn),
        allow("Logs", ["logs:PutLogEvents"], f"{log_group_arn}:log-stream:*"),
    ]
    return statements + _delivery_keys(place, stream_arn, key_arn, bucket_key_arn)


def _source(stream_arn: str) -> Statement:
    actions = ("DescribeStream", "DescribeStreamSummary", "GetShardIterator", "GetRecords", "ListShards")
    return allow("Source", [f"kinesis:{action}" for action in actions], stream_arn)


def _delivered_to(place: Place, bucket: str) -> Statement:
    return allow(
        "Bucket", ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"], place.bucket(bucket)
    )


def _delivery_keys(place: Place, stream_arn: str, key_arn: str | None, bucket_key_arn: str | None) -> list[Statement]:
    statements = []
    if key_arn:
        condition = {
            "StringEquals": {
                "kms:ViaService": place.key_service("kinesis"),
                "kms:EncryptionContext:aws:kinesis:arn": stream_arn,
            }
        }
        statements.append(allow("Key", ["kms:Decrypt"], key_arn, condition))
    if bucket_key_arn:
        statements.append(bucket_key(place, bucket_key_arn))
    return statements


def conversion(place: Place, table: str, bucket: str, bucket_key_arn: str | None = None) -> list[Statement]:
    """What converting the records of a table needs: to put the error documents of those that it rejects."""
    documents = place.objects(bucket, f"errors/{table}/format-conversion-failed/")
    statements = [allow("ErrorDocuments", ["s3:PutObject"], documents)]
    if bucket_key_arn:
        condition = {"StringEquals": {"kms:ViaService": place.key_service("s3")}}
        statements.append(allow("BucketKey", ["kms:GenerateDataKey"], bucket_key_arn, condition))
    return statements


def optimizer(
    place: Place, database: str, table: str, bucket: str, bucket_key_arn: str | None = None
) -> list[Statement]:
    """What Glue's optimizers of an Iceberg table need: AWS Glue user guide, "Table optimization prerequisites"."""
    groups = [
        f"arn:{place.partition}:logs:{place.region}:{place.account}:log-group:/aws-glue/iceberg-{kind}/logs:*"
        for kind in ("compaction", "retention", "orphan-file-deletion")
    ]
    return [
        allow("Files", ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], place.objects(bucket, f"{table}/")),
        allow("Bucket", ["s3:ListBucket"], place.bucket(bucket)),
        allow("Catalog", ["glue:GetTable", "glue:UpdateTable"], place.glue(database, [table])),
        allow("Logs", ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], groups),
        *([bucket_key(place, bucket_key_arn)] if bucket_key_arn else []),
    ]


def bucket_key(place: Place, key_arn: str) -> Statement:
    """What reading and writing objects needs that are encrypted with a key of one's own ("Required permissions", Amazon
    S3 user guide, "Using server-side encryption with AWS KMS keys")."""
    condition = {"StringEquals": {"kms:ViaService": place.key_service("s3")}}
    return allow("BucketKey", ["kms:Decrypt", "kms:GenerateDataKey"], key_arn, condition)


def function_logs(log_group_arn: str) -> list[Statement]:
    """What every function needs to write its log; the log group is created before the function."""
    return [allow("Logs", ["logs:CreateLogStream", "logs:PutLogEvents"], f"{log_group_arn}:log-stream:*")]


def dead_letters(queue_arn: str) -> list[Statement]:
    """Lambda delivers events of failed calls with the permissions of the function."""
    return [allow("DeadLetters", ["sqs:SendMessage"], queue_arn)]


def registrar(
    place: Place, database: str, tables: Sequence[str], *, expires: bool = False, lists: str | None = None
) -> list[Statement]:
    """What registering partitions needs, and taking out those that have expired. lists: the bucket in which it looks
    for compacted hours."""
    actions = [
        "glue:GetTable",
        "glue:GetPartitions",
        "glue:BatchGetPartition",
        "glue:BatchCreatePartition",
        "glue:BatchUpdatePartition",
        *(["glue:DeletePartition"] if expires else []),
    ]
    statements = [allow("Partitions", actions, place.glue(database, tables))]
    return statements + ([allow("Compacted", ["s3:ListBucket"], place.bucket(lists))] if lists else [])


def producer(stream_arn: str, key_arn: str | None = None) -> list[Statement]:
    """What putting records needs. key_arn: the key of the stream, if it is not the one that Kinesis manages."""
    statements = [allow("Put", ["kinesis:PutRecords"], stream_arn)]
    if key_arn:
        condition = {"StringEquals": {"kms:ViaService": Place.of(stream_arn).key_service("kinesis")}}
        statements.append(allow("StreamKey", ["kms:GenerateDataKey"], key_arn, condition))
    return statements


READ_TABLE = ["glue:GetTable", "glue:GetPartition", "glue:GetPartitions", "glue:BatchGetPartition"]
"""What Athena asks Glue about the tables of a query, with the permissions of its sender."""
READ_BUCKET = ["s3:GetBucketLocation", "s3:ListBucket"]
WRITE_OBJECTS = ["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
"""What Athena does to write results, in addition to s3:ListBucketMultipartUploads on the bucket."""


@dataclass(frozen=True, slots=True)
class JobRights:
    """What a job may use. reads: the Glue tables that it may query, or None for all tables of the database; folders:
    their folders. publishes: whether it publishes metrics."""

    place: Place
    database: str
    table: str
    reads: tuple[str, ...] | None
    folders: tuple[str, ...]
    data_bucket: str
    results_bucket: str
    workgroup: str
    is_partitioned: bool
    is_parquet: bool
    is_sql: bool = False
    expires: bool = False
    publishes: bool = False
    key_arn: str | None = None

    @property
    def unloads_aside(self) -> bool:
        """Whether Athena writes a run's files into the bucket of results, from which they are copied."""
        return self.is_parquet and not self.is_partitioned

    @property
    def stages(self) -> bool:
        """Whether the function writes rows as JSON, which Athena turns into Parquet."""
        return self.is_parquet and not self.is_sql


def batch_job(rights: JobRights) -> list[Statement]:
    """What a run of a job needs: queries, and the files and partitions of its own table."""
    place, table = rights.place, rights.table
    read = ["*"]
    folders = [""]
    if rights.reads is not None:
        read = [*rights.reads, table, *([f"{table}_staging"] if rights.stages else [])]
        folders = [*rights.folders, f"{table}/"]
    results = ["batch", *(["unload"] if rights.unloads_aside else [])]
    # Athena writes a partition of Parquet into the table's own folder; the function itself writes everything else.
    unloads_here = rights.is_parquet and rights.is_partitioned
    writes = WRITE_OBJECTS if unloads_here else ["s3:PutObject"]
    data, aside = place.bucket(rights.data_bucket), place.bucket(rights.results_bucket)
    statements = [
        allow(
            "Query",
            [
                "athena:StartQueryExecution",
                "athena:GetQueryExecution",
                *([] if rights.is_sql else ["athena:GetQueryResults"]),
                "athena:StopQueryExecution",
            ],
            place.workgroup(rights.workgroup),
        ),
        allow(
            "ReadDatabases",
            ["glue:GetDatabase", "glue:GetDatabases"],
            [*place.glue(rights.database, []), place.default_database()],
        ),
        allow("ReadTables", READ_TABLE, place.glue(rights.database, read)),
        allow("Buckets", READ_BUCKET, [data, aside]),
        allow("Uploads", ["s3:ListBucketMultipartUploads"], [data, aside] if unloads_here else aside),
        allow("ReadData", ["s3:GetObject"], [place.objects(rights.data_bucket, folder) for folder in folders]),
        allow(
            "Results",
            ["s3:GetObject", *WRITE_OBJECTS],
            [place.objects(rights.results_bucket, f"{folder}/{table}/") for folder in results],
        ),
        allow(
            "WriteData",
            [*writes, *(["s3:DeleteObject"] if rights.is_parquet or rights.is_partitioned else [])],
            place.objects(rights.data_bucket, f"{table}/"),
        ),
    ]
    if rights.key_arn:
        statements.append(bucket_key(place, rights.key_arn))
    if rights.stages:
        staging = place.objects(rights.results_bucket, f"staging/{table}/")
        statements.append(allow("Staging", ["s3:GetObject", "s3:PutObject"], staging))
    if rights.is_partitioned:
        actions = ["glue:CreatePartition", "glue:BatchUpdatePartition"]
        actions += ["glue:DeletePartition"] if rights.expires else []
        statements.append(allow("WritePartitions", actions, place.glue(rights.database, [table])))
    return [*statements, _metrics()] if rights.publishes else statements


def _metrics() -> Statement:
    """What publishing metrics needs; they have no ARN (Service Authorization Reference, "Actions for Amazon
    CloudWatch")."""
    condition = {"StringEquals": {"cloudwatch:namespace": NAMESPACE}}
    return allow("Metrics", ["cloudwatch:PutMetricData"], "*", condition)


def reader(
    place: Place,
    database: str,
    data_bucket: str,
    results_bucket: str,
    workgroup: str,
    audience: str,
    key_arn: str | None = None,
) -> list[Statement]:
    """What queries of the tables of one database in one workgroup need, with a driver that lists databases and
    tables."""
    return [
        allow(
            "Browse",
            [
                "athena:GetDataCatalog",
                "athena:ListDatabases",
                "athena:GetDatabase",
                "athena:ListTableMetadata",
                "athena:GetTableMetadata",
            ],
            place.data_catalog(),
        ),
        # These two take no ARN (Service Authorization Reference, "Actions for Amazon Athena"); they return only names.
        allow("List", ["athena:ListDataCatalogs", "athena:ListWorkGroups"], "*"),
        allow(
            "Query",
            [
                "athena:GetWorkGroup",
                "athena:StartQueryExecution",
                "athena:StopQueryExecution",
                "athena:GetQueryExecution",
                "athena:GetQueryResults",
                "athena:GetQueryResultsStream",
                "athena:ListQueryExecutions",
                "athena:BatchGetQueryExecution",
            ],
            place.workgroup(workgroup),
        ),
        allow(
            "ReadDatabases",
            ["glue:GetDatabase", "glue:GetDatabases"],
            [*place.glue(database, []), place.default_database()],
        ),
        allow("ReadTables", [*READ_TABLE, "glue:GetTables"], place.glue(database, ["*"])),
        allow("Buckets", READ_BUCKET, [place.bucket(data_bucket), place.bucket(results_bucket)]),
        allow("Uploads", ["s3:ListBucketMultipartUploads"], place.bucket(results_bucket)),
        allow("ReadData", ["s3:GetObject"], place.objects(data_bucket, "")),
        allow(
            "Results",
            ["s3:GetObject", *WRITE_OBJECTS],
            place.objects(results_bucket, f"{audience}/"),
        ),
        *([bucket_key(place, key_arn)] if key_arn else []),
    ]


def only_tls(bucket_arn: str) -> str:
    """Refuses every request to a bucket that does not use TLS."""
    return document([_without_tls("s3:*", [bucket_arn, f"{bucket_arn}/*"])])


def rule_dead_letters(queue_arn: str, rule_arn: str) -> str:
    """Lets a rule put the events that it could not deliver into a queue, which takes only TLS."""
    statement = {
        "Sid": "Rule",
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}},
    }
    return document([statement, _without_tls("sqs:*", queue_arn)])


def alarms_by_tls(topic_arn: str) -> str:
    """Lets the alarms of the topic's account publish to it, and nobody without TLS.

    It replaces the policy that SNS gives a topic, which lets CloudWatch publish as any service that acts for the
    account ("Amazon SNS and alarms", CloudWatch user guide; "Enforce encryption of data in transit", Amazon SNS
    developer guide).
    """
    statement = {
        "Sid": "Alarms",
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": topic_arn,
        "Condition": {"StringEquals": {"aws:SourceAccount": Place.of(topic_arn).account}},
    }
    # SNS refuses "sns:*" in the policy of a topic: not all of its actions are on topics.
    return document([statement, _without_tls("sns:Publish", topic_arn)])


def _without_tls(action: str, resources: str | list[str]) -> Statement:
    """Refuses requests that do not use TLS (IAM user guide, "AWS global condition context keys"). Bool does not match
    where the key is missing: then nothing is refused."""
    return {
        "Sid": "OnlyTls",
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": resources,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
