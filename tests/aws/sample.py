"""A warehouse written with raw pulumi_aws resources: one of every type the checkers know, nothing wrong with any.

The checkers are developed and tested against it, apart from the components of `datawarehouse.aws`.
"""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pulumi_aws as aws

ACCOUNT = "123456789012"
REGION = "eu-west-1"

HANDLER = '''
import json
import os

import boto3


def handler(event, context):
    """Put one object for the hour of the event."""
    print(json.dumps({"message": "started", "left_ms": context.get_remaining_time_in_millis()}))
    boto3.client("s3").put_object(Bucket=os.environ["DW_BUCKET"], Key=event["key"], Body=b"{}")
    return {"key": event["key"]}
'''

PARQUET = {
    "inputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    "outputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    "serDeInfo": {
        "serializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
        "parameters": {"serialization.format": "1"},
    },
}
ERROR_DOCUMENTS = {
    "inputFormat": "org.apache.hadoop.mapred.TextInputFormat",
    "outputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
    "serDeInfo": {"serializationLibrary": "org.openx.data.jsonserde.JsonSerDe"},
}
JSON = {**ERROR_DOCUMENTS, "serDeInfo": {"serializationLibrary": "org.apache.hive.hcatalog.data.JsonSerDe"}}


def document(*statements: dict[str, Any]) -> str:
    """A policy document of these statements."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def only_tls(action: str, *resources: str) -> dict[str, Any]:
    """The statement that refuses requests without TLS."""
    return {
        "Sid": "OnlyTls",
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": list(resources),
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def trust(service: str, **condition: Any) -> str:
    """The trust policy for one service."""
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole", **condition}
    return document(statement)


class Component(pulumi.ComponentResource):
    """A component of the type `sample:index:<kind>` without behaviour."""

    def __init__(self, kind: str, name: str, parent: pulumi.Resource | None = None) -> None:
        super().__init__(f"sample:index:{kind}", name, None, pulumi.ResourceOptions(parent=parent))
        self.options = pulumi.ResourceOptions(parent=self)


def bucket(owner: Component, name: str, prefix: str) -> aws.s3.Bucket:
    """A bucket as every bucket here must be: closed, encrypted, over TLS only, with a lifecycle."""
    made = aws.s3.Bucket(name, force_destroy=True, opts=owner.options)
    aws.s3.BucketPublicAccessBlock(
        f"{name}-access",
        bucket=made.bucket,
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
        opts=owner.options,
    )
    aws.s3.BucketServerSideEncryptionConfiguration(
        f"{name}-encryption",
        bucket=made.bucket,
        rules=[{"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}, "bucket_key_enabled": True}],
        opts=owner.options,
    )
    aws.s3.BucketLifecycleConfiguration(
        f"{name}-lifecycle",
        bucket=made.bucket,
        rules=[
            {
                "id": "expire",
                "status": "Enabled",
                "filter": {"prefix": prefix},
                "expiration": {"days": 30},
                "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
            }
        ],
        opts=owner.options,
    )
    aws.s3.BucketPolicy(
        f"{name}-policy",
        bucket=made.bucket,
        policy=made.arn.apply(lambda arn: document(only_tls("s3:*", arn, f"{arn}/*"))),
        opts=owner.options,
    )
    aws.s3.BucketVersioning(
        f"{name}-versioning",
        bucket=made.bucket,
        versioning_configuration={"status": "Enabled"},
        opts=owner.options,
    )
    aws.s3.BucketOwnershipControls(
        f"{name}-ownership",
        bucket=made.bucket,
        rule={"object_ownership": "BucketOwnerEnforced"},
        opts=owner.options,
    )
    return made


def table(
    owner: Component,
    name: str,
    database: aws.glue.CatalogDatabase,
    location: pulumi.Input[str],
    storage: dict[str, Any],
    columns: dict[str, str],
    parameters: dict[str, Any],
    keys: tuple[str, ...] = ("inserted_at",),
) -> aws.glue.CatalogTable:
    """One Glue table; the partition keys are strings."""
    physical = name.partition("-")[2].replace("-", "_")
    return aws.glue.CatalogTable(
        name,
        name=physical,
        database_name=database.name,
        table_type="EXTERNAL_TABLE",
        parameters={"EXTERNAL": "TRUE", **parameters},
        partition_keys=[{"name": key, "type": "string"} for key in keys],
        storage_descriptor={
            **storage,
            "location": location,
            "columns": [{"name": column, "type": kind} for column, kind in columns.items()],
        },
        opts=owner.options,
    )


def input_stream(
    owner: Component, data: aws.s3.Bucket, database: aws.glue.CatalogDatabase, clicks: aws.glue.CatalogTable
) -> tuple[aws.kinesis.Stream, aws.kinesis.FirehoseDeliveryStream]:
    """Kinesis, and Firehose with conversion to Parquet."""
    name = "dw-clicks"
    part = Component("InputStream", name, owner)
    stream = aws.kinesis.Stream(
        f"{name}-stream",
        shard_count=1,
        retention_period=24,
        encryption_type="KMS",
        kms_key_id="alias/aws/kinesis",
        stream_mode_details={"stream_mode": "PROVISIONED"},
        opts=part.options,
    )
    group = aws.cloudwatch.LogGroup(
        f"{name}-logs", name="/aws/kinesisfirehose/dw-clicks-dev", retention_in_days=30, opts=part.options
    )
    log_stream = aws.cloudwatch.LogStream(
        f"{name}-log-stream", name="delivery-1f2e3d", log_group_name=group.name, opts=part.options
    )
    role = aws.iam.Role(
        f"{name}-role",
        assume_role_policy=trust("firehose.amazonaws.com", Condition={"StringEquals": {"aws:SourceAccount": ACCOUNT}}),
        opts=part.options,
    )
    catalog = f"arn:aws:glue:{REGION}:{ACCOUNT}:catalog"
    policy = aws.iam.RolePolicy(
        f"{name}-policy",
        role=role.name,
        policy=pulumi.Output.all(stream.arn, database.arn, clicks.arn, data.arn, group.arn).apply(
            lambda arns: document(
                {
                    "Effect": "Allow",
                    "Action": [
                        "kinesis:DescribeStream",
                        "kinesis:DescribeStreamSummary",
                        "kinesis:GetShardIterator",
                        "kinesis:GetRecords",
                        "kinesis:ListShards",
                    ],
                    "Resource": arns[0],
                },
                {
                    "Effect": "Allow",
                    "Action": ["glue:GetTable", "glue:GetTableVersion", "glue:GetTableVersions"],
                    "Resource": [catalog, arns[1], arns[2]],
                },
                {
                    "Effect": "Allow",
                    "Action": ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"],
                    "Resource": arns[3],
                },
                {
                    "Effect": "Allow",
                    "Action": ["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"],
                    "Resource": [f"{arns[3]}/clicks/*", f"{arns[3]}/errors/clicks/*"],
                },
                {
                    "Effect": "Allow",
                    "Action": ["logs:PutLogEvents"],
                    "Resource": f"{arns[4]}:log-stream:*",
                },
            )
        ),
        opts=part.options,
    )
    delivery = aws.kinesis.FirehoseDeliveryStream(
        f"{name}-delivery",
        destination="extended_s3",
        kinesis_source_configuration={"kinesis_stream_arn": stream.arn, "role_arn": role.arn},
        extended_s3_configuration={
            "bucket_arn": data.arn,
            "role_arn": role.arn,
            "prefix": "clicks/!{timestamp:yyyy/MM/dd/HH}/",
            "error_output_prefix": "errors/clicks/!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd/HH}/",
            "buffering_interval": 300,
            "buffering_size": 128,
            "compression_format": "UNCOMPRESSED",
            "cloudwatch_logging_options": {
                "enabled": True,
                "log_group_name": group.name,
                "log_stream_name": log_stream.name,
            },
            "data_format_conversion_configuration": {
                "enabled": True,
                "input_format_configuration": {"deserializer": {"open_x_json_ser_de": {"case_insensitive": True}}},
                "output_format_configuration": {"serializer": {"parquet_ser_de": {"compression": "SNAPPY"}}},
                "schema_configuration": {
                    "database_name": database.name,
                    "table_name": clicks.name,
                    "role_arn": role.arn,
                    "region": REGION,
                    "version_id": "LATEST",
                },
            },
        },
        opts=pulumi.ResourceOptions(parent=part, depends_on=[policy]),
    )
    part.register_outputs({"stream": stream.name, "delivery": delivery.name})
    return stream, delivery


def cron_job(owner: Component, data: aws.s3.Bucket) -> tuple[aws.lambda_.Function, aws.sqs.Queue]:
    """A Lambda function on a schedule, with everything around it."""
    name = "dw-registrar"
    part = Component("LambdaCronJob", name, owner)
    group = aws.cloudwatch.LogGroup(
        f"{name}-logs", name="/aws/lambda/dw-registrar-dev", retention_in_days=30, opts=part.options
    )
    queue = aws.sqs.Queue(
        f"{name}-dead-letters", message_retention_seconds=1_209_600, sqs_managed_sse_enabled=True, opts=part.options
    )
    role = aws.iam.Role(f"{name}-role", assume_role_policy=trust("lambda.amazonaws.com"), opts=part.options)
    policy = aws.iam.RolePolicy(
        f"{name}-policy",
        role=role.name,
        policy=pulumi.Output.all(group.arn, queue.arn, data.arn).apply(
            lambda arns: document(
                {
                    "Effect": "Allow",
                    "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                    "Resource": f"{arns[0]}:log-stream:*",
                },
                {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": arns[1]},
                {"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"{arns[2]}/clicks/*"},
            )
        ),
        opts=part.options,
    )
    aws.iam.RolePolicyAttachment(
        f"{name}-tracing",
        role=role.name,
        policy_arn="arn:aws:iam::aws:policy/AWSXRayDaemonWriteAccess",
        opts=part.options,
    )
    function = aws.lambda_.Function(
        f"{name}-function",
        role=role.arn,
        runtime="python3.13",
        architectures=["arm64"],
        handler="jobs.register.handler",
        timeout=60,
        memory_size=256,
        code=pulumi.AssetArchive(
            {"jobs/__init__.py": pulumi.StringAsset(""), "jobs/register.py": pulumi.StringAsset(HANDLER)}
        ),
        environment={"variables": {"DW_BUCKET": data.bucket}},
        logging_config={"log_format": "Text", "log_group": group.name},
        tracing_config={"mode": "Active"},
        opts=pulumi.ResourceOptions(parent=part, depends_on=[policy]),
    )
    aws.lambda_.FunctionEventInvokeConfig(
        f"{name}-retries",
        function_name=function.name,
        maximum_retry_attempts=2,
        maximum_event_age_in_seconds=3600,
        destination_config={"on_failure": {"destination": queue.arn}},
        opts=part.options,
    )
    rule = aws.cloudwatch.EventRule(
        f"{name}-schedule", schedule_expression="cron(55 * * * ? *)", state="ENABLED", opts=part.options
    )
    aws.cloudwatch.EventTarget(
        f"{name}-target",
        rule=rule.name,
        target_id="function",
        arn=function.arn,
        dead_letter_config={"arn": queue.arn},
        retry_policy={"maximum_event_age_in_seconds": 3600, "maximum_retry_attempts": 10},
        opts=part.options,
    )
    permission = aws.lambda_.Permission(
        f"{name}-permission",
        action="lambda:InvokeFunction",
        function=function.name,
        principal="events.amazonaws.com",
        source_arn=rule.arn,
        opts=part.options,
    )
    aws.sqs.QueuePolicy(
        f"{name}-dead-letters-policy",
        queue_url=queue.url,
        policy=pulumi.Output.all(queue.arn, rule.arn).apply(
            lambda arns: document(
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "events.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": arns[0],
                    "Condition": {"ArnEquals": {"aws:SourceArn": arns[1]}},
                },
                only_tls("sqs:*", arns[0]),
            )
        ),
        opts=part.options,
    )
    aws.lambda_.Invocation(
        f"{name}-first",
        function_name=function.name,
        input=json.dumps({"source": "deployment", "key": "clicks/first"}),
        opts=pulumi.ResourceOptions(parent=part, depends_on=[permission]),
    )
    part.register_outputs({"function": function.name})
    return function, queue


def alarm(
    owner: Component,
    name: str,
    topic: aws.sns.Topic,
    namespace: str,
    metric: str,
    dimensions: dict[str, Any],
    statistic: str = "Sum",
) -> aws.cloudwatch.MetricAlarm:
    """One alarm of the topic on a metric above zero."""
    return aws.cloudwatch.MetricAlarm(
        name,
        alarm_description=f"{metric} is above zero: see the log.",
        namespace=namespace,
        metric_name=metric,
        dimensions=dimensions,
        statistic=statistic,
        comparison_operator="GreaterThanThreshold",
        threshold=0,
        period=300,
        evaluation_periods=1,
        treat_missing_data="notBreaching",
        alarm_actions=[topic.arn],
        opts=owner.options,
    )


def dashboard(owner: Component, name: str, shown: aws.cloudwatch.MetricAlarm, function: aws.lambda_.Function) -> None:
    """One alarm, and a graph beside it."""
    runs = ["AWS/Lambda", "Invocations", "FunctionName", function.name, {"stat": "Sum"}]
    graph = {"title": "Runs", "view": "timeSeries", "period": 300, "metrics": [runs], "region": REGION}
    widgets = [
        {"type": "alarm", "x": 0, "y": 0, "width": 12, "height": 6,
         "properties": {"title": "Alarms", "alarms": [shown.arn]}},
        {"type": "metric", "x": 12, "y": 0, "width": 12, "height": 6, "properties": graph},
    ]  # fmt: skip
    body = pulumi.Output.json_dumps({"widgets": widgets})
    aws.cloudwatch.Dashboard(name, dashboard_name=name, dashboard_body=body, opts=owner.options)


def program() -> dict[str, Any]:
    """The whole stack; gives its outputs."""
    warehouse = Component("ServerlessDataWarehouse", "dw")
    data = bucket(warehouse, "dw-data", "errors/")
    results = bucket(warehouse, "dw-results", "")
    database = aws.glue.CatalogDatabase("dw-database", name="dw_dev", opts=warehouse.options)
    clicks = table(
        warehouse,
        "dw-clicks",
        database,
        pulumi.Output.concat("s3://", data.bucket, "/clicks/"),
        PARQUET,
        {"id": "string", "price": "decimal(10,2)", "tags": "array<string>"},
        {"classification": "parquet", "parquet.compression": "SNAPPY"},
    )
    table(
        warehouse,
        "dw-clicks_error_docs",
        database,
        pulumi.Output.concat("s3://", data.bucket, "/errors/clicks/format-conversion-failed/"),
        ERROR_DOCUMENTS,
        {"rawdata": "string", "arrivaltimestamp": "bigint"},
        {"classification": "json"},
    )
    table(
        warehouse,
        "dw-aggregates",
        database,
        pulumi.Output.concat("s3://", data.bucket, "/aggregates/"),
        PARQUET,
        {"event_type": "string", "count": "int"},
        {"classification": "parquet", "parquet.compression": "SNAPPY"},
        keys=(),
    )
    table(
        warehouse,
        "dw-aggregates_staging",
        database,
        pulumi.Output.concat("s3://", results.bucket, "/staging/aggregates/"),
        JSON,
        {"event_type": "string", "count": "int"},
        {
            "classification": "json",
            "projection.enabled": "true",
            "projection.run.type": "injected",
            "storage.location.template": pulumi.Output.concat("s3://", results.bucket, "/staging/aggregates/${run}/"),
        },
        keys=("run",),
    )
    aws.s3.BucketObjectv2(
        "dw-aggregates-object",
        bucket=results.bucket,
        key="staging/aggregates/first/rows.json",
        content='{"event_type": "click", "count": 1}\n',
        content_type="application/json",
        opts=warehouse.options,
    )
    for name, enforced in (("adhoc", True), ("batch", False)):
        aws.athena.Workgroup(
            f"dw-{name}",
            name=f"dw-{name}-dev",
            force_destroy=True,
            state="ENABLED",
            configuration={
                "enforce_workgroup_configuration": enforced,
                "publish_cloudwatch_metrics_enabled": True,
                "bytes_scanned_cutoff_per_query": 1_000_000_000_000,
                "result_configuration": {
                    "output_location": pulumi.Output.concat("s3://", results.bucket, f"/{name}/"),
                    "encryption_configuration": {"encryption_option": "SSE_S3"},
                },
                "engine_version": {"selected_engine_version": "Athena engine version 3"},
            },
            opts=warehouse.options,
        )
    stream, delivery = input_stream(warehouse, data, database, clicks)
    function, queue = cron_job(warehouse, data)
    topic = aws.sns.Topic("dw-alarms", opts=warehouse.options)
    aws.sns.TopicPolicy(
        "dw-alarms-policy",
        arn=topic.arn,
        policy=topic.arn.apply(
            lambda arn: document(
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "cloudwatch.amazonaws.com"},
                    "Action": "sns:Publish",
                    "Resource": arn,
                    "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
                },
                only_tls("sns:Publish", arn),
            )
        ),
        opts=warehouse.options,
    )
    aws.sns.TopicSubscription(
        "dw-alarms-mail", topic=topic.arn, protocol="email", endpoint="team@example.com", opts=warehouse.options
    )
    firehose = {"DeliveryStreamName": delivery.name}
    alarm(warehouse, "dw-failed-conversions", topic, "AWS/Firehose", "FailedConversion.Records", firehose)
    alarm(warehouse, "dw-freshness", topic, "AWS/Firehose", "DeliveryToS3.DataFreshness", firehose, "Maximum")
    alarm(
        warehouse,
        "dw-throttled",
        topic,
        "AWS/Kinesis",
        "WriteProvisionedThroughputExceeded",
        {"StreamName": stream.name},
    )
    errors = alarm(warehouse, "dw-errors", topic, "AWS/Lambda", "Errors", {"FunctionName": function.name})
    alarm(
        warehouse,
        "dw-dead-letters",
        topic,
        "AWS/SQS",
        "ApproximateNumberOfMessagesVisible",
        {"QueueName": queue.name},
        "Maximum",
    )
    dashboard(warehouse, "dw-dashboard", errors, function)
    warehouse.register_outputs({"database": database.name})
    return {"database_name": database.name, "stream": stream.name, "bucket": data.bucket}
