"""What becomes of resources in the emulator after they were created: read, changed, deleted.

`apply` creates them. A row here says for a kind how AWS describes and deletes it; a change is the call that creates the
resource once more where that call puts, and otherwise one of `_CHANGES`. What nothing here can change is an error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import apply
from botocore.exceptions import ClientError

State = Mapping[str, Any]

PUT = {
    "BucketLifecycleConfiguration",
    "BucketObject",
    "BucketPolicy",
    "BucketPublicAccessBlock",
    "BucketServerSideEncryptionConfiguration",
    "Dashboard",
    "EventRule",
    "EventTarget",
    "FunctionEventInvokeConfig",
    "MetricAlarm",
    "QueuePolicy",
    "RolePolicy",
    "TopicPolicy",
}
"""Kinds whose call that creates them also changes them."""

WITHOUT_A_CALL = {"Bucket": {"forceDestroy"}, "Workgroup": {"forceDestroy"}, "LogGroup": {"skipDestroy"}}
"""Inputs that only the provider knows."""

_GONE = {
    "404",
    "DashboardNotFoundError",
    "ResourceNotFound",
    "EntityNotFoundException",
    "NoSuchBucket",
    "NoSuchBucketPolicy",
    "NoSuchEntity",
    "NoSuchKey",
    "NoSuchLifecycleConfiguration",
    "NoSuchPublicAccessBlockConfiguration",
    "NotFound",
    "QueueDoesNotExist",
    "AWS.SimpleQueueService.NonExistentQueue",
    "ResourceNotFoundException",
    "ServerSideEncryptionConfigurationNotFoundError",
}


class Gone(Exception):
    """The resource is not there."""


def _only(found: list[Any]) -> Any:
    if not found:
        raise Gone
    [one] = found
    return one


def _target(client: Any, state: State) -> Any:
    targets = client.list_targets_by_rule(Rule=state["rule"])["Targets"]
    return _only([one for one in targets if one["Id"] == state["targetId"]])


def _log_group(client: Any, state: State) -> Any:
    groups = client.describe_log_groups(logGroupNamePrefix=state["name"])["logGroups"]
    return _only([one for one in groups if one["logGroupName"] == state["name"]])


def _log_stream(client: Any, state: State) -> Any:
    streams = client.describe_log_streams(logGroupName=state["logGroupName"], logStreamNamePrefix=state["name"])
    return _only([one for one in streams["logStreams"] if one["logStreamName"] == state["name"]])


def _statement(client: Any, state: State) -> Any:
    policy = json.loads(client.get_policy(FunctionName=state["function"])["Policy"])
    found = _only([one for one in policy["Statement"] if one["Sid"] == state["statementId"]])
    return {**found, "Principal": found["Principal"]["Service"]}


def _attachment(client: Any, state: State) -> Any:
    attached = client.list_attached_role_policies(RoleName=state["role"])["AttachedPolicies"]
    return _only([one for one in attached if one["PolicyArn"] == state["policyArn"]])


def _queue_policy(client: Any, state: State) -> Any:
    found = client.get_queue_attributes(QueueUrl=state["queueUrl"], AttributeNames=["Policy"]).get("Attributes", {})
    return _only([found] if found.get("Policy") else [])


def _topic_policy(client: Any, state: State) -> Any:
    found = client.get_topic_attributes(TopicArn=state["arn"])["Attributes"].get("Policy")
    return _only([found] if found else [])


def _workgroup(client: Any, state: State) -> Any:
    try:
        return client.get_work_group(WorkGroup=state["name"])["WorkGroup"]
    except client.exceptions.InvalidRequestException:  # "WorkGroup ... is not found."
        raise Gone from None


def _delete_bucket(client: Any, state: State) -> None:
    if state.get("forceDestroy"):
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=state["bucket"]):
            for each in page.get("Contents", []):
                client.delete_object(Bucket=state["bucket"], Key=each["Key"])
    client.delete_bucket(Bucket=state["bucket"])


def _nothing(client: Any, state: State) -> Any:
    return {}


@dataclass(frozen=True)
class _Life:
    service: str
    describe: Callable[[Any, State], Any]
    delete: Callable[[Any, State], Any]


_KINDS: dict[str, _Life] = {
    "Workgroup": _Life(
        "athena",
        _workgroup,
        lambda to, at: to.delete_work_group(WorkGroup=at["name"], RecursiveDeleteOption=bool(at.get("forceDestroy"))),
    ),
    "Dashboard": _Life(
        "cloudwatch",
        lambda to, at: to.get_dashboard(DashboardName=at["dashboardName"]),
        lambda to, at: to.delete_dashboards(DashboardNames=[at["dashboardName"]]),
    ),
    "EventRule": _Life(
        "events", lambda to, at: to.describe_rule(Name=at["name"]), lambda to, at: to.delete_rule(Name=at["name"])
    ),
    "EventTarget": _Life("events", _target, lambda to, at: to.remove_targets(Rule=at["rule"], Ids=[at["targetId"]])),
    "LogGroup": _Life("logs", _log_group, lambda to, at: to.delete_log_group(logGroupName=at["name"])),
    "LogStream": _Life(
        "logs",
        _log_stream,
        lambda to, at: to.delete_log_stream(logGroupName=at["logGroupName"], logStreamName=at["name"]),
    ),
    "MetricAlarm": _Life(
        "cloudwatch",
        lambda to, at: _only(to.describe_alarms(AlarmNames=[at["name"]])["MetricAlarms"]),
        lambda to, at: to.delete_alarms(AlarmNames=[at["name"]]),
    ),
    "CatalogDatabase": _Life(
        "glue",
        lambda to, at: to.get_database(Name=at["name"])["Database"],
        lambda to, at: to.delete_database(Name=at["name"]),
    ),
    "CatalogTable": _Life(
        "glue",
        lambda to, at: to.get_table(DatabaseName=at["databaseName"], Name=at["name"])["Table"],
        lambda to, at: to.delete_table(DatabaseName=at["databaseName"], Name=at["name"]),
    ),
    "Role": _Life(
        "iam",
        lambda to, at: to.get_role(RoleName=at["name"])["Role"],
        lambda to, at: to.delete_role(RoleName=at["name"]),
    ),
    "RolePolicy": _Life(
        "iam",
        lambda to, at: to.get_role_policy(RoleName=at["role"], PolicyName=at["name"]),
        lambda to, at: to.delete_role_policy(RoleName=at["role"], PolicyName=at["name"]),
    ),
    "RolePolicyAttachment": _Life(
        "iam", _attachment, lambda to, at: to.detach_role_policy(RoleName=at["role"], PolicyArn=at["policyArn"])
    ),
    "FirehoseDeliveryStream": _Life(
        "firehose",
        lambda to, at: to.describe_delivery_stream(DeliveryStreamName=at["name"])["DeliveryStreamDescription"],
        lambda to, at: to.delete_delivery_stream(DeliveryStreamName=at["name"]),
    ),
    "Stream": _Life(
        "kinesis",
        lambda to, at: to.describe_stream_summary(StreamName=at["name"])["StreamDescriptionSummary"],
        lambda to, at: to.delete_stream(StreamName=at["name"], EnforceConsumerDeletion=False),
    ),
    "Function": _Life(
        "lambda",
        lambda to, at: to.get_function_configuration(FunctionName=at["name"]),
        lambda to, at: to.delete_function(FunctionName=at["name"]),
    ),
    "FunctionEventInvokeConfig": _Life(
        "lambda",
        lambda to, at: to.get_function_event_invoke_config(FunctionName=at["functionName"]),
        lambda to, at: to.delete_function_event_invoke_config(FunctionName=at["functionName"]),
    ),
    "Invocation": _Life("lambda", _nothing, _nothing),
    "Permission": _Life(
        "lambda",
        _statement,
        lambda to, at: to.remove_permission(FunctionName=at["function"], StatementId=at["statementId"]),
    ),
    "Bucket": _Life("s3", lambda to, at: to.head_bucket(Bucket=at["bucket"]), _delete_bucket),
    "BucketLifecycleConfiguration": _Life(
        "s3",
        lambda to, at: to.get_bucket_lifecycle_configuration(Bucket=at["bucket"]),
        lambda to, at: to.delete_bucket_lifecycle(Bucket=at["bucket"]),
    ),
    "BucketObject": _Life(
        "s3",
        lambda to, at: to.head_object(Bucket=at["bucket"], Key=at["key"]),
        lambda to, at: to.delete_object(Bucket=at["bucket"], Key=at["key"]),
    ),
    "BucketPolicy": _Life(
        "s3",
        lambda to, at: to.get_bucket_policy(Bucket=at["bucket"]),
        lambda to, at: to.delete_bucket_policy(Bucket=at["bucket"]),
    ),
    "BucketPublicAccessBlock": _Life(
        "s3",
        lambda to, at: to.get_public_access_block(Bucket=at["bucket"])["PublicAccessBlockConfiguration"],
        lambda to, at: to.delete_public_access_block(Bucket=at["bucket"]),
    ),
    "BucketServerSideEncryptionConfiguration": _Life(
        "s3",
        lambda to, at: to.get_bucket_encryption(Bucket=at["bucket"])["ServerSideEncryptionConfiguration"],
        lambda to, at: to.delete_bucket_encryption(Bucket=at["bucket"]),
    ),
    "Topic": _Life(
        "sns",
        lambda to, at: to.get_topic_attributes(TopicArn=at["arn"])["Attributes"],
        lambda to, at: to.delete_topic(TopicArn=at["arn"]),
    ),
    "TopicPolicy": _Life(
        "sns",
        _topic_policy,
        lambda to, at: to.set_topic_attributes(TopicArn=at["arn"], AttributeName="Policy", AttributeValue=""),
    ),
    "TopicSubscription": _Life(
        "sns",
        lambda to, at: to.get_subscription_attributes(SubscriptionArn=at["arn"])["Attributes"],
        lambda to, at: to.unsubscribe(SubscriptionArn=at["arn"]),
    ),
    "Queue": _Life(
        "sqs",
        lambda to, at: to.get_queue_attributes(QueueUrl=at["url"], AttributeNames=["All"])["Attributes"],
        lambda to, at: to.delete_queue(QueueUrl=at["url"]),
    ),
    "QueuePolicy": _Life(
        "sqs",
        _queue_policy,
        lambda to, at: to.set_queue_attributes(QueueUrl=at["queueUrl"], Attributes={"Policy": ""}),
    ),
}


class Account(apply.Emulator):
    """An account in the emulator: resources are created, read, changed and deleted as the provider would."""

    def describe(self, type: str, state: State) -> Any:
        """AWS's description of a resource; raises Gone."""
        life = _life(type)
        try:
            return life.describe(self.client(life.service), state)
        except ClientError as error:
            if error.response["Error"]["Code"] in _GONE:
                raise Gone from None
            raise

    def delete(self, type: str, state: State) -> None:
        """Delete a resource; one that is not there is fine."""
        life = _life(type)
        try:
            life.delete(self.client(life.service), state)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _GONE:
                raise

    def change(self, type: str, name: str, urn: str, state: State, new: dict[str, Any], changed: set[str]) -> Any:
        """Bring the inputs named in `changed` to the resource; its new outputs."""
        kind = type.rpartition(":")[2]
        changed = changed - WITHOUT_A_CALL.get(kind, set())
        known = {key: state[key] for key in ("targetId", "statementId", "arn", "url", "uniqueId") if key in state}
        if changed and kind in PUT:
            return self.create(type, name, urn, {**{key: known[key] for key in ("targetId",) if key in known}, **new})[
                1
            ]
        for key in sorted(changed):
            if (kind, key) not in _CHANGES:
                raise apply.Unmapped(f"{type} {name}: nothing here changes {key}")
        for call in dict.fromkeys(_CHANGES[kind, key] for key in sorted(changed)):
            call(self, type, name, state, new)
        return {**state, **new, **known}

    def seen(self, type: str, name: str, state: State, inputs: dict[str, Any]) -> dict[str, Any]:
        """The inputs that AWS describes otherwise, as it describes them; raises Gone.

        Compared is what a description names as the call that creates does.
        """
        found = self.describe(type, state)
        if not isinstance(found, dict):
            return {}
        actual = {apply._normal(key): value for key, value in found.items()}
        different = {}
        for key, value in inputs.items():
            for wanted in self.parameter(type, key, value):
                if wanted[0] in actual and (now := _like(actual[wanted[0]], wanted[1])) != wanted[1]:
                    different[key] = _as_input(now)
        return different

    def parameter(self, type: str, key: str, value: Any) -> list[tuple[str, Any]]:
        """(normal name, value) of what an input becomes in a call, without the structure that it stands in."""
        if not isinstance(value, (str, int, float, bool)) and key not in _COMPARED:
            return []
        for call in apply._ROWS[type]:
            rename = call.renames.get(key, key)
            shape = self.client(call.service).meta.service_model.operation_model(call.operation).input_shape
            for step in (rename or "").split("/"):
                member = apply._member(shape, step) if shape.type_name == "structure" else None
                if member is None:
                    break
                shape = shape.members[member]
            else:
                return [(apply._normal(member), apply.translate(value, shape, key, {}, []))]
        return []


_COMPARED = {"storageDescriptor", "parameters", "partitionKeys", "environment"}


def _like(actual: Any, wanted: Any) -> Any:
    """What AWS says, without what nobody gave; a document that was given as text as text."""
    if isinstance(wanted, str) and isinstance(actual, dict):
        return wanted if json.loads(wanted) == actual else json.dumps(actual)
    if isinstance(wanted, dict) and isinstance(actual, dict):
        return {key: _like(actual.get(key), value) for key, value in wanted.items()}
    if isinstance(wanted, list) and isinstance(actual, list) and len(wanted) == len(actual):
        return [_like(one, other) for one, other in zip(actual, wanted, strict=True)]
    return actual


def _as_input(value: Any) -> Any:
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: _as_input(item) for key, item in value.items()}
    return [_as_input(item) for item in value] if isinstance(value, list) else value


def _life(type: str) -> _Life:
    kind = type.rpartition(":")[2]
    if kind not in _KINDS:
        raise apply.Unmapped(f"nothing here reads or deletes {type}")
    return _KINDS[kind]


# -- changes that are calls of their own


def _part(account: Account, type: str, name: str, new: Mapping[str, Any], keys: Any) -> dict[str, Any]:
    """The parameters of the call that creates, of some inputs."""
    call = apply._ROWS[type][0]
    given = call.reshape({key: value for key, value in new.items() if key in keys})
    shape = account.client(call.service).meta.service_model.operation_model(call.operation).input_shape
    unmapped: list[str] = []
    result: dict[str, Any] = apply.translate(given, shape, "", call.renames, unmapped)
    if unmapped:
        raise apply.Unmapped(f"{type} {name}: {unmapped}")
    return result


def _update_table(account: Account, type: str, name: str, state: State, new: Mapping[str, Any]) -> None:
    keys = {*apply._GLUE_TABLE, "tableType"}
    account.client("glue").update_table(
        DatabaseName=state["databaseName"], TableInput=_part(account, type, name, new, keys)["TableInput"]
    )


def _update_destination(account: Account, type: str, name: str, state: State, new: Mapping[str, Any]) -> None:
    firehose = account.client("firehose")
    found = firehose.describe_delivery_stream(DeliveryStreamName=state["name"])["DeliveryStreamDescription"]
    given = _part(account, type, name, new, {"extendedS3Configuration"})
    firehose.update_destination(
        DeliveryStreamName=state["name"],
        CurrentDeliveryStreamVersionId=found["VersionId"],
        DestinationId=found["Destinations"][0]["DestinationId"],
        ExtendedS3DestinationUpdate=given["ExtendedS3DestinationConfiguration"],
    )


def _update_code(account: Account, type: str, name: str, state: State, new: Mapping[str, Any]) -> None:
    code = _part(account, type, name, new, {"code"})["Code"]
    account.client("lambda").update_function_code(FunctionName=state["name"], ZipFile=code["ZipFile"])


_CONFIGURATION = (
    "environment",
    "memorySize",
    "timeout",
    "handler",
    "runtime",
    "description",
    "role",
    "ephemeralStorage",
)


def _update_configuration(account: Account, type: str, name: str, state: State, new: Mapping[str, Any]) -> None:
    given = _part(account, type, name, {key: new[key] for key in _CONFIGURATION if key in new}, _CONFIGURATION)
    account.client("lambda").update_function_configuration(FunctionName=state["name"], **given)


def _update_shards(account: Account, type: str, name: str, state: State, new: Mapping[str, Any]) -> None:
    account.client("kinesis").update_shard_count(
        StreamName=state["name"], TargetShardCount=new["shardCount"], ScalingType="UNIFORM_SCALING"
    )


def _update_log_retention(account: Account, type: str, name: str, state: State, new: Mapping[str, Any]) -> None:
    account.client("logs").put_retention_policy(logGroupName=state["name"], retentionInDays=new["retentionInDays"])


_Change = Callable[[Account, str, str, State, Mapping[str, Any]], None]
_CHANGES: dict[tuple[str, str], _Change] = {
    **{("CatalogTable", key): _update_table for key in ("parameters", "partitionKeys", "storageDescriptor")},
    ("FirehoseDeliveryStream", "extendedS3Configuration"): _update_destination,
    ("Function", "code"): _update_code,
    **{("Function", key): _update_configuration for key in _CONFIGURATION},
    ("Stream", "shardCount"): _update_shards,
    ("LogGroup", "retentionInDays"): _update_log_retention,
}
