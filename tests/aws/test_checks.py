"""The checkers find nothing in a correct stack, and each finds the mistakes it is for, seeded one at a time."""

import json
import re
from dataclasses import replace
from pathlib import Path

import apply
import boto3
import cloudformation
import graph as graphs
import hints
import house
import lambda_zip
import mutations
import policies
import pulumi
import pulumi_aws as aws
import pytest
import sample
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError
from emulator import emulator
from engine import Engine, Provider
from graph import UNKNOWN, Graph, Node
from policies import Implied, Query, audit
from recorder import deploy

CHECKERS = {"hints": hints, "house": house, "parliament": policies, "cfn-lint": cloudformation}
GONE = mutations.GONE


@pytest.fixture(scope="module")
def stack() -> Graph:
    return deploy(sample.program)


def with_input(graph: Graph, type: str, name: str, path: str, value: object) -> Graph:
    """The graph with one input of one resource changed; `policy!Statement.0.Action` goes into the JSON of `policy`."""
    node = graph.one(type, name)
    steps: list[str | int] = []
    for step in path.replace("!", ".!.").split("."):
        inside = mutations.INSIDE if step == "!" else step
        steps.append(int(inside) if inside.isdigit() else inside)
    # Keys with points are written with a colon: `parameters.projection:enabled`.
    keys = tuple(one.replace("|", ".") if isinstance(one, str) else one for one in steps)
    inputs = mutations.altered(node.inputs, keys, value)
    identity, outputs = graphs.provider_answer(node.type, node.name, node.urn, inputs)
    return with_node(graph, replace(node, inputs=inputs, outputs=outputs, id=identity))


def with_node(graph: Graph, node: Node) -> Graph:
    return Graph({**graph.nodes, node.urn: node}, graph.exports)


def without(graph: Graph, type: str, name: str) -> Graph:
    urn = graph.one(type, name).urn
    return Graph({key: node for key, node in graph.nodes.items() if key != urn}, graph.exports)


# The checkers on the sample.


def test_the_sample_has_every_type_that_can_be_created(stack):
    other = {"aws:iam/policy:Policy", "aws:s3/bucketObject:BucketObject"}
    other.add("aws:glue/catalogTableOptimizer:CatalogTableOptimizer")  # the emulator has none
    assert {node.type for node in stack.custom} == apply.types() - other


@pytest.mark.parametrize("checker", CHECKERS.values(), ids=CHECKERS)
def test_nothing_is_found_in_a_correct_stack(stack, checker):
    assert checker.check(stack) == []


@pytest.mark.parametrize("checker", [hints, policies], ids=["hints", "parliament"])
def test_a_preview_has_no_false_findings(checker):
    assert checker.check(deploy(sample.program, preview=True)) == []


FIREHOSE = ("FirehoseDeliveryStream", "dw-clicks-delivery")
FUNCTION = ("Function", "dw-registrar-function")
TABLE = ("CatalogTable", "dw-clicks")
STAGING = ("CatalogTable", "dw-aggregates_staging")
DELIVERY_POLICY = ("RolePolicy", "dw-clicks-policy")
JOB_POLICY = ("RolePolicy", "dw-registrar-policy")
ADHOC = ("Workgroup", "dw-adhoc")
ALARM = ("MetricAlarm", "dw-errors")
LIFECYCLE = ("BucketLifecycleConfiguration", "dw-data-lifecycle")
S3 = "extendedS3Configuration"
CONVERSION = f"{S3}.dataFormatConversionConfiguration"
PARQUET = f"{CONVERSION}.outputFormatConfiguration.serializer.parquetSerDe"
DELIVERY_ROLE = ("Role", "dw-clicks-role")
ATTACHMENT = ("RolePolicyAttachment", "dw-registrar-tracing")
FULL_ACCESS = "arn:aws:iam::aws:policy/AmazonS3FullAccess"
QUEUE_POLICY = ("QueuePolicy", "dw-registrar-dead-letters-policy")
TOPIC_POLICY = ("TopicPolicy", "dw-alarms-policy")
ALL_ARNS = "arn:aws:s3:::dw-data-63275b1/elsewhere/*"

# Checker, resource, input, value, what it says.
MISTAKES = [
    # Nested keys and kinds of values.
    ("hints", FIREHOSE, f"{S3}.bufferingIntervall", 60, "not an input"),
    ("hints", FIREHOSE, f"{S3}.bufferingInterval", "sixty", "expected int"),
    ("hints", FIREHOSE, f"{S3}.roleArn", GONE, "required"),
    ("hints", LIFECYCLE, "rules.0.statuss", "Enabled", "not an input"),
    ("hints", LIFECYCLE, "rules", "all", "expected a list"),
    ("hints", FUNCTION, "environment.variables", ["a"], "expected a map"),
    ("hints", FUNCTION, "code", "code.zip", "expected an asset or archive"),
    ("hints", FUNCTION, "loggingConfig", "JSON", "expected an object"),
    ("hints", FUNCTION, "timeout", True, "expected int"),
    # Firehose.
    ("house", FIREHOSE, f"{S3}.bufferingSize", 5, "64 to 128"),
    ("house", FIREHOSE, f"{S3}.bufferingInterval", 901, "0 to 900"),
    ("house", FIREHOSE, f"{S3}.compressionFormat", "GZIP", "the serializer compresses"),
    ("house", FIREHOSE, f"{S3}.prefix", "clicks/!{timestamp:YYYY/MM/DD/HH}/", "does not have the expressions"),
    ("house", FIREHOSE, f"{S3}.prefix", "clickz/!{timestamp:yyyy/MM/dd/HH}/", "the table clicks is elsewhere"),
    ("house", FIREHOSE, f"{S3}.prefix", "clicks/!{timestamp:yyyy/MM/dd/HH}", "does not end with a folder"),
    ("house", FIREHOSE, f"{S3}.errorOutputPrefix", GONE, "must be given"),
    (
        "house",
        FIREHOSE,
        f"{S3}.errorOutputPrefix",
        "clicks/!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd/HH}/",
        "error documents lie in the table clicks",
    ),
    ("house", FIREHOSE, f"{S3}.bucketArn", "arn:aws:s3:::other", "no resource of this stack has"),
    ("house", FIREHOSE, f"{CONVERSION}.schemaConfiguration.tableName", "klicks", "no Glue table dw_dev.klicks"),
    ("house", FIREHOSE, f"{CONVERSION}.schemaConfiguration.region", "us-west-2", "schema region"),
    ("house", FIREHOSE, f"{S3}.cloudwatchLoggingOptions.logStreamName", "other", "does not log"),
    ("house", FIREHOSE, "kinesisSourceConfiguration.kinesisStreamArn", "arn:aws:kinesis:x", "no stream"),
    ("cfn-lint", FIREHOSE, f"{PARQUET}.compression", "LZ", "E3030"),
    ("cfn-lint", FIREHOSE, f"{S3}.newKey", 1, "no CloudFormation property for extendedS3Configuration.newKey"),
    # Its role: "Controlling access with Amazon Data Firehose".
    ("house", DELIVERY_POLICY, "policy!Statement.0.Action.0", GONE, "may not kinesis:DescribeStream"),
    ("house", DELIVERY_POLICY, "policy!Statement.3.Resource.1", GONE, "errors/clicks"),
    ("house", DELIVERY_POLICY, "policy!Statement.1.Action.0", "glue:UpdateTable", "Firehose does not need"),
    ("parliament", DELIVERY_POLICY, "policy!Statement.0.Action.0", "kinesis:DescribeStreams", "UNKNOWN_ACTION"),
    ("parliament", DELIVERY_POLICY, "policy!Statement.1.Resource.0", GONE, "RESOURCE_MISMATCH"),
    ("cfn-lint", DELIVERY_POLICY, "policy!Statement.0.Action.0", "kinesis:DescribeStreams", "W3037"),
    # Policies.
    ("house", JOB_POLICY, "policy!Statement.2.Action", "s3:*", "is a wildcard"),
    ("house", JOB_POLICY, "policy!Statement.2.Resource", "*", "Resource \\* for"),
    ("house", JOB_POLICY, "policy!Statement.2.Resource", ALL_ARNS, "no resource of this stack has"),
    ("house", JOB_POLICY, "policy!Statement.2.Resources", "x", "statement has \\['Resources'\\]"),
    ("house", JOB_POLICY, "policy!Statement.0", GONE, "logs:PutLogEvents in its log group"),
    ("house", JOB_POLICY, "policy!Statement.1", GONE, "destination of failures"),
    ("house", JOB_POLICY, "policy!Version", "2008-10-17", "Version"),
    ("house", JOB_POLICY, "policy", "{", "policy: "),
    ("house", JOB_POLICY, "policy!Statement.2.Sid", "x" * 11_000, "policy has 11"),
    ("house", JOB_POLICY, "role", "nobody", "names the Role 'nobody'"),
    ("parliament", JOB_POLICY, "policy", "{", "MALFORMED"),
    ("parliament", JOB_POLICY, "policy!Statement.2.Action", "s3:PutObjekt", "UNKNOWN_ACTION"),
    ("parliament", JOB_POLICY, "policy!Statement.2.Resource", "arn:aws:sqs:eu-west-1:123456789012:q", "MISMATCH"),
    ("house", ATTACHMENT, "policyArn", FULL_ACCESS, "gives all"),
    ("house", DELIVERY_ROLE, "assumeRolePolicy!Statement.0.Principal.Service", "firehos.amazonaws.com", "used by"),
    ("house", DELIVERY_ROLE, "assumeRolePolicy!Statement.0.Condition", GONE, "for any account"),
    ("house", ("Role", "dw-registrar-role"), "assumeRolePolicy!Statement.0.Action", "sts:*", "sts:AssumeRole"),
    ("parliament", ("Role", "dw-registrar-role"), "assumeRolePolicy!Statement.0.Action", "sts:AssumRole", "UNKNOWN"),
    ("parliament", QUEUE_POLICY, "policy!Statement.0.Action", "sqs:Send", "UNKNOWN"),
    ("house", QUEUE_POLICY, "policy!Statement.0.Condition", GONE, "any account"),
    ("house", QUEUE_POLICY, "policy!Statement.1.Condition", GONE, "without TLS"),
    ("house", QUEUE_POLICY, "policy!Statement.1.Condition.Bool", {"aws:SecureTransport": "true"}, "without TLS"),
    ("house", QUEUE_POLICY, "policy!Statement.1.Action", "sqs:SendMessage", "without TLS"),
    ("house", QUEUE_POLICY, "policy!Statement.0.Effect", "Deny", "without TLS"),
    ("house", TOPIC_POLICY, "policy!Statement.0.Principal", "*", "not cloudwatch"),
    ("house", TOPIC_POLICY, "policy!Statement.1", GONE, "without TLS"),
    ("house", TOPIC_POLICY, "policy!Statement.0", GONE, "0 statements that allow"),
    ("house", TOPIC_POLICY, "policy!Statement.1.Action", "sns:*", "without TLS"),
    ("house", TOPIC_POLICY, "policy!Statement.1.Condition", GONE, "without TLS"),
    ("house", ("BucketPolicy", "dw-data-policy"), "policy!Statement.0.Resource.1", GONE, "without TLS"),
    ("house", ("BucketPolicy", "dw-data-policy"), "policy!Statement.0.Effect", "Allow", "without TLS"),
    # Lambda.
    ("house", FUNCTION, "runtime", "python3.9", "python3.13"),
    ("house", FUNCTION, "architectures.0", "x86_64", "arm64"),
    ("house", FUNCTION, "timeout", 901, "1 to 900"),
    ("house", FUNCTION, "memorySize", 64, "128 to 3008"),
    ("house", FUNCTION, "handler", "jobs.registrar.handler", "archive has no jobs/registrar.py"),
    ("house", FUNCTION, "handler", "jobs.register.handle", "defines no function handle"),
    ("house", FUNCTION, "loggingConfig", GONE, "no log group"),
    ("house", FUNCTION, "loggingConfig.logGroup", "/aws/lambda/other", "names the LogGroup"),
    ("house", FUNCTION, "environment.variables.BIG", "x" * 4096, "bytes of at most"),
    ("house", FUNCTION, "environment.variables.AWS_REGION", "eu-west-1", "reserves"),
    ("house", FUNCTION, "environment.variables.DW_STREAM", "unknown", "names the Stream"),
    ("house", FUNCTION, "environment.variables.DW_BUCKET", "None", "was not resolved"),
    ("cfn-lint", FUNCTION, "runtime", "python3.6", "E2533"),
    ("cfn-lint", FUNCTION, "tracingConfig.mode", "Full", "E3030"),
    ("house", ("FunctionEventInvokeConfig", "dw-registrar-retries"), "maximumRetryAttempts", 3, "0 to 2"),
    ("house", ("FunctionEventInvokeConfig", "dw-registrar-retries"), "destinationConfig", GONE, "go nowhere"),
    ("house", ("Permission", "dw-registrar-permission"), "sourceArn", GONE, "no rule of this stack"),
    ("house", ("Permission", "dw-registrar-permission"), "action", "lambda:*", "lambda:InvokeFunction"),
    ("house", ("Invocation", "dw-registrar-first"), "input", "{}", "'source': 'deployment'"),
    # EventBridge.
    ("house", ("EventRule", "dw-registrar-schedule"), "scheduleExpression", "rate(1 hours)", "scheduleExpression"),
    ("house", ("EventRule", "dw-registrar-schedule"), "scheduleExpression", "cron(0 2 * * * *)", "scheduleExpression"),
    ("cfn-lint", ("EventRule", "dw-registrar-schedule"), "scheduleExpression", "rate(1 hours)", "E3027"),
    ("house", ("EventTarget", "dw-registrar-target"), "deadLetterConfig", GONE, "is lost"),
    ("house", ("EventTarget", "dw-registrar-target"), "retryPolicy.maximumRetryAttempts", 186, "0 to 185"),
    ("house", ("EventTarget", "dw-registrar-target"), "input", "{}", "takes the time"),
    # Buckets.
    ("house", ("BucketPublicAccessBlock", "dw-data-access"), "blockPublicAcls", False, "is not true"),
    ("house", ("BucketPublicAccessBlock", "dw-data-access"), "bucket", "other", "names the Bucket 'other'"),
    ("house", LIFECYCLE, "rules.0.expiration.days", 0, "is 0"),
    ("house", LIFECYCLE, "rules.0.filter.prefix", "errors", "other folders may begin"),
    ("cfn-lint", LIFECYCLE, "rules.0.status", "On", "E3030"),
    ("cfn-lint", ("BucketVersioning", "dw-data-versioning"), "versioningConfiguration.status", "On", "E3030"),
    ("house", ("Bucket", "dw-data"), "bucket", "Data_Bucket", "does not match"),
    # Kinesis.
    ("house", ("Stream", "dw-clicks-stream"), "encryptionType", "NONE", "is not encrypted"),
    ("house", ("Stream", "dw-clicks-stream"), "retentionPeriod", 12, "24 to 8760"),
    ("house", ("Stream", "dw-clicks-stream"), "streamModeDetails.streamMode", "ON_DEMAND", "with shardCount"),
    # Glue.
    ("house", TABLE, "storageDescriptor.columns.0.type", "varchar", "column id"),
    ("house", TABLE, "storageDescriptor.columns.0.name", "Id", "lower case"),
    ("house", TABLE, "storageDescriptor.columns.0.name", "inserted_at", "twice"),
    ("house", TABLE, "storageDescriptor.serDeInfo.serializationLibrary", "org.openx.Json", "is not read"),
    ("house", TABLE, "storageDescriptor.location", "s3://dw-data-63275b1/clicks", "s3://bucket/folder/"),
    ("house", TABLE, "storageDescriptor.location", "s3://dw-data-63275b1/aggregates/clicks/", "lie in one another"),
    ("house", TABLE, "storageDescriptor.location", "s3://elsewhere/clicks/", "no bucket of this stack"),
    ("house", TABLE, "name", "Clicks", "does not match"),
    ("house", TABLE, "databaseName", "dw_prod", "names the CatalogDatabase"),
    ("house", TABLE, "partitionKeys", GONE, "partitionKeys must be given"),
    ("house", TABLE, "parameters.classification", "orc", "classification"),
    ("house", STAGING, "parameters.projection|run|type", "injekted", "projection.run.type"),
    ("house", STAGING, "parameters.storage|location|template", "s3://dw-results-ad30971/staging/", "template"),
    ("house", STAGING, "storageDescriptor.columns.0.name", "kind", "its columns are not those of aggregates"),
    # Athena, alarms, topics, queues, logs.
    ("house", ADHOC, "configuration.resultConfiguration.outputLocation", "dw-results/adhoc", "outputLocation"),
    ("house", ADHOC, "configuration.enforceWorkgroupConfiguration", False, "enforceWorkgroup"),
    ("house", ADHOC, "configuration.bytesScannedCutoffPerQuery", 10_485_759, "10,485,760"),
    ("cfn-lint", ADHOC, "configuration.bytesScannedCutoffPerQuery", 1_000_000, "E3034"),
    ("house", ALARM, "metricName", "Error", "no metric AWS/Lambda Error"),
    ("house", ALARM, "statistic", "Average", "statistic of Errors"),
    ("house", ALARM, "dimensions.FunctionName", "other", "is not in this stack"),
    ("house", ALARM, "threshold", GONE, "threshold"),
    ("house", ALARM, "alarmActions", [], "tells nobody"),
    ("cfn-lint", ALARM, "comparisonOperator", "MoreThan", "E3030"),
    ("house", ("TopicSubscription", "dw-alarms-mail"), "protocol", "mail", "protocol"),
    ("house", ("Queue", "dw-registrar-dead-letters"), "messageRetentionSeconds", 30, "60 to 1209600"),
    ("house", ("Queue", "dw-registrar-dead-letters"), "sqsManagedSseEnabled", False, "is not encrypted"),
    ("house", ("LogGroup", "dw-clicks-logs"), "retentionInDays", 31, "retentionInDays"),
    ("house", ("LogGroup", "dw-clicks-logs"), "retentionInDays", GONE, "retentionInDays"),
]


@pytest.mark.parametrize(
    ("checker", "resource", "path", "value", "says"),
    MISTAKES,
    ids=[f"{checker}-{kind}-{path}-{str(value)[:20]}" for checker, (kind, _), path, value, _ in MISTAKES],
)
def test_a_seeded_mistake_is_found(stack, checker, resource, path, value, says):
    changed = with_input(stack, *resource, path, value)
    check_alone = {"hints": hints, "parliament": policies, "cfn-lint": cloudformation}.get(checker)
    found = check_alone.check_node(changed.one(*resource)) if check_alone else house.check(changed)
    assert any(re.search(says, text) for text in found), found


@pytest.mark.parametrize(
    ("type", "name", "says"),
    [
        ("BucketPublicAccessBlock", "dw-data-access", "Bucket dw-data: has 0 BucketPublicAccessBlock"),
        ("BucketPolicy", "dw-results-policy", "Bucket dw-results: has 0 BucketPolicy"),
        ("FunctionEventInvokeConfig", "dw-registrar-retries", "0 event invoke configs"),
        ("EventTarget", "dw-registrar-target", "0 targets"),
        ("Permission", "dw-registrar-permission", "no permission lets the rule call the function"),
        ("QueuePolicy", "dw-registrar-dead-letters-policy", "does not let the rule send"),
        ("QueuePolicy", "dw-registrar-dead-letters-policy", "Queue dw-registrar-dead-letters: has 0 QueuePolicy"),
        ("TopicPolicy", "dw-alarms-policy", "Topic dw-alarms: has 0 TopicPolicy"),
        ("RolePolicy", "dw-clicks-policy", "does not wait for the policy of its role"),
        ("CatalogTable", "dw-clicks_error_docs", "no table clicks_error_docs"),
        ("LogStream", "dw-clicks-log-stream", "does not log to a log stream"),
        ("Stream", "dw-clicks-stream", "no stream of this stack"),
    ],
)
def test_a_missing_resource_is_found(stack, type, name, says):
    found = house.check(without(stack, type, name))
    assert any(says in text for text in found), found


def test_the_place_of_a_resource_is_checked(stack):
    queue = stack.one("Queue")
    assert any("no component" in text for text in house.check(with_node(stack, replace(queue, parent=""))))
    renamed = replace(queue, name="letters")
    assert any("does not begin with" in text for text in house.check(with_node(stack, renamed)))


def test_components_register_their_outputs_once(stack):
    [component] = [node for node in stack.components if node.kind == "InputStream"]
    for registered in ([], [{}, {}]):
        changed = with_node(stack, replace(component, registered_outputs=registered))
        assert house.check(changed) == [f"InputStream dw-clicks: registered its outputs {len(registered)} times"]


def test_two_resources_may_not_share_a_physical_name(stack):
    changed = with_input(stack, *TABLE, "name", "aggregates")
    assert any("is also that of dw-aggregates" in text for text in house.check(changed))


def test_names_that_are_too_long_with_the_suffix_are_found():
    def program():
        aws.kinesis.FirehoseDeliveryStream("f" * 57, destination="extended_s3")

    assert any("(65 characters)" in text for text in house.check(deploy(program)))


# The recorder.


def test_a_recorded_graph_is_what_the_provider_would_answer(stack):
    bucket, role = stack.one("Bucket", "dw-data"), stack.one("Role", "dw-clicks-role")
    assert re.fullmatch(r"dw-data-[0-9a-f]{7}", bucket.physical_name)
    assert bucket.outputs["arn"] == f"arn:aws:s3:::{bucket.physical_name}"
    assert role.outputs["arn"] == f"arn:aws:iam::123456789012:role/{role.physical_name}"
    assert stack.parent(role).name == "dw-clicks"
    assert bucket.urn in stack.one(*FIREHOSE).dependencies
    assert bucket.urn in stack.one("BucketPolicy", "dw-data-policy").property_dependencies["policy"]
    assert stack.exports == {
        "database_name": "dw_dev",
        "stream": stack.one("Stream").physical_name,
        "bucket": bucket.physical_name,
    }
    assert [node.name for node in stack.children(stack.parent(role)) if node.kind == "Role"] == ["dw-clicks-role"]


def test_two_runs_give_the_same_graph(stack):
    again = deploy(sample.program)
    assert {node.urn: (node.inputs, node.id) for node in again} == {node.urn: (node.inputs, node.id) for node in stack}


def test_names_are_lower_case_where_aws_wants_it():
    graph = deploy(lambda: {"name": aws.s3.Bucket("Data").bucket})
    assert re.fullmatch(r"data-[0-9a-f]{7}", graph.exports["name"])


def test_a_preview_knows_no_computed_outputs():
    graph = deploy(sample.program, preview=True)
    assert graph.exports["database_name"] == "dw_dev"
    assert graph.exports["stream"] == UNKNOWN
    assert graph.one(*FIREHOSE).inputs["extendedS3Configuration"]["bucketArn"] == UNKNOWN


def test_the_recorder_raises_what_the_program_and_the_provider_raise():
    with pytest.raises(RuntimeError, match="AccessDenied"):
        deploy(sample.program, fail={"dw-data": "AccessDenied"})

    def division():
        aws.sns.Topic("t").arn.apply(lambda arn: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        deploy(division)

    def twice():
        aws.sns.Topic("t")
        aws.sns.Topic("t")

    with pytest.raises(ValueError, match="Duplicate resource URN"):
        deploy(twice)

    def asks():
        return {"zones": aws.get_availability_zones_output().names}

    with pytest.raises(NotImplementedError, match="getAvailabilityZones"):
        deploy(asks)


def test_configuration_and_known_functions_are_served():
    async def program():
        return {"dev": pulumi.Config().require("dev"), "account": aws.get_caller_identity_output().account_id}

    graph = deploy(program, config={"shop:dev": "true"})
    assert graph.exports == {"dev": "true", "account": "123456789012"}


def test_what_exists_already_is_no_resource_of_the_stack():
    def program():
        bucket = aws.s3.Bucket.get("theirs", "their-bucket")
        return {"arn": bucket.arn}

    graph = deploy(program)
    assert graph.exports == {"arn": "arn:aws:s3:::their-bucket"}
    assert graph.custom == []
    assert graph.one("Bucket").existing


# The engine.

PROGRAM = """
import sys
sys.path.insert(0, {tests!r})
import pulumi
import sample
for key, value in sample.program().items():
    pulumi.export(key, value)
"""


def write(folder, text):
    (folder / "__main__.py").write_text(text)
    return folder


def test_the_engine_runs_a_program_folder_to_the_graph_of_the_recorder(stack, tmp_path):
    folder = write(tmp_path, PROGRAM.format(tests=str(Path(__file__).parent)))
    run = Engine().run(folder)
    assert (run.code, run.errors) == (0, [])
    assert run.outputs == stack.exports
    assert {node.urn: node.inputs for node in run.graph} == {node.urn: node.inputs for node in stack}
    assert {node.urn: node.parent for node in run.graph} == {node.urn: node.parent for node in stack}
    assert house.check(run.graph) == []
    seen = Engine().run(folder, preview=True)
    assert (seen.code, seen.outputs["stream"]) == (0, UNKNOWN)
    assert seen.graph.nodes.keys() == run.graph.nodes.keys()


def test_the_engine_runs_transforms_and_serves_existing_resources_and_configuration(tmp_path):
    folder = write(
        tmp_path,
        """
import pulumi
import pulumi_aws as aws

def tagged(args):
    return pulumi.ResourceTransformResult({**args.props, "tags": {"team": "data"}}, args.opts)

pulumi.runtime.register_resource_transform(tagged)
topic = aws.sns.Topic("alarms")
theirs = aws.s3.Bucket.get("theirs", "their-bucket")
config = pulumi.Config()
pulumi.export("arn", theirs.arn)
pulumi.export("dev", config.require_bool("dev"))
pulumi.export("key", config.require_secret("key"))
pulumi.export("account", aws.get_caller_identity_output().account_id)
""",
    )
    run = Engine().run(folder, config={"shop:dev": "true", "shop:key": "abc"}, secrets=["shop:key"])
    assert run.code == 0, run.messages
    assert run.graph.one("Topic").inputs == {"tags": {"team": "data"}}
    assert run.outputs == {
        "arn": "arn:aws:s3:::their-bucket",
        "dev": True,
        "key": "abc",
        "account": "123456789012",
    }


class Refusing(Provider):
    def create(self, type, name, urn, inputs):
        raise PermissionError("AccessDenied: no")


@pytest.mark.parametrize(
    ("text", "provider", "code", "says"),
    [
        ("import pulumi_aws as aws\naws.sns.Topic('t')\naws.sns.Topic('t')", None, 32, "Duplicate resource URN"),
        ("import pulumi_aws as aws\naws.sns.Topic('t')", Refusing(), 32, "AccessDenied: no"),
        ("import pulumi_aws as aws\naws.sns.Topic('t').arn.apply(lambda arn: 1 / 0)", None, 32, "ZeroDivisionError"),
        ("import pulumi\nraise pulumi.RunError('say dev')", None, 1, "say dev"),
        ("import pulumi\npulumi.Config().require('dev')", None, 1, "shop:dev"),
    ],
    ids=["duplicate", "refused", "apply", "run-error", "missing-configuration"],
)
def test_a_failing_program_ends_as_with_the_language_host(tmp_path, text, provider, code, says):
    run = Engine(provider).run(write(tmp_path, text))
    assert run.code == code
    assert says in run.messages


# CloudFormation.


def test_findings_belong_to_the_resource_that_has_them(stack):
    good, bad = stack.one("Stream"), stack.one(*ALARM)
    bad = replace(bad, inputs={**bad.inputs, "comparisonOperator": "MoreThan"})
    found = cloudformation.lint_resources({"A": cloudformation.resource(good), "B": cloudformation.resource(bad)})
    assert found["A"] == []
    assert [text[:5] for text in found["B"]] == ["E3030"]


def test_an_unmapped_type_is_an_error():
    graph = deploy(lambda: aws.sns.PlatformApplication("p", platform="GCM", platform_credential="x") and None)
    assert cloudformation.check(graph) == [
        "PlatformApplication p: no CloudFormation type for aws:sns/platformApplication:PlatformApplication"
    ]


# Lambda.


def test_a_handler_runs_from_the_deployed_zip_alone(stack):
    function = stack.one(*FUNCTION)
    # Port 9 of the loopback interface answers nobody: the call is made and fails.
    nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}
    run = lambda_zip.run(function, {"key": "a/b"}, extras=nowhere, record_calls=True)
    assert run.error.startswith("EndpointConnectionError")
    bucket = stack.one("Bucket", "dw-data").physical_name
    [(service, operation, parameters)] = run.calls
    assert (service, operation) == ("s3", "PutObject")
    assert (parameters["Bucket"], parameters["Key"]) == (bucket, "a/b")
    assert lambda_zip.decoded(parameters["Body"]) == b"{}"
    [line] = run.lines
    assert line["message"] == "started"
    assert 0 < line["left_ms"] <= 60_000
    assert run.python.startswith("3.")


def test_only_what_is_packaged_can_be_imported(stack):
    function = stack.one(*FUNCTION)
    text = "import pyarrow\n\n\ndef handler(event, context):\n    return None\n"
    archive = json.loads(json.dumps(function.inputs["code"]))
    archive["assets"]["jobs/register.py"]["text"] = text
    changed = replace(function, inputs={**function.inputs, "code": archive})
    assert lambda_zip.run(changed, {}).error == "ModuleNotFoundError: No module named 'pyarrow'"
    assert any("pyarrow is imported" in text for text in house.check(with_node(stack, changed)))


def test_the_same_files_give_the_same_zip(stack):
    archive = stack.one(*FUNCTION).inputs["code"]
    turned = {**archive, "assets": dict(reversed(archive["assets"].items()))}
    assert lambda_zip.zip_of(archive) == lambda_zip.zip_of(turned)
    assert set(lambda_zip.files_of(archive)) == {"jobs/__init__.py", "jobs/register.py"}


# The audit.


def statement(action, resource, effect="Allow"):
    return {"Effect": effect, "Action": action, "Resource": resource}


TABLE_ARNS = [
    "arn:aws:glue:eu-west-1:123456789012:catalog",
    "arn:aws:glue:eu-west-1:123456789012:database/dw",
    "arn:aws:glue:eu-west-1:123456789012:table/dw/clicks",
]
GET_TABLE = ("glue", "GetTable", {"DatabaseName": "dw", "Name": "clicks"})


def test_the_audit_finds_nothing_when_rights_and_calls_agree():
    policy = sample.document(
        statement("glue:GetTable", TABLE_ARNS),
        statement("s3:PutObject", "arn:aws:s3:::data/clicks/*"),
        statement("sqs:SendMessage", "arn:aws:sqs:eu-west-1:123456789012:q"),
    )
    calls = [GET_TABLE, ("s3", "PutObject", {"Bucket": "data", "Key": "clicks/2026/rows"})]
    dead = Implied("sqs:SendMessage", ("arn:aws:sqs:eu-west-1:123456789012:q",), "Lambda delivers dead letters")
    assert audit([policy], calls, [dead]).clean
    assert audit([policy], calls).unused == [("sqs:SendMessage", "arn:aws:sqs:eu-west-1:123456789012:q")]


def test_what_lambda_does_with_the_rights_of_a_function_is_known(stack):
    function = stack.one(*FUNCTION)
    documents = policies.role_documents(stack, policies.role_of(stack, function))
    calls = [("s3", "PutObject", {"Bucket": stack.exports["bucket"], "Key": "clicks/first"})]
    assert audit(documents, calls, policies.lambda_implies(stack, function)).clean
    assert {action for action, _ in audit(documents, calls).unused} == {
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "sqs:SendMessage",
    }


def test_the_audit_finds_what_is_missing_and_what_is_unused():
    policy = sample.document(
        statement(["glue:GetTable", "glue:DeleteTable"], TABLE_ARNS[1:]),
        statement("s3:PutObject", "arn:aws:s3:::data/*"),
        statement("s3:PutObject", "arn:aws:s3:::data/private/*", "Deny"),
    )
    calls = [GET_TABLE, ("s3", "PutObject", {"Bucket": "data", "Key": "private/x"})]
    result = audit([policy], calls)
    assert result.missing == [
        ("glue:GetTable", TABLE_ARNS[0]),
        ("s3:PutObject", "arn:aws:s3:::data/private/x"),
    ]
    assert result.unused == [("glue:DeleteTable", arn) for arn in TABLE_ARNS[1:]]


def test_the_audit_knows_copies_lists_and_the_workgroup_of_a_query():
    calls = [
        ("s3", "CopyObject", {"Bucket": "data", "Key": "t/1", "CopySource": {"Bucket": "results", "Key": "u/1"}}),
        ("s3", "DeleteObjects", {"Bucket": "data", "Delete": {"Objects": [{"Key": "t/0"}]}}),
        ("s3", "ListObjectsV2", {"Bucket": "data", "Prefix": "t/"}),
        ("athena", "StartQueryExecution", {"QueryString": "SELECT 1", "WorkGroup": "batch"}),
        ("athena", "GetQueryResults", {"QueryExecutionId": "q"}),
    ]
    workgroup = "arn:aws:athena:eu-west-1:123456789012:workgroup/batch"
    assert ("athena:StartQueryExecution", "what is read by SELECT 1") in audit([], calls).missing
    query = Implied("glue:GetDatabase", (), "a query of constants reads no table")
    assert audit([], calls, [query]).missing == [
        ("athena:GetQueryResults", workgroup),
        ("athena:StartQueryExecution", workgroup),
        ("s3:DeleteObject", "arn:aws:s3:::data/t/0"),
        ("s3:GetObject", "arn:aws:s3:::results/u/1"),
        ("s3:ListBucket", "arn:aws:s3:::data"),
        ("s3:PutObject", "arn:aws:s3:::data/t/1"),
    ]


def test_a_query_needs_what_athena_does_with_the_rights_of_its_caller():
    query = Query("batch", (("dw", "clicks"),), ("s3://data/clicks/",), ("s3://results/batch/",))
    needed = {(one.action, arn) for one in policies.athena_implies(query) for arn in one.arns}
    assert ("glue:GetDatabase", "arn:aws:glue:eu-west-1:123456789012:database/default") in needed
    assert ("glue:GetPartitions", TABLE_ARNS[2]) in needed
    assert ("s3:GetObject", "arn:aws:s3:::data/clicks/*") in needed
    assert ("s3:PutObject", "arn:aws:s3:::results/batch/*") in needed
    assert ("s3:PutObject", "arn:aws:s3:::data/clicks/*") not in needed


def test_the_audit_takes_the_account_of_the_policies():
    policy = sample.document(
        statement("glue:GetTable", [arn.replace("123456789012", "000000000000") for arn in TABLE_ARNS])
    )
    assert audit([policy], [GET_TABLE], account="000000000000").clean
    assert len(audit([policy], [GET_TABLE]).missing) == 3


def test_a_session_is_watched():
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="eu-west-1")
    calls = []
    policies.watch(session, calls)
    nowhere = Config(retries={"total_max_attempts": 1}, connect_timeout=1)
    with pytest.raises(EndpointConnectionError):
        session.client("glue", endpoint_url="http://127.0.0.1:9", config=nowhere).get_table(**GET_TABLE[2])
    assert calls == [GET_TABLE]


def test_a_call_that_nobody_thought_about_is_an_error():
    with pytest.raises(KeyError):
        audit([], [("glue", "DeleteTable", {"DatabaseName": "dw", "Name": "clicks"})])


# The emulator.


def test_the_engine_creates_the_sample_in_the_emulator(stack, tmp_path):
    folder = write(tmp_path, PROGRAM.format(tests=str(Path(__file__).parent)))
    with emulator() as running:
        provider = apply.Emulator(running.url)
        run = Engine(provider).run(folder)
        assert run.code == 0, run.messages
        assert {node.urn for node in run.graph} == {node.urn for node in stack}
        role = run.graph.one("Role", "dw-clicks-role")
        assert role.outputs["arn"] == f"arn:aws:iam::{provider.account}:role/{role.physical_name}"
        stream = run.graph.one("Stream").physical_name
        described = provider.client("kinesis").describe_stream(StreamName=stream)["StreamDescription"]
        assert described["StreamStatus"] == "ACTIVE"
        source = run.graph.one(*FIREHOSE).inputs["kinesisSourceConfiguration"]
        assert source["kinesisStreamArn"] == described["StreamARN"]
        table = provider.client("glue").get_table(DatabaseName="dw_dev", Name="clicks")["Table"]
        assert [(column["Name"], column["Type"]) for column in table["StorageDescriptor"]["Columns"]] == [
            ("id", "string"),
            ("price", "decimal(10,2)"),
            ("tags", "array<string>"),
        ]
        # The deployment's own invocation ran the function, which put an object.
        assert provider.invocations == [(run.graph.one(*FUNCTION).physical_name, {"key": "clicks/first"})]
        bucket = run.outputs["bucket"]
        assert provider.client("s3").get_object(Bucket=bucket, Key="clicks/first")["Body"].read() == b"{}"
        with pytest.raises(apply.Unmapped, match="shardCout"):
            provider.create("aws:kinesis/stream:Stream", "s", "urn", {"shardCout": 1})


# The mutations.


@pytest.fixture(scope="module")
def report(stack) -> mutations.Report:
    return mutations.mutate(stack)


def test_most_mutants_of_the_sample_are_caught(report):
    assert report.total == sum(report.caught.values()) + len(report.survivors)
    assert report.total > 800
    assert report.rate >= 0.9, [str(one) for one in report.survivors]
    assert {"hints", "house", "house (other resource)", "parliament", "cfn-lint"} <= report.caught.keys()
    assert "house (raised)" not in report.caught


def test_what_no_check_can_know_survives_and_a_further_check_may_know(stack, report):
    survivors = {(one.label, one.where, one.kind) for one in report.survivors}
    column = ("CatalogTable dw-clicks", "storageDescriptor.columns[0].name", mutations.TEXT)
    assert column in survivors

    original = stack.one(*TABLE)

    def parity(graph, node):
        return ["other columns"] if node.urn == original.urn and node.inputs != original.inputs else []

    tables = Graph({node.urn: node for node in stack if node.kind == "CatalogTable"})
    more = mutations.mutate(tables, more={"parity": parity})
    assert column not in {(one.label, one.where, one.kind) for one in more.survivors}
    assert more.caught["parity"] > 0


def test_a_mutant_is_one_change(stack):
    role = stack.one("Role", "dw-clicks-role")
    for mutant in mutations.mutants_of(role):
        changed = mutations.mutated(role, mutant)
        assert changed.inputs != role.inputs, mutant
    path = ("assumeRolePolicy", mutations.INSIDE, "Statement", 0, "Action")
    changed = mutations.altered(role.inputs, path, "sts:TagSession")
    assert json.loads(changed["assumeRolePolicy"])["Statement"][0]["Action"] == "sts:TagSession"
    assert json.loads(role.inputs["assumeRolePolicy"])["Statement"][0]["Action"] == "sts:AssumeRole"
