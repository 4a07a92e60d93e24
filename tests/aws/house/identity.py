"""IAM: the form of policies, what identity policies may allow, who may assume a role, and resource policies."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from graph import ACCOUNT, UNKNOWN, Node
from policies import IDENTITY, RESOURCE, TRUST, as_list, document_of, statements

from house.world import Errors, World, about, get

# Actions that take no ARN (Service Authorization Reference: no resource types), and why they are needed.
STAR_ONLY = {
    "athena:ListDataCatalogs": "lists the catalogs of the account, for drivers",
    "athena:ListEngineVersions": "lists Athena's versions, for drivers",
    "athena:ListWorkGroups": "lists the workgroups of the account, for drivers",
    "cloudwatch:PutMetricData": "metrics have no ARN; the namespace is a condition",
    "xray:PutTelemetryRecords": "traces have no ARN",
    "xray:PutTraceSegments": "traces have no ARN",
}
_OWN_METRICS = {"StringEquals": {"cloudwatch:namespace": "DataWarehouse"}}
_STATEMENT = {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}
INLINE_CHARACTERS_MAX = 10_240
MANAGED_CHARACTERS_MAX = 6_144

# IAM user guide, "IAM JSON policy elements: Condition operators".
_CONDITION = re.compile(
    r"((ForAllValues|ForAnyValue):)?"
    r"(String(Not)?Equals(IgnoreCase)?|String(Not)?Like|Arn(Not)?(Equals|Like)|(Not)?IpAddress|Bool|BinaryEquals"
    r"|(Numeric|Date)((Not)?Equals|(LessThan|GreaterThan)(Equals)?))(IfExists)?|Null"
)


def document_rule(node: Node) -> Errors:
    """IAM user guide, "IAM JSON policy elements reference" and "IAM and STS quotas"."""
    text = document_of(node)
    if text is None or text == UNKNOWN:
        return
    try:
        parsed = json.loads(text)
        found = statements(text)
    except ValueError as error:
        yield f"policy: {error}"
        return
    if parsed.get("Version") != "2012-10-17":
        yield f"policy Version is {parsed.get('Version')!r}, not 2012-10-17"
    if extra := parsed.keys() - {"Version", "Statement", "Id"}:
        yield f"policy has {sorted(extra)}"
    sids = Counter(one["Sid"] for one in found if "Sid" in one)
    if any(count > 1 for count in sids.values()):
        yield "two statements have the same Sid"
    length = len(re.sub(r"\s", "", text))
    if length > (MANAGED_CHARACTERS_MAX if node.kind == "Policy" else INLINE_CHARACTERS_MAX):
        yield f"policy has {length} characters"
    if not found:
        yield "policy has no statement"
    for one in found:
        if extra := one.keys() - _STATEMENT:
            yield f"statement has {sorted(extra)}"
        if one.get("Effect") not in ("Allow", "Deny"):
            yield f"Effect is {one.get('Effect')!r}"
        if not re.fullmatch(r"[A-Za-z0-9]*", str(one.get("Sid", ""))):
            yield f"Sid is {one['Sid']!r}"
        actions = as_list(one.get("Action", []))
        if not actions or any(not re.fullmatch(r"[a-z0-9-]+:[A-Za-z*]+", str(action)) for action in actions):
            yield f"Action is {one.get('Action')!r}"
        if len(set(map(str, actions))) != len(actions):
            yield "an action is listed twice"
        if ("Principal" in one) == (node.kind in IDENTITY):
            yield "Principal belongs in resource and trust policies, and only there"
        if ("Resource" in one) == (node.kind in TRUST):
            yield "Resource belongs in every policy but trust policies"
        for operator, keys in one.get("Condition", {}).items():
            if not _CONDITION.fullmatch(operator) or not isinstance(keys, dict) or not keys:
                yield f"Condition {operator} is no operator of IAM with keys"


@about(*IDENTITY)
def identity_rule(node: Node) -> Errors:
    """Least privilege: actions are spelled out, resources are ARNs, nothing is denied."""
    if not (text := document_of(node)):
        return
    try:
        found = statements(text)
    except ValueError:
        return
    for one in found:
        if one.get("Effect") != "Allow":
            yield "an identity policy here only allows"
        actions = [str(action) for action in as_list(one.get("Action", []))]
        for action in actions:
            if "*" in action:
                yield f"action {action} is a wildcard"
        for resource in as_list(one.get("Resource", [])):
            if "cloudwatch:PutMetricData" in actions and one.get("Condition") != _OWN_METRICS:
                yield f"may publish metrics of others: {one.get('Condition')!r}"
            if resource == "*" and not all(action in STAR_ONLY for action in actions):
                yield f"Resource * for {actions}; only {sorted(STAR_ONLY)} take no ARN"
            elif resource != "*" and not str(resource).startswith("arn:"):
                yield f"Resource {resource!r} is no ARN"


@about("RolePolicyAttachment")
def attachment_rule(node: Node) -> Errors:
    """Least privilege: no managed policy that gives all of a service."""
    if "FullAccess" in str(node.inputs.get("policyArn")):
        yield f"{node.inputs['policyArn']} gives all of a service"


@about("Role")
def trust_rule(node: Node, world: World) -> Errors:
    """Who uses a role is who may assume it; Firehose and other accounts under a condition.

    Firehose developer guide, "Controlling access with Amazon Data Firehose"; IAM user guide, "Access to AWS accounts
    owned by third parties".
    """
    if not (text := document_of(node)) or text == UNKNOWN:
        return
    try:
        found = statements(text)
    except ValueError:
        return
    users = {
        "firehose.amazonaws.com": any(
            node.outputs.get("arn") in dict(one.texts).values() for one in world.all("FirehoseDeliveryStream")
        ),
        "glue.amazonaws.com": any(
            get(one.inputs, "configuration.roleArn") == node.outputs.get("arn")
            for one in world.all("CatalogTableOptimizer")
        ),
        "lambda.amazonaws.com": bool(world.pointing("Function", "role", node)),
    }
    services = {service for service, uses in users.items() if uses}
    for one in found:
        if one.get("Effect") != "Allow" or as_list(one.get("Action")) != ["sts:AssumeRole"]:
            yield "a trust policy allows sts:AssumeRole and nothing else"
        principal = one.get("Principal")
        external = get(one, "Condition.StringEquals") or {}
        if not isinstance(principal, dict) or len(principal) != 1:
            yield f"trust principal is {principal!r}"
        elif "Service" in principal:
            if set(as_list(principal["Service"])) != services:
                yield f"trust principal is {principal['Service']!r}; the role is used by {sorted(services) or 'nobody'}"
            elif services == {"firehose.amazonaws.com"}:
                guards = {external.get("sts:ExternalId"), external.get("aws:SourceAccount")} - {None}
                if guards != {ACCOUNT}:
                    yield "Firehose may assume the role for any account: no sts:ExternalId or aws:SourceAccount"
        elif "AWS" in principal:
            if services:
                yield f"trust principal is an account; the role is used by {sorted(services)}"
            who = r"arn:aws:iam::\d{12}:(root|role/.+)"
            accounts = as_list(principal["AWS"])
            if not accounts or not all(re.fullmatch(who, str(arn)) for arn in accounts):
                yield f"trust principal is {principal['AWS']!r}"
            if not external.get("sts:ExternalId"):
                yield "another account may assume the role without an external id"
        else:
            yield f"trust principal is {principal!r}"
    if not world.pointing("RolePolicy", "role", node):
        yield "has no inline policy"


def granted(world: World, role: Node) -> set[tuple[str, str]]:
    """(action, resource) of everything the inline policies of a role allow."""
    found: set[tuple[str, str]] = set()
    for node in world.pointing("RolePolicy", "role", role):
        try:
            for one in statements(document_of(node) or ""):
                if one.get("Effect") == "Allow":
                    found |= {
                        (str(action), str(resource))
                        for action in as_list(one.get("Action", []))
                        for resource in as_list(one.get("Resource", []))
                    }
        except ValueError:
            continue
    return found


def waits_for_rights(node: Node, role: Node, world: World) -> bool:
    """Whether a resource is created after the policy of its role, without which it may be refused.

    terraform-provider-aws issue 7727.
    """
    return any(one.urn in node.dependencies for one in world.pointing("RolePolicy", "role", role))


def _only_tls(found: list[dict[str, Any]], action: str, resources: set[str]) -> bool:
    """Whether these statements refuse every request without TLS, and refuse no other."""
    refused = [one for one in found if one.get("Effect") != "Allow"]
    return [
        (
            one.get("Effect"),
            one.get("Principal") in ("*", {"AWS": "*"}),
            as_list(one.get("Action")),
            set(map(str, as_list(one.get("Resource", [])))),
            one.get("Condition"),
        )
        for one in refused
    ] == [("Deny", True, [action], resources, {"Bool": {"aws:SecureTransport": "false"}})]


@about(*RESOURCE, "Queue", "Topic")
def resource_policy_rule(node: Node, world: World) -> Errors:
    """Dead letters come from the rule, alarms from CloudWatch, and buckets, queues and topics only take TLS.

    EventBridge user guide, "Using dead-letter queues to process undelivered events"; IAM user guide, "The confused
    deputy problem"; the pages on security best practices of the Amazon S3, SQS and SNS guides, "Enforce encryption of
    data in transit". The policy of a topic takes no "sns:*" (SNS API, SetTopicAttributes: "Policy statement action out
    of service scope").
    """
    if node.kind in ("Queue", "Topic"):
        kind, owner, key = {
            "Queue": ("QueuePolicy", "queueUrl", "url"),
            "Topic": ("TopicPolicy", "arn", "arn"),
        }[node.kind]
        having = [one for one in world.all(kind) if one.inputs.get(owner) == node.outputs.get(key)]
        if len(having) != 1:
            yield f"has {len(having)} {kind}"
        return
    if not (text := document_of(node)) or text == UNKNOWN:
        return
    try:
        found = statements(text)
    except ValueError:
        return
    if node.kind == "BucketPolicy":
        bucket = world.named("Bucket", node.inputs.get("bucket"))
        arn = bucket.outputs.get("arn") if bucket else None
        if not _only_tls(found, "s3:*", {str(arn), f"{arn}/*"}):
            yield "does not refuse requests without TLS to the bucket and its objects, and those alone"
        return
    service, action, refused = {
        "QueuePolicy": ("events.amazonaws.com", "sqs:SendMessage", "sqs:*"),
        "TopicPolicy": ("cloudwatch.amazonaws.com", "sns:Publish", "sns:Publish"),
    }[node.kind]
    if node.kind == "QueuePolicy":
        own = next((one for one in world.all("Queue") if one.outputs.get("url") == node.inputs.get("queueUrl")), None)
        arn = own.outputs.get("arn") if own else None
    else:
        arn = node.inputs.get("arn")
    if not _only_tls(found, refused, {str(arn)}):
        yield f"does not refuse requests without TLS to {arn}, and those alone"
    allowed = [one for one in found if one.get("Effect") == "Allow"]
    if len(allowed) != 1:
        yield f"has {len(allowed)} statements that allow something, not one for {service}"
    for one in allowed:
        if one.get("Principal") != {"Service": service}:
            yield f"principal is {one.get('Principal')!r}, not {service}"
        if as_list(one.get("Action")) != [action] or as_list(one.get("Resource")) != [arn]:
            yield f"allows {one.get('Action')!r} on {one.get('Resource')!r}, not {action} on {arn}"
        guards = {key: value for keys in one.get("Condition", {}).values() for key, value in keys.items()}
        source = guards.get("aws:SourceArn")
        if source is None and guards.get("aws:SourceAccount") != ACCOUNT:
            yield "any account's resources may use it: no aws:SourceArn or aws:SourceAccount"
        if node.kind == "QueuePolicy":
            at = world.at(source)
            if at is None or at.kind != "EventRule":
                yield f"aws:SourceArn is {source!r}, no rule of this stack"
