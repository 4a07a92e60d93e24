"""A recorded graph as one CloudFormation template, to be linted and never deployed.

cfn-lint carries AWS's published resource schemas: enumerations, ranges, patterns, schedule expressions, runtimes,
the structure of policies. Inputs are matched to CloudFormation's properties by name; where the names differ a row of
`_ROWS` says how. An input without a counterpart is an error, so nothing goes unchecked in silence.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import cfnlint.context.context
import cfnlint.jsonschema._filter
import cfnlint.jsonschema.validators
from cfnlint.config import ConfigMixIn, ManualArgs
from cfnlint.decode import convert_dict
from cfnlint.runner import Runner
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER
from graph import REGION, Graph, Node, has_physical_name, has_unknown, name_input

# A template may hold 500 resources (CloudFormation quotas).
RESOURCES_MAX = 500

# Explicit retention (I3013) is the one informational rule that says something about this architecture.
_INFORMATION = ["I3013"]

# Types without a CloudFormation resource, and what checks them instead.
OUTSIDE = {
    "aws:lambda/invocation:Invocation": "an act, not a resource: house/functions.py and the emulator",
    "aws:s3/bucketObject:BucketObject": "objects are not in CloudFormation: house/storage.py and the emulator",
    "aws:s3/bucketObjectv2:BucketObjectv2": "objects are not in CloudFormation: house/storage.py and the emulator",
}


class Unmapped(Exception):
    """An input, or a type, that has no counterpart in CloudFormation here."""


@dataclass(frozen=True)
class _Row:
    """How one type is written in CloudFormation.

    `renames`: path of an input -> path of the property, from the object that holds the input; None leaves the
    input out, "." puts the members of an object into the object around it. `owner` is the input that names the
    resource into which this one is merged. `filler` are properties that CloudFormation asks for beside these.
    """

    type: str
    renames: Mapping[str, str | None] = field(default_factory=dict)
    owner: str | None = None
    reshape: Callable[[dict[str, Any]], dict[str, Any]] = dict
    filler: Mapping[str, Any] = field(default_factory=dict)


def _alarm(inputs: dict[str, Any]) -> dict[str, Any]:
    found = dict(inputs)
    if isinstance(found.get("dimensions"), dict):
        found["dimensions"] = _dimensions(found["dimensions"])
    if isinstance(found.get("metricQueries"), list):
        found["metrics"] = [_metric_query(one) for one in found.pop("metricQueries") if isinstance(one, dict)]
    return found


def _dimensions(given: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": key, "value": value} for key, value in given.items()]


def _metric_query(query: dict[str, Any]) -> dict[str, Any]:
    """A query of CloudFormation has the metric, its period and its statistic apart."""
    found = dict(query)
    metric = found.pop("metric", None)
    if isinstance(metric, dict):
        named = {key: value for key, value in metric.items() if key not in ("period", "stat")}
        if isinstance(named.get("dimensions"), dict):
            named["dimensions"] = _dimensions(named["dimensions"])
        found["metricStat"] = {"metric": named, **{key: metric[key] for key in ("period", "stat") if key in metric}}
    return found


def _target(inputs: dict[str, Any]) -> dict[str, Any]:
    return {"targets": [inputs]}


_BUCKET = "AWS::S3::Bucket"
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}

_ROWS = {
    "aws:athena/workgroup:Workgroup": _Row(
        "AWS::Athena::WorkGroup",
        {
            "configuration": "workGroupConfiguration",
            "forceDestroy": "recursiveDeleteOption",
            "configuration.resultConfiguration.encryptionConfiguration.kmsKeyArn": "kmsKey",
        },
    ),
    "aws:cloudwatch/eventRule:EventRule": _Row("AWS::Events::Rule", {"forceDestroy": None}),
    "aws:cloudwatch/eventTarget:EventTarget": _Row(
        "AWS::Events::Rule",
        {"targets.targetId": "id", "targets.forceDestroy": None, "targets.rule": None, "targets.eventBusName": None},
        owner="rule",
        reshape=_target,
        filler={"ScheduleExpression": "rate(1 hour)"},
    ),
    "aws:cloudwatch/logGroup:LogGroup": _Row("AWS::Logs::LogGroup", {"name": "logGroupName", "skipDestroy": None}),
    "aws:cloudwatch/logStream:LogStream": _Row("AWS::Logs::LogStream", {"name": "logStreamName"}),
    "aws:cloudwatch/dashboard:Dashboard": _Row("AWS::CloudWatch::Dashboard"),
    "aws:cloudwatch/metricAlarm:MetricAlarm": _Row(
        "AWS::CloudWatch::Alarm",
        {"name": "alarmName", "evaluateLowSampleCountPercentiles": "evaluateLowSampleCountPercentile"},
        reshape=_alarm,
    ),
    "aws:glue/catalogDatabase:CatalogDatabase": _Row(
        "AWS::Glue::Database",
        {
            **{key: f"databaseInput/{key}" for key in ("name", "description", "locationUri", "parameters")},
            "createTableDefaultPermissions": "databaseInput/createTableDefaultPermissions",
            "tags": None,
        },
        filler={"CatalogId": "123456789012"},
    ),
    "aws:glue/catalogTable:CatalogTable": _Row(
        "AWS::Glue::Table",
        {
            key: f"tableInput/{key}"
            for key in (
                "name",
                "description",
                "owner",
                "parameters",
                "partitionKeys",
                "retention",
                "storageDescriptor",
                "tableType",
                "viewExpandedText",
                "viewOriginalText",
            )
        },
        filler={"CatalogId": "123456789012"},
    ),
    "aws:glue/catalogTableOptimizer:CatalogTableOptimizer": _Row(
        "AWS::Glue::TableOptimizer", {"configuration": "tableOptimizerConfiguration"}
    ),
    "aws:iam/policy:Policy": _Row("AWS::IAM::ManagedPolicy", {"name": "managedPolicyName", "policy": "policyDocument"}),
    "aws:iam/role:Role": _Row(
        "AWS::IAM::Role",
        {"name": "roleName", "assumeRolePolicy": "assumeRolePolicyDocument", "forceDetachPolicies": None},
    ),
    "aws:iam/rolePolicy:RolePolicy": _Row(
        "AWS::IAM::RolePolicy", {"role": "roleName", "name": "policyName", "policy": "policyDocument"}
    ),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": _Row(
        "AWS::IAM::Role",
        {"policyArn": "managedPolicyArns", "role": None},
        owner="role",
        filler={"AssumeRolePolicyDocument": _TRUST},
    ),
    "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream": _Row(
        "AWS::KinesisFirehose::DeliveryStream",
        {
            "name": "deliveryStreamName",
            "destination": None,
            "kinesisSourceConfiguration": "kinesisStreamSourceConfiguration",
            "extendedS3Configuration": "extendedS3DestinationConfiguration",
            "extendedS3Configuration.bufferingInterval": "bufferingHints/intervalInSeconds",
            "extendedS3Configuration.bufferingSize": "bufferingHints/sizeInMBs",
            "icebergConfiguration": "icebergDestinationConfiguration",
            "icebergConfiguration.catalogArn": "catalogConfiguration/catalogArn",
            "icebergConfiguration.bufferingInterval": "bufferingHints/intervalInSeconds",
            "icebergConfiguration.bufferingSize": "bufferingHints/sizeInMBs",
            "icebergConfiguration.destinationTableConfigurations": "destinationTableConfigurationList",
            "icebergConfiguration.destinationTableConfigurations.databaseName": "destinationDatabaseName",
            "icebergConfiguration.destinationTableConfigurations.tableName": "destinationTableName",
            "icebergConfiguration.processingConfiguration": "processingConfiguration",
        },
        filler={"DeliveryStreamType": "KinesisStreamAsSource"},
    ),
    "aws:kinesis/stream:Stream": _Row(
        "AWS::Kinesis::Stream",
        {
            "encryptionType": "streamEncryption/encryptionType",
            "kmsKeyId": "streamEncryption/keyId",
            "retentionPeriod": "retentionPeriodHours",
            "shardLevelMetrics": "desiredShardLevelMetrics",
            "warmThroughputMibPs": "warmThroughputMiBps",
            "enforceConsumerDeletion": None,
        },
    ),
    "aws:lambda/function:Function": _Row(
        "AWS::Lambda::Function",
        {"name": "functionName", "code": None, "sourceCodeHash": None, "publish": None, "skipDestroy": None},
        filler={"Code": {"S3Bucket": "placeholder", "S3Key": "code.zip"}},
    ),
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": _Row(
        "AWS::Lambda::EventInvokeConfig", filler={"Qualifier": "$LATEST"}
    ),
    "aws:lambda/permission:Permission": _Row(
        "AWS::Lambda::Permission", {"function": "functionName", "statementId": None}
    ),
    "aws:s3/bucket:Bucket": _Row(_BUCKET, {"bucket": "bucketName", "forceDestroy": None}),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": _Row(
        _BUCKET,
        {
            "bucket": None,
            "rules": "lifecycleConfiguration/rules",
            "rules.filter": ".",
            "rules.expiration": ".",
            "rules.expiration.days": "expirationInDays",
            "rules.transitions.days": "transitionInDays",
        },
        owner="bucket",
    ),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": _Row(
        _BUCKET, {"bucket": None, "rule": "ownershipControls/rules"}, owner="bucket"
    ),
    "aws:s3/bucketPolicy:BucketPolicy": _Row("AWS::S3::BucketPolicy", {"policy": "policyDocument"}),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _Row(
        _BUCKET,
        {
            "bucket": None,
            "skipDestroy": None,
            **{
                key: f"publicAccessBlockConfiguration/{key}"
                for key in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
            },
        },
        owner="bucket",
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": _Row(
        _BUCKET,
        {
            "bucket": None,
            "rules": "bucketEncryption/serverSideEncryptionConfiguration",
            "rules.applyServerSideEncryptionByDefault": "serverSideEncryptionByDefault",
        },
        owner="bucket",
    ),
    "aws:s3/bucketVersioning:BucketVersioning": _Row(_BUCKET, {"bucket": None}, owner="bucket"),
    "aws:sns/topic:Topic": _Row("AWS::SNS::Topic", {"name": "topicName"}),
    "aws:sns/topicPolicy:TopicPolicy": _Row("AWS::SNS::TopicPolicy", {"arn": "topics", "policy": "policyDocument"}),
    "aws:sns/topicSubscription:TopicSubscription": _Row(
        "AWS::SNS::Subscription",
        {"topic": "topicArn", "confirmationTimeoutInMinutes": None, "endpointAutoConfirms": None},
    ),
    "aws:sqs/queue:Queue": _Row(
        "AWS::SQS::Queue",
        {
            "name": "queueName",
            "maxMessageSize": "maximumMessageSize",
            "messageRetentionSeconds": "messageRetentionPeriod",
            "receiveWaitTimeSeconds": "receiveMessageWaitTimeSeconds",
            "visibilityTimeoutSeconds": "visibilityTimeout",
        },
    ),
    "aws:sqs/queuePolicy:QueuePolicy": _Row(
        "AWS::SQS::QueuePolicy", {"queueUrl": "queues", "policy": "policyDocument"}
    ),
}


def _normal(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


class _Walk:
    """Translates the inputs of one resource along the schema of its CloudFormation type."""

    def __init__(self, row: _Row) -> None:
        self.renames = row.renames
        self.root = _schema(row.type)
        self.unmapped: list[str] = []

    def resolve(self, schema: dict[str, Any]) -> dict[str, Any]:
        """The schema behind references, or the alternative that has members."""
        while "$ref" in schema:
            schema = self.root["definitions"][schema["$ref"].rpartition("/")[2]]
        if "properties" not in schema and "items" not in schema:
            for one in [*schema.get("oneOf", []), *schema.get("anyOf", [])]:
                inner = self.resolve(one)
                if "properties" in inner or "items" in inner:
                    return inner
        return schema

    def member(self, schema: dict[str, Any], name: str) -> str | None:
        properties = schema.get("properties", {})
        wanted = _normal(name)
        return next((one for one in properties if _normal(one) == wanted), None)

    def value(self, value: Any, schema: dict[str, Any], path: str) -> Any:
        schema = self.resolve(schema)
        if "properties" in schema:
            if isinstance(value, list) and len(value) == 1:
                value = value[0]
            return self.object(value, schema, path) if isinstance(value, dict) else value
        if "items" in schema:
            items = value if isinstance(value, list) else [value]
            return [self.value(item, schema["items"], path) for item in items]
        kinds = schema.get("type", ())
        if (
            isinstance(value, str)
            and value.startswith("{")
            and "object" in ([kinds] if isinstance(kinds, str) else kinds)
        ):
            try:
                return json.loads(value)
            except ValueError:
                return value
        return value

    def object(self, values: dict[str, Any], schema: dict[str, Any], path: str) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, value in values.items():
            if value is None:
                continue
            here = f"{path}.{key}".lstrip(".")
            rename = self.renames.get(here, key)
            if rename is None:
                continue
            if rename == ".":
                inner = self.object(value, schema, here) if isinstance(value, dict) else {key: value}
                result.update(inner)
                continue
            target, inside = result, schema
            *front, last = rename.split("/")
            for step in front:
                name = self.member(inside, step)
                assert name, f"{here}: the row of this type names {step}, which the schema does not have"
                target = target.setdefault(name, {})
                inside = self.resolve(inside["properties"][name])
            name = self.member(inside, last)
            if name is None:
                self.unmapped.append(here)
                continue
            new = self.value(value, inside["properties"][name], here)
            if isinstance(target.get(name), dict) and isinstance(new, dict):
                target[name].update(new)
            else:
                target[name] = new
        return result


@functools.cache
def _schema(type: str) -> dict[str, Any]:
    schema: dict[str, Any] = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, type).schema
    return schema


def _properties(node: Node) -> dict[str, Any]:
    """The properties of a resource, without those of `filler`; Unmapped names inputs without a counterpart."""
    if node.type not in _ROWS:
        raise Unmapped(f"{node.label}: no CloudFormation type for {node.type}")
    row = _ROWS[node.type]
    inputs = {key: value for key, value in node.inputs.items() if key != "region"}
    name = name_input(node.type)
    if has_physical_name(node.type) and node.physical_name is not None:
        inputs.setdefault(name, node.physical_name)
    if node.kind == "EventTarget":
        inputs.setdefault("targetId", node.outputs.get("targetId"))
    walk = _Walk(row)
    tags = inputs.get("tags")
    if isinstance(tags, dict) and "items" in walk.resolve(walk.root["properties"].get("Tags", {})):
        inputs["tags"] = [{"key": key, "value": value} for key, value in tags.items()]
    properties = walk.object(row.reshape(inputs), walk.resolve(walk.root), "")
    if walk.unmapped:
        raise Unmapped(f"{node.label}: no CloudFormation property for {', '.join(walk.unmapped)}")
    return properties


def resource(node: Node) -> dict[str, Any]:
    """One resource alone, with all that its CloudFormation type asks for; what is merged into another stands for it."""
    row = _ROWS.get(node.type)
    properties = _properties(node)
    assert row is not None
    return {"Type": row.type, "Properties": {**row.filler, **properties}}


def template(graph: Graph) -> dict[str, Any]:
    """The template of a graph without unknown values; Unmapped lists every input that has no counterpart."""
    resources: dict[str, Any] = {}
    by_name: dict[tuple[str, str], dict[str, Any]] = {}
    problems: list[str] = []
    for node in sorted(graph.custom, key=lambda one: (node_row(one).owner is not None, one.order)):
        if node.type in OUTSIDE:
            continue
        if has_unknown(node.inputs):
            raise ValueError(f"{node.label} has unknown values: a preview cannot be linted.")
        row = node_row(node)
        try:
            properties = _properties(node)
        except Unmapped as error:
            problems.append(str(error))
            continue
        if row.owner is None:
            made = {"Type": row.type, "Properties": {**row.filler, **properties}}
            resources[logical_id(node)] = made
            by_name[row.type, node.physical_name or node.id] = made
            continue
        owner = by_name.get((row.type, node.inputs[row.owner]))
        if owner is None:
            problems.append(f"{node.label}: no {row.type} is called {node.inputs[row.owner]}")
            continue
        for key, value in properties.items():
            if isinstance(value, list):
                owner["Properties"].setdefault(key, []).extend(value)
            elif key in owner["Properties"]:
                problems.append(f"{node.label}: a second {key} of {node.inputs[row.owner]}")
            else:
                owner["Properties"][key] = value
    if problems:
        raise Unmapped("; ".join(problems))
    return {"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}


def handler_permissions(type: str) -> set[str]:
    """What CloudFormation itself must be allowed to make, read, change and delete a resource of this type."""
    if type not in _ROWS:
        return set()
    handlers = _schema(_ROWS[type].type).get("handlers", {})
    return {action for handler in handlers.values() for action in handler["permissions"]}


def node_row(node: Node) -> _Row:
    """The row of a resource; an empty one for types outside CloudFormation."""
    if node.type in OUTSIDE:
        return _Row("")
    if node.type not in _ROWS:
        raise Unmapped(f"{node.label}: no CloudFormation type for {node.type}")
    return _ROWS[node.type]


def logical_id(node: Node) -> str:
    """The name of a resource in the template."""
    return re.sub(r"[^A-Za-z0-9]", "", node.kind + node.name.title())


@functools.cache
def _runner() -> Runner:
    """cfn-lint with its rules and schemas loaded; about a second, once a process."""
    runner = Runner(ConfigMixIn(**ManualArgs(regions=[REGION], include_checks=_INFORMATION)))
    _let_look_up_once(type(runner.rules.data["E1101"]))
    return runner


def _let_look_up_once(by_path: Any) -> None:
    """Let cfn-lint find what it finds, sooner: at each value it looks up the fields of its own classes, and asks each
    of its rules whether it is for the path of the value. by_path: the class that does the latter."""
    for module in (cfnlint.context.context, cfnlint.jsonschema.validators, cfnlint.jsonschema._filter):
        module.fields = functools.cache(dataclasses.fields)
    of_any_path = by_path.cfnLint

    def of_known_paths(self: Any, validator: Any, paths: Any, instance: Any, schema: Any) -> Any:
        if not hasattr(self, "known_paths"):
            rules = [rule for rule in self.child_rules.values() if rule is not None]
            self.known_paths = {path for rule in rules for path in rule.keywords}
        known = [path for path in paths if path in self.known_paths]
        return of_any_path(self, validator, known, instance, schema) if known else ()

    by_path.cfnLint = of_known_paths


def lint(template: dict[str, Any]) -> list[str]:
    """What cfn-lint finds in a template, as `E3002 Resources/X/Properties/Y: text`."""
    marked = convert_dict(json.loads(json.dumps(template)))
    return [
        f"{match.rule.id} {'/'.join(map(str, match.path or []))}: {match.message}"
        for match in _runner().validate_template(marked)
    ]


def check_node(node: Node) -> list[str]:
    """The findings of cfn-lint for one resource alone; about ten times as fast as `check`."""
    if node.type in OUTSIDE:
        return []
    try:
        return lint_resources({"Resource": resource(node)})["Resource"]
    except Unmapped as error:
        return [str(error)]


def lint_resources(resources: Mapping[str, dict[str, Any]]) -> dict[str, list[str]]:
    """Lint many unrelated resources at once: logical id -> findings, without the id in their texts."""
    found: dict[str, list[str]] = {key: [] for key in resources}
    keys = list(resources)
    for start in range(0, len(keys), RESOURCES_MAX):
        part = {key: resources[key] for key in keys[start : start + RESOURCES_MAX]}
        for text in lint({"AWSTemplateFormatVersion": "2010-09-09", "Resources": part}):
            match = re.match(r"(\w+) Resources/(\w+)(.*)", text, re.DOTALL)
            if match and match[2] in found:
                found[match[2]].append(f"{match[1]} {match[3].replace(match[2], '')}")
    return found


def check(graph: Graph) -> list[str]:
    """The findings of cfn-lint for a graph; unmapped inputs are findings as well."""
    try:
        return lint(template(graph))
    except Unmapped as error:
        return [str(error)]
