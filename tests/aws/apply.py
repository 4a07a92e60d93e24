"""Creates what a program registers through boto3, in an emulator of AWS; a `Provider` of the stand-in engine.

Inputs are matched to the parameters of AWS's APIs by name, along botocore's shapes; where the names differ a row of
`_ROWS` says how. An input without a counterpart is an error and never dropped. What the services answer (ARNs, URLs,
ids) is what the program goes on with.
"""

from __future__ import annotations

import functools
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import graph as graphs
import lambda_zip
from botocore.config import Config
from botocore.exceptions import ClientError
from engine import Provider

from patience import patient

STREAM_ACTIVE_S = 30


class Unmapped(Exception):
    """An input, or a type, that has no counterpart in AWS's APIs here."""


Shape = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class _Call:
    """One call of the API for one resource.

    `renames`: path of an input -> path of the parameter, from the structure that holds it; None leaves the input
    out. `only`: the inputs this call takes, which no other call of the row takes; the call is left out when there are
    none. Without `only` it takes all others. `keep`: inputs it needs as well. `answers`: output -> path in the answer.
    """

    service: str
    operation: str
    renames: Mapping[str, str | None] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)
    reshape: Shape = dict
    only: frozenset[str] | None = None
    keep: tuple[str, ...] = ()
    answers: Mapping[str, str] = field(default_factory=dict)


def _tag_list(inputs: dict[str, Any]) -> dict[str, Any]:
    if isinstance(inputs.get("tags"), dict):
        return {**inputs, "tags": [{"key": key, "value": value} for key, value in inputs["tags"].items()]}
    return inputs


def _tag_set(inputs: dict[str, Any]) -> dict[str, Any]:
    return {**inputs, "tags": _tag_list(inputs)["tags"]}


def _attributes(names: Mapping[str, str]) -> Shape:
    """Moves inputs into the map `attributes` of texts, under the names that the service has for them."""

    def reshape(inputs: dict[str, Any]) -> dict[str, Any]:
        rest = {key: value for key, value in inputs.items() if key not in names}
        attributes = {names[key]: _attribute(value) for key, value in inputs.items() if key in names}
        return {**rest, "attributes": attributes}

    return reshape


def _attribute(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _alarm(inputs: dict[str, Any]) -> dict[str, Any]:
    """A metric, or several under `metrics`; dimensions as lists."""
    if "metricQueries" in inputs:
        rest = {key: value for key, value in inputs.items() if key != "metricQueries"}
        return _tag_list({**rest, "metrics": [_metric_query(one) for one in inputs["metricQueries"]]})
    return _tag_list({**inputs, "dimensions": _dimensions(inputs.get("dimensions"))})


def _dimensions(given: dict[str, Any] | None) -> list[dict[str, Any]]:
    return [{"name": key, "value": value} for key, value in (given or {}).items()]


def _metric_query(query: dict[str, Any]) -> dict[str, Any]:
    given = dict(query)
    if metric := given.pop("metric", None):
        named = {"namespace": metric["namespace"], "metricName": metric["metricName"]}
        named["dimensions"] = _dimensions(metric["dimensions"])
        given["metricStat"] = {"metric": named, "period": metric["period"], "stat": metric["stat"]}
        given["returnData"] = given.get("returnData", False)
    return given


def _target(inputs: dict[str, Any]) -> dict[str, Any]:
    return {"rule": inputs["rule"], "targets": [{key: value for key, value in inputs.items() if key != "rule"}]}


def _body(inputs: dict[str, Any]) -> dict[str, Any]:
    result = dict(inputs)
    if "source" in result:
        source = result.pop("source")
        result["body"] = source["text"].encode() if "text" in source else Path(source["path"]).read_bytes()
    elif "content" in result:
        result["body"] = result.pop("content").encode()
    return result


def _code(inputs: dict[str, Any]) -> dict[str, Any]:
    result = {key: value for key, value in inputs.items() if key != "code"}
    result["code"] = {"zipFile": lambda_zip.zip_of(inputs["code"])}
    return result


def _text_policy(key: str) -> Shape:
    def reshape(inputs: dict[str, Any]) -> dict[str, Any]:
        value = inputs.get(key)
        return {**inputs, key: json.dumps(value) if isinstance(value, dict) else value}

    return reshape


_GLUE_TABLE = ("name", "description", "owner", "parameters", "partitionKeys", "retention", "storageDescriptor",
               "viewExpandedText", "viewOriginalText")  # fmt: skip

_QUEUE = {
    "delaySeconds": "DelaySeconds",
    "kmsMasterKeyId": "KmsMasterKeyId",
    "maxMessageSize": "MaximumMessageSize",
    "messageRetentionSeconds": "MessageRetentionPeriod",
    "receiveWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds",
    "redrivePolicy": "RedrivePolicy",
    "sqsManagedSseEnabled": "SqsManagedSseEnabled",
    "visibilityTimeoutSeconds": "VisibilityTimeout",
}
_TOPIC = {"displayName": "DisplayName", "kmsMasterKeyId": "KmsMasterKeyId", "policy": "Policy"}

_ROWS: dict[str, tuple[_Call, ...]] = {
    "aws:athena/workgroup:Workgroup": (
        _Call("athena", "CreateWorkGroup", {"forceDestroy": None}, reshape=_tag_list),
        _Call("athena", "UpdateWorkGroup", {"name": "workGroup"}, only=frozenset({"state"}), keep=("name",)),
    ),
    "aws:cloudwatch/dashboard:Dashboard": (_Call("cloudwatch", "PutDashboard"),),
    "aws:cloudwatch/eventRule:EventRule": (
        _Call("events", "PutRule", {"forceDestroy": None}, reshape=_tag_list, answers={"arn": "RuleArn"}),
    ),
    "aws:cloudwatch/eventTarget:EventTarget": (
        _Call(
            "events",
            "PutTargets",
            {"targets.targetId": "id", "targets.forceDestroy": None, "targets.eventBusName": None},
            reshape=_target,
        ),
    ),
    "aws:cloudwatch/logGroup:LogGroup": (
        _Call("logs", "CreateLogGroup", {"name": "logGroupName", "skipDestroy": None}),
        _Call(
            "logs",
            "PutRetentionPolicy",
            {"name": "logGroupName"},
            only=frozenset({"retentionInDays"}),
            keep=("name",),
        ),
    ),
    "aws:cloudwatch/logStream:LogStream": (_Call("logs", "CreateLogStream", {"name": "logStreamName"}),),
    "aws:cloudwatch/metricAlarm:MetricAlarm": (
        _Call("cloudwatch", "PutMetricAlarm", {"name": "alarmName"}, reshape=_alarm),
    ),
    "aws:glue/catalogDatabase:CatalogDatabase": (
        _Call(
            "glue",
            "CreateDatabase",
            {key: f"databaseInput/{key}" for key in ("name", "description", "locationUri", "parameters")},
        ),
    ),
    "aws:glue/catalogTable:CatalogTable": (
        _Call("glue", "CreateTable", {key: f"tableInput/{key}" for key in (*_GLUE_TABLE, "tableType")}),
    ),
    "aws:glue/catalogTableOptimizer:CatalogTableOptimizer": (
        _Call("glue", "CreateTableOptimizer", {"configuration": "tableOptimizerConfiguration"}),
    ),
    "aws:iam/policy:Policy": (
        _Call(
            "iam",
            "CreatePolicy",
            {"name": "policyName", "policy": "policyDocument"},
            reshape=_text_policy("policy"),
            answers={"arn": "Policy.Arn"},
        ),
    ),
    "aws:iam/role:Role": (
        _Call(
            "iam",
            "CreateRole",
            {"name": "roleName", "assumeRolePolicy": "assumeRolePolicyDocument", "forceDetachPolicies": None},
            reshape=lambda inputs: _tag_list(_text_policy("assumeRolePolicy")(inputs)),
            answers={"arn": "Role.Arn", "uniqueId": "Role.RoleId"},
        ),
    ),
    "aws:iam/rolePolicy:RolePolicy": (
        _Call(
            "iam",
            "PutRolePolicy",
            {"role": "roleName", "name": "policyName", "policy": "policyDocument"},
            reshape=_text_policy("policy"),
        ),
    ),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": (_Call("iam", "AttachRolePolicy", {"role": "roleName"}),),
    "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream": (
        _Call(
            "firehose",
            "CreateDeliveryStream",
            {
                "name": "deliveryStreamName",
                "destination": None,
                "kinesisSourceConfiguration": "kinesisStreamSourceConfiguration",
                "extendedS3Configuration": "extendedS3DestinationConfiguration",
                "extendedS3Configuration.bufferingInterval": "bufferingHints/intervalInSeconds",
                "extendedS3Configuration.bufferingSize": "bufferingHints/sizeInMBs",
            },
            {"DeliveryStreamType": "KinesisStreamAsSource"},
            reshape=_tag_list,
            answers={"arn": "DeliveryStreamARN"},
        ),
    ),
    "aws:kinesis/stream:Stream": (
        _Call(
            "kinesis",
            "CreateStream",
            {"name": "streamName", "enforceConsumerDeletion": None, "warmThroughputMibPs": "warmThroughputMiBps"},
        ),
        _Call(
            "kinesis",
            "IncreaseStreamRetentionPeriod",
            {"name": "streamName", "retentionPeriod": "retentionPeriodHours"},
            only=frozenset({"retentionPeriod"}),
            keep=("name",),
        ),
        _Call(
            "kinesis",
            "StartStreamEncryption",
            {"name": "streamName", "kmsKeyId": "keyId"},
            only=frozenset({"encryptionType", "kmsKeyId"}),
            keep=("name",),
        ),
    ),
    "aws:lambda/function:Function": (
        _Call(
            "lambda",
            "CreateFunction",
            {"name": "functionName", "sourceCodeHash": None, "skipDestroy": None},
            reshape=_code,
            answers={"arn": "FunctionArn"},
        ),
        _Call(
            "lambda",
            "PutFunctionConcurrency",
            {"name": "functionName"},
            only=frozenset({"reservedConcurrentExecutions"}),
            keep=("name",),
        ),
    ),
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": (
        _Call("lambda", "PutFunctionEventInvokeConfig"),
    ),
    "aws:lambda/invocation:Invocation": (
        _Call("lambda", "Invoke", {"input": "payload", "lifecycleScope": None, "triggers": None}),
    ),
    "aws:lambda/permission:Permission": (_Call("lambda", "AddPermission", {"function": "functionName"}),),
    "aws:s3/bucket:Bucket": (
        _Call("s3", "CreateBucket", {"forceDestroy": None}),
        _Call(
            "s3",
            "PutBucketTagging",
            {"tags": "tagging/tagSet"},
            reshape=_tag_set,
            only=frozenset({"tags"}),
            keep=("bucket",),
        ),
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": (
        _Call("s3", "PutBucketLifecycleConfiguration", {"rules": "lifecycleConfiguration/rules"}),
    ),
    "aws:s3/bucketObject:BucketObject": (_Call("s3", "PutObject", {"forceDestroy": None}, reshape=_body),),
    "aws:s3/bucketObjectv2:BucketObjectv2": (_Call("s3", "PutObject", {"forceDestroy": None}, reshape=_body),),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": (
        _Call("s3", "PutBucketOwnershipControls", {"rule": "ownershipControls/rules"}),
    ),
    "aws:s3/bucketPolicy:BucketPolicy": (_Call("s3", "PutBucketPolicy", reshape=_text_policy("policy")),),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": (
        _Call(
            "s3",
            "PutPublicAccessBlock",
            {
                "skipDestroy": None,
                **{
                    key: f"publicAccessBlockConfiguration/{key}"
                    for key in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
                },
            },
        ),
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        _Call("s3", "PutBucketEncryption", {"rules": "serverSideEncryptionConfiguration/rules"}),
    ),
    "aws:s3/bucketVersioning:BucketVersioning": (_Call("s3", "PutBucketVersioning"),),
    "aws:sns/topic:Topic": (
        _Call(
            "sns",
            "CreateTopic",
            reshape=lambda inputs: _tag_list(_attributes(_TOPIC)(inputs)),
            answers={"arn": "TopicArn"},
        ),
    ),
    "aws:sns/topicPolicy:TopicPolicy": (
        _Call(
            "sns",
            "SetTopicAttributes",
            {"arn": "topicArn", "policy": "attributeValue"},
            {"AttributeName": "Policy"},
            reshape=_text_policy("policy"),
        ),
    ),
    "aws:sns/topicSubscription:TopicSubscription": (
        _Call(
            "sns",
            "Subscribe",
            {"topic": "topicArn"},
            {"ReturnSubscriptionArn": True},
            reshape=_attributes({"rawMessageDelivery": "RawMessageDelivery", "filterPolicy": "FilterPolicy"}),
            answers={"arn": "SubscriptionArn"},
        ),
    ),
    "aws:sqs/queue:Queue": (
        _Call("sqs", "CreateQueue", {"name": "queueName"}, reshape=_attributes(_QUEUE), answers={"url": "QueueUrl"}),
    ),
    "aws:sqs/queuePolicy:QueuePolicy": (
        _Call(
            "sqs",
            "SetQueueAttributes",
            reshape=lambda inputs: _attributes({"policy": "Policy"})(_text_policy("policy")(inputs)),
        ),
    ),
}


def types() -> frozenset[str]:
    """The types that can be created."""
    return frozenset(_ROWS)


ACTION_OF = {
    ("lambda", "Invoke"): "InvokeFunction",
    ("s3", "PutBucketEncryption"): "PutEncryptionConfiguration",
    ("s3", "PutBucketLifecycleConfiguration"): "PutLifecycleConfiguration",
    ("s3", "PutPublicAccessBlock"): "PutBucketPublicAccessBlock",
}
"""Operations whose action has another name: Amazon S3 and AWS Lambda API references, "Required permissions"."""


def operations(type: str, inputs: dict[str, Any]) -> list[tuple[str, str]]:
    """The (service, operation)s with which a resource with these inputs is created."""
    made = [call for call in _ROWS[type] if call.only is None or call.only & inputs.keys()]
    return [(call.service, call.operation) for call in made]


def _normal(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def translate(value: Any, shape: Any, path: str, renames: Mapping[str, str | None], unmapped: list[str]) -> Any:
    """A value with Pulumi's keys -> one with those of a botocore shape; unknown keys are added to `unmapped`."""
    if shape.type_name == "structure":
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if not isinstance(value, dict):
            return value
        result: dict[str, Any] = {}
        for key, item in value.items():
            if item is None:
                continue
            here = f"{path}.{key}".lstrip(".")
            rename = renames.get(here, key)
            if rename is None:
                continue
            target, inside = result, shape
            *front, last = rename.split("/")
            for step in front:
                name = _member(inside, step)
                assert name, f"{here}: the row of this type names {step}, which the API does not have"
                target = target.setdefault(name, {})
                inside = inside.members[name]
            name = _member(inside, last)
            if name is None:
                unmapped.append(here)
                continue
            new = translate(item, inside.members[name], here, renames, unmapped)
            if isinstance(target.get(name), dict) and isinstance(new, dict):
                target[name].update(new)
            else:
                target[name] = new
        return result
    if shape.type_name == "list":
        items = value if isinstance(value, list) else [value]
        return [translate(item, shape.member, path, renames, unmapped) for item in items]
    if shape.type_name == "map" and isinstance(value, dict):
        return {key: translate(item, shape.value, f"{path}.*", renames, unmapped) for key, item in value.items()}
    if shape.type_name == "string" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return value


def _member(shape: Any, name: str) -> str | None:
    wanted = _normal(name)
    return next((one for one in shape.members if _normal(one) == wanted), None)


class Emulator(Provider):
    """Creates resources at `endpoint`; `endpoints` has those of services that are elsewhere.

    `calls` are (service, operation) in the order in which they were made. Account and region are the emulator's own.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        region: str = graphs.REGION,
        endpoints: Mapping[str, str] | None = None,
        access_key: str = "test",
        secret_key: str = "test",
    ) -> None:
        super().__init__()
        self.endpoint = endpoint
        self.endpoints = dict(endpoints or {})
        self.region = region
        self.session = boto3.Session(aws_access_key_id=access_key, aws_secret_access_key=secret_key, region_name=region)
        self.calls: list[tuple[str, str]] = []
        self.invocations: list[tuple[str, Any]] = []
        self.account: str = self.client("sts").get_caller_identity()["Account"]

    @functools.cache  # noqa: B019 - lives as long as one test
    def client(self, service: str) -> Any:
        """The boto3 client of a service; clients may be shared between threads."""
        return self.session.client(
            service,
            endpoint_url=self.endpoints.get(service, self.endpoint),
            config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
        )

    def check(self, type: str, inputs: dict[str, Any]) -> list[str]:
        return [] if type in _ROWS else [f"no API for {type}"]

    def create(self, type: str, name: str, urn: str, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Make the calls of the type's row; the outputs have what the services answered."""
        _, outputs = self._answer(type, name, urn, inputs)
        given = {key: value for key, value in inputs.items() if key != "region"}
        key = graphs.name_input(type)
        if graphs.has_physical_name(type):
            given[key] = outputs[key]
        for generated in {"EventTarget": ("targetId",), "Permission": ("statementId",)}.get(
            type.rpartition(":")[2], ()
        ):
            given.setdefault(generated, outputs[generated])
        calls = _ROWS[type]
        claimed = frozenset(one for call in calls for one in call.only or ())
        known: dict[str, str] = {}
        for call in calls:
            if call.only is None:
                part = {key: value for key, value in given.items() if key not in claimed}
            elif call.only & given.keys():
                part = {key: given[key] for key in (*call.only, *call.keep) if key in given}
            else:
                continue
            if self._is_default(call, part):
                continue
            answer = self._call(type, name, call, part)
            for output, path in call.answers.items():
                known[output] = functools.reduce(lambda value, step: value[step], path.split("."), answer)
            if call.operation == "Invoke":
                known["result"] = self._result(answer, part)
        if type == "aws:kinesis/stream:Stream":
            self._wait_for_stream(outputs["name"])
        return self._answer(type, name, urn, inputs, known)

    def _answer(
        self, type: str, name: str, urn: str, inputs: dict[str, Any], known: dict[str, str] | None = None
    ) -> tuple[str, dict[str, Any]]:
        return graphs.provider_answer(type, name, urn, inputs, account=self.account, region=self.region, known=known)

    def _is_default(self, call: _Call, part: dict[str, Any]) -> bool:
        """What new resources have anyway; the API refuses some of it."""
        return (call.operation == "IncreaseStreamRetentionPeriod" and part["retentionPeriod"] == 24) or (
            call.operation == "UpdateWorkGroup" and part["state"] == "ENABLED"
        )

    def _call(self, type: str, name: str, call: _Call, part: dict[str, Any]) -> Any:
        client = self.client(call.service)
        shape = client.meta.service_model.operation_model(call.operation).input_shape
        unmapped: list[str] = []
        parameters = {**translate(call.reshape(part), shape, "", call.renames, unmapped), **call.constants}
        if unmapped:
            raise Unmapped(f"{type} {name}: {call.service}:{call.operation} has no parameter for {', '.join(unmapped)}")
        if call.operation == "CreateBucket" and self.region != "us-east-1":
            parameters["CreateBucketConfiguration"] = {"LocationConstraint": self.region}
        if call.operation == "IncreaseStreamRetentionPeriod":
            self._wait_for_stream(parameters["StreamName"])
        if call.operation == "StartStreamEncryption":
            self._wait_for_stream(parameters["StreamName"])
        self.calls.append((call.service, call.operation))
        method = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", call.operation).lower()
        return getattr(client, method)(**parameters)

    def _result(self, answer: Any, part: dict[str, Any]) -> str:
        payload: str = answer["Payload"].read().decode()
        self.invocations.append((part["functionName"], json.loads(payload or "null")))
        if answer.get("FunctionError"):
            raise RuntimeError(f"{part['functionName']}: {answer['FunctionError']}: {payload}")
        return payload

    def _wait_for_stream(self, name: str) -> None:
        deadline = time.monotonic() + patient(STREAM_ACTIVE_S)
        while True:
            summary = self.client("kinesis").describe_stream_summary(StreamName=name)
            status = summary["StreamDescriptionSummary"]["StreamStatus"]
            if status == "ACTIVE":
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"Stream {name} is {status} after {STREAM_ACTIVE_S} s.")
            time.sleep(0.05)

    def read(self, type: str, name: str, urn: str, id: str, inputs: dict[str, Any]) -> dict[str, Any]:
        known = {graphs.name_input(type): id, **inputs} if graphs.has_physical_name(type) else inputs
        return self._answer(type, name, urn, known)[1]

    def invoke(self, token: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if token == graphs.GET_CATALOG_TABLE:
            return self._catalog_table(arguments["databaseName"], arguments["name"])
        return graphs.invoke_answer(token, account=self.account, region=self.region)

    def _catalog_table(self, database: str, name: str) -> dict[str, Any]:
        """The answer of getCatalogTable, from the emulator's Glue."""
        try:
            found = self.client("glue").get_table(DatabaseName=database, Name=name)["Table"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "EntityNotFoundException":
                raise
            raise graphs.missing_table(database, name, self.account) from None

        def columns(given: list[dict[str, str]]) -> list[dict[str, str]]:
            return [{"name": one["Name"], "type": one["Type"]} for one in given]

        return {
            "databaseName": database,
            "name": name,
            "partitionKeys": columns(found.get("PartitionKeys", [])),
            "parameters": found.get("Parameters", {}),
            "storageDescriptors": [{"columns": columns(found["StorageDescriptor"]["Columns"])}],
        }


def apply(graph: graphs.Graph, emulator: Emulator) -> dict[str, tuple[str, dict[str, Any]]]:
    """Create a recorded graph as it is, in the order of its registration: URN -> (id, outputs).

    ARNs in its inputs are those of the recording; a program run in the engine with the emulator as its provider gets
    the emulator's own.
    """
    made = {}
    for node in sorted(graph.custom, key=lambda one: one.order):
        made[node.urn] = emulator.create(node.type, node.name, node.urn, node.inputs)
    return made
