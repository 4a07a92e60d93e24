"""Every resource: its parent, its name, and the names and ARNs by which it refers to others."""

from __future__ import annotations

import fnmatch
import re
from typing import Any

from graph import ACCOUNT, PARTITION, REGION, UNKNOWN, Node

from house.iceberg import LOG_GROUPS
from house.world import Errors, World, get


def parent_rule(node: Node, world: World) -> Errors:
    """A resource belongs to a component and its name begins with the component's; objects may be the program's own."""
    parent = world.graph.parent(node)
    if parent is None or parent.custom:
        if node.kind not in ("BucketObject", "BucketObjectv2"):
            yield "has no component as its parent"
        return
    if not f"{hyphened(node.name)}-".startswith(f"{hyphened(parent.name)}-"):
        yield f"name does not begin with that of its component, {parent.name}-"


def hyphened(name: str) -> str:
    return name.replace("_", "-")


def text_rule(node: Node) -> Errors:
    """Pulumi: an f-string over an output, or an output that the provider does not give, ends up as such a text."""
    for path, text in node.texts:
        if re.search(r"\bNone\b|Output<|pulumi\.output|<.* object at 0x|Calling __str__", text):
            yield f"{path} is {text!r}: an output that was not resolved"


# Longest and allowed physical names; API references of the services, `CreateX`.
_NAMES = {
    "Bucket": r"(?=.{3,63}$)[a-z0-9][a-z0-9.-]*[a-z0-9]",
    "CatalogDatabase": r"[a-z0-9_]{1,255}",
    "CatalogTable": r"[a-z0-9_]{1,255}",
    "EventRule": r"[.\-_A-Za-z0-9]{1,64}",
    "FirehoseDeliveryStream": r"[a-zA-Z0-9_.-]{1,64}",
    "Function": r"[a-zA-Z0-9-_]{1,64}",
    "LogGroup": r"[.\-_/#A-Za-z0-9]{1,512}",
    "LogStream": r"[^:*]{1,512}",
    "Dashboard": r"[A-Za-z0-9_-]{1,255}",
    "MetricAlarm": r".{1,255}",
    "Policy": r"[\w+=,.@-]{1,128}",
    "Queue": r"[A-Za-z0-9_-]{1,80}",
    "Role": r"[\w+=,.@-]{1,64}",
    "RolePolicy": r"[\w+=,.@-]{1,128}",
    "Stream": r"[a-zA-Z0-9_.-]{1,128}",
    "Topic": r"[A-Za-z0-9_-]{1,256}",
    "Workgroup": r"[a-zA-Z0-9._-]{1,128}",
}


def name_rule(node: Node, world: World) -> Errors:
    """API references: lengths and characters of physical names, with the suffix the provider adds."""
    pattern, name = _NAMES.get(node.kind), node.physical_name
    if node.kind in ("CatalogDatabase", "CatalogTable", "Workgroup") and node.inputs.get("name") is None:
        yield "people type its name: it has no invented suffix"
    if pattern is None or name is None or name == UNKNOWN:
        return
    if not re.fullmatch(pattern, name, re.ASCII):
        yield f"physical name {name!r} ({len(name)} characters) does not match {pattern}"
    same = [one for one in world.sharing[node.kind, name] if _scope(one) == _scope(node)]
    if len(same) > 1:
        yield f"physical name {name!r} is also that of {next(one.name for one in same if one is not node)}"


def _scope(node: Node) -> Any:
    """In what a physical name is unique."""
    within = {"CatalogTable": "databaseName", "LogStream": "logGroupName", "RolePolicy": "role"}
    return node.inputs.get(within.get(node.kind, ""))


# Managed policies of AWS that may be attached; others need a look and a row here.
MANAGED_POLICIES = {
    "arn:aws:iam::aws:policy/AWSXRayDaemonWriteAccess",
    "arn:aws:iam::aws:policy/AmazonDynamoDBReadOnlyAccess",
    "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
}


def arn_rule(node: Node, world: World) -> Errors:
    """Every ARN in an input, also inside policies, is of a resource of this stack or a known exception."""
    for path, text in node.texts:
        if text.startswith("arn:") and not _is_known_arn(text, world):
            yield f"{path} names {text}, which no resource of this stack has"


def _is_known_arn(arn: str, world: World) -> bool:
    parts = arn.split(":", 5)
    if len(parts) < 6:
        return False
    _, partition, service, region, account, resource = parts
    if partition != PARTITION:
        return False
    if service == "iam" and account == "aws":
        return arn in MANAGED_POLICIES
    if service == "iam" and re.fullmatch(r"\d{12}", account) and account != ACCOUNT:
        return resource == "root" or resource.startswith("role/")
    if arn in world.by_arn:
        return True
    if service == "glue" and (region, account) == (REGION, ACCOUNT):
        if resource in ("catalog", "database/default"):
            return True
        if resource.endswith("*"):
            return any(fnmatch.fnmatchcase(one, arn) for one in world.by_arn)
    if service == "athena" and (region, account, resource) == (REGION, ACCOUNT, "datacatalog/AwsDataCatalog"):
        return True  # Glue's, which every account has
    if service == "lambda" and resource.endswith(":$LATEST"):
        return arn.removesuffix(":$LATEST") in world.by_arn
    if arn in LOG_GROUPS:
        return bool(world.all("CatalogTableOptimizer"))
    if service == "logs":
        group = re.sub(r":(\*|log-stream:\*)$", "", arn)
        return group != arn and group in world.by_arn
    if service == "s3":
        bucket, _, key = resource.partition("/")
        known = f"arn:{partition}:s3:::{bucket}" in world.by_arn and not region and not account
        return known and (key == "*" or world.is_written(bucket, key.removesuffix("*")))
    if service == "kms":
        return bool(re.fullmatch(r"(key|alias)/[\w/-]+", resource))
    return False


# (kind, path of an input) -> kind of the resource that it names.
_REFERENCES = {
    ("BucketLifecycleConfiguration", "bucket"): "Bucket",
    ("BucketObject", "bucket"): "Bucket",
    ("BucketObjectv2", "bucket"): "Bucket",
    ("BucketOwnershipControls", "bucket"): "Bucket",
    ("BucketPolicy", "bucket"): "Bucket",
    ("BucketPublicAccessBlock", "bucket"): "Bucket",
    ("BucketServerSideEncryptionConfiguration", "bucket"): "Bucket",
    ("BucketVersioning", "bucket"): "Bucket",
    ("CatalogTable", "databaseName"): "CatalogDatabase",
    ("CatalogTableOptimizer", "databaseName"): "CatalogDatabase",
    ("CatalogTableOptimizer", "tableName"): "CatalogTable",
    ("EventTarget", "rule"): "EventRule",
    ("FirehoseDeliveryStream", "extendedS3Configuration.cloudwatchLoggingOptions.logGroupName"): "LogGroup",
    ("FirehoseDeliveryStream", "extendedS3Configuration.cloudwatchLoggingOptions.logStreamName"): "LogStream",
    ("Function", "loggingConfig.logGroup"): "LogGroup",
    ("FunctionEventInvokeConfig", "functionName"): "Function",
    ("Invocation", "functionName"): "Function",
    ("LogStream", "logGroupName"): "LogGroup",
    ("Permission", "function"): "Function",
    ("RolePolicy", "role"): "Role",
    ("RolePolicyAttachment", "role"): "Role",
    ("Function", "environment.variables.DW_BUCKET"): "Bucket",
    ("Function", "environment.variables.DW_DATABASE"): "CatalogDatabase",
    ("Function", "environment.variables.DW_STREAM"): "Stream",
    ("Function", "environment.variables.DW_TABLE"): "CatalogTable",
    ("Function", "environment.variables.DW_WORKGROUP"): "Workgroup",
}


def reference_rule(node: Node, world: World) -> Errors:
    """Every name of another resource is that of one of this stack."""
    for (kind, path), target in _REFERENCES.items():
        if kind == node.kind:
            value = get(node.inputs, path)
            if value is not None and value != UNKNOWN and not world.named(target, value):
                yield f"{path} names the {target} {value!r}, which is not in this stack"
    if node.kind == "QueuePolicy":
        urls = {one.outputs.get("url") for one in world.all("Queue")}
        if node.inputs.get("queueUrl") not in urls:
            yield f"queueUrl is {node.inputs.get('queueUrl')!r}, no queue of this stack"
    for path, text in node.texts:
        if text.startswith("s3:") and not text.startswith("s3:::") and "." in path:
            match = re.match(r"s3://([^/]*)", text)
            if match and world.named("Bucket", match[1]) is None:
                yield f"{path} is {text!r}; no bucket of this stack is called {match[1]!r}"


def tags_rule(node: Node) -> Errors:
    """AWS General Reference, "Tag naming limits and requirements": keys of 1..128, values of 0..256, none aws:."""
    for key, value in (node.inputs.get("tags") or {}).items():
        if not 1 <= len(key) <= 128 or key.lower().startswith("aws:") or len(str(value)) > 256:
            yield f"tag {key!r}={value!r} is outside AWS's limits"


def order_rule(node: Node, world: World) -> Errors:
    """What a resource waits for is in the same stack."""
    for urn in node.dependencies:
        if urn not in world.graph.nodes and "pulumi:pulumi:Stack" not in urn:
            yield f"waits for {urn}, which is not in this stack"
