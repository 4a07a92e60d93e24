"""What whoever deploys a warehouse has to be allowed: one IAM policy, of which the resources are the warehouse's own.

For each kind of resource the calls of the AWS provider are listed: those that create it, read it (each preview with
refresh does), change it, tag it and delete it. Sources: the permissions of the handlers in the AWS CloudFormation
registry's schema of each type, which make the same changes, and for what only the provider reads, its code
(terraform-provider-aws, internal/service).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

POLICY_CHARACTERS_MAX = 6144
"""IAM user guide, "IAM and AWS STS quotas": a managed policy, without white space."""


@dataclass(frozen=True, slots=True)
class Rights:
    """The calls for some kinds of resources. kinds: as Pulumi names them. actions: of one service. resources: the ends
    of ARNs, with `{name}` for the name of a warehouse or of a component, and `{bucket}` for the same as S3 takes it;
    those that begin with "arn:" are whole."""

    kinds: tuple[str, ...]
    service: str
    actions: str
    resources: tuple[str, ...]


def _rights(kinds: str, service: str, actions: str, *resources: str) -> Rights:
    return Rights(tuple(kinds.split()), service, actions, resources)


RIGHTS = (
    _rights(
        "Stream",
        "kinesis",
        "CreateStream DescribeStreamSummary UpdateShardCount UpdateStreamMode UpdateStreamWarmThroughput "
        "IncreaseStreamRetentionPeriod DecreaseStreamRetentionPeriod StartStreamEncryption StopStreamEncryption "
        "AddTagsToStream RemoveTagsFromStream ListTagsForStream ListTagsForResource TagResource UntagResource "
        "DeleteStream",
        "stream/{name}-*",
    ),
    _rights(
        "FirehoseDeliveryStream",
        "firehose",
        "CreateDeliveryStream DescribeDeliveryStream UpdateDestination ListTagsForDeliveryStream TagDeliveryStream "
        "UntagDeliveryStream DeleteDeliveryStream",
        "deliverystream/{name}-*",
    ),
    _rights(
        "CatalogDatabase CatalogTable CatalogTableOptimizer",
        "glue",
        "CreateDatabase GetDatabase UpdateDatabase DeleteDatabase CreateTable GetTable GetPartitionIndexes UpdateTable "
        "DeleteTable GetTags TagResource UntagResource CreateTableOptimizer GetTableOptimizer UpdateTableOptimizer "
        "DeleteTableOptimizer",
        "catalog",
        "database/{name}_*",
        "table/{name}_*/*",
        "userDefinedFunction/{name}_*/*",
    ),
    _rights(
        "Workgroup",
        "athena",
        "CreateWorkGroup GetWorkGroup UpdateWorkGroup ListTagsForResource TagResource UntagResource DeleteWorkGroup",
        "workgroup/{name}-*",
    ),
    _rights(
        "Bucket BucketPolicy BucketPublicAccessBlock BucketLifecycleConfiguration "
        "BucketServerSideEncryptionConfiguration BucketObject",
        "s3",
        "CreateBucket ListBucket ListBucketVersions GetBucketLocation GetBucketTagging PutBucketTagging "
        "GetBucketPolicy PutBucketPolicy DeleteBucketPolicy GetBucketPublicAccessBlock PutBucketPublicAccessBlock "
        "GetLifecycleConfiguration PutLifecycleConfiguration GetEncryptionConfiguration PutEncryptionConfiguration "
        "GetBucketAcl GetBucketCORS GetBucketWebsite GetBucketVersioning GetAccelerateConfiguration "
        "GetBucketRequestPayment GetBucketLogging GetReplicationConfiguration GetBucketObjectLockConfiguration "
        "DeleteBucket",
        "arn:{partition}:s3:::{bucket}-*",
    ),
    _rights(
        "Bucket BucketObject",
        "s3",
        "GetObject GetObjectTagging PutObject PutObjectTagging DeleteObject DeleteObjectVersion",
        "arn:{partition}:s3:::{bucket}-*/*",
    ),
    _rights(
        "Function FunctionEventInvokeConfig Permission Invocation",
        "lambda",
        "CreateFunction GetFunction ListVersionsByFunction GetFunctionCodeSigningConfig UpdateFunctionCode "
        "UpdateFunctionConfiguration PutFunctionEventInvokeConfig GetFunctionEventInvokeConfig "
        "DeleteFunctionEventInvokeConfig AddPermission GetPolicy RemovePermission InvokeFunction TagResource "
        "UntagResource DeleteFunction",
        "function:{name}-*",
    ),
    _rights(
        "EventRule EventTarget",
        "events",
        "PutRule DescribeRule PutTargets ListTargetsByRule RemoveTargets ListTagsForResource TagResource UntagResource "
        "DeleteRule",
        "rule/{name}-*",
    ),
    _rights(
        "Queue QueuePolicy",
        "sqs",
        "CreateQueue GetQueueAttributes SetQueueAttributes ListQueueTags TagQueue UntagQueue DeleteQueue",
        "{name}-*",
    ),
    _rights(
        "Topic TopicPolicy",
        "sns",
        "CreateTopic GetTopicAttributes SetTopicAttributes ListTagsForResource TagResource UntagResource DeleteTopic",
        "{name}-*",
    ),
    _rights("TopicSubscription", "sns", "Subscribe", "{name}-*"),
    _rights("TopicSubscription", "sns", "GetSubscriptionAttributes SetSubscriptionAttributes Unsubscribe", "*"),
    _rights(
        "LogGroup LogStream",
        "logs",
        "CreateLogGroup PutRetentionPolicy DeleteRetentionPolicy AssociateKmsKey DisassociateKmsKey CreateLogStream "
        "DescribeLogStreams DeleteLogStream ListTagsForResource TagResource UntagResource DeleteLogGroup",
        "log-group:{name}-*",
    ),
    _rights("LogGroup", "logs", "DescribeLogGroups", "*"),
    _rights(
        "MetricAlarm",
        "cloudwatch",
        "PutMetricAlarm DescribeAlarms ListTagsForResource TagResource UntagResource DeleteAlarms",
        "alarm:{name}-*",
    ),
    _rights(
        "Dashboard",
        "cloudwatch",
        "PutDashboard GetDashboard DeleteDashboards",
        "arn:{partition}:cloudwatch::{account}:dashboard/{name}-*",
    ),
    _rights(
        "Role RolePolicy RolePolicyAttachment",
        "iam",
        "CreateRole GetRole UpdateRole UpdateRoleDescription UpdateAssumeRolePolicy ListRolePolicies "
        "ListAttachedRolePolicies ListInstanceProfilesForRole PutRolePolicy GetRolePolicy DeleteRolePolicy "
        "AttachRolePolicy DetachRolePolicy TagRole UntagRole DeleteRole",
        "arn:{partition}:iam::{account}:role/{name}-*",
    ),
)
"""What each kind of resource needs."""
PASS_ROLE_TO = ("firehose.amazonaws.com", "glue.amazonaws.com", "lambda.amazonaws.com")
"""The services that get a role of the warehouse, from CreateDeliveryStream, UpdateDestination, CreateTableOptimizer and
CreateFunction."""


def deployer_policies(names: Sequence[str], account: str = "*", region: str = "*") -> list[dict[str, Any]]:
    """The policy of whoever deploys warehouses, in any stack, and components that a program adds itself; or several
    that are attached together, where one would be longer than IAM allows.

    names: theirs. account, region: where; "*" for any. Without the rights for Pulumi's own state, for keys of KMS and
    for a database whose name does not begin with one of the names.
    """
    found: list[dict[str, Any]] = []
    for statement in _statements(names, account, region):
        longer = _document([*(found[-1]["Statement"] if found else []), statement])
        if found and _characters(longer) <= POLICY_CHARACTERS_MAX:
            found[-1] = longer
        else:
            found.append(_document([statement]))
    return found


def _statements(names: Sequence[str], account: str, region: str) -> Iterator[dict[str, Any]]:
    partition = _partition(region)
    for rights in RIGHTS:
        arns = sorted(set(_arns(rights, names, partition, account, region)))
        actions = [f"{rights.service}:{action}" for action in rights.actions.split()]
        yield {"Effect": "Allow", "Action": actions, "Resource": arns}
    roles = sorted({f"arn:{partition}:iam::{account}:role/{name}-*" for name in names})
    to_services = {"StringEquals": {"iam:PassedToService": list(PASS_ROLE_TO)}}
    yield {"Effect": "Allow", "Action": ["iam:PassRole"], "Resource": roles, "Condition": to_services}


def _document(statements: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _characters(document: Mapping[str, Any]) -> int:
    return len(json.dumps(document, separators=(",", ":")))


def _arns(rights: Rights, names: Iterable[str], partition: str, account: str, region: str) -> Iterator[str]:
    for resource in rights.resources:
        if resource == "*":
            yield "*"
            continue
        whole = resource
        if not resource.startswith("arn:"):
            whole = f"arn:{{partition}}:{rights.service}:{{region}}:{{account}}:{resource}"
        for name in names:
            bucket = name.replace("_", "-")
            yield whole.format(partition=partition, account=account, region=region, name=name, bucket=bucket)


def _partition(region: str) -> str:
    beginnings = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
    return next((found for start, found in beginnings.items() if region.startswith(start)), "aws")
