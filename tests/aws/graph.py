"""A recorded resource graph: what a Pulumi program registered, and what the AWS provider would answer.

`recorder` (in-process mocks) and `engine` (stand-in engine) both fill a `Graph`; every checker reads one.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import json_format, struct_pb2

ACCOUNT = "123456789012"
REGION = "eu-west-1"
PARTITION = "aws"

STACK_TYPE = "pulumi:pulumi:Stack"

# Tags of special values and the text of an unknown one, from Pulumi's protocol (sdk/python/lib/pulumi/runtime/rpc.py).
SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"
ASSET = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"
OUTPUT_VALUE = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
RESOURCE_REFERENCE = "5cf8f73096256a8f31e491e813e4eb8e"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

# The input that holds a resource's physical name where it is not `name`.
_NAME_INPUT = {"aws:cloudwatch/dashboard:Dashboard": "dashboardName", "aws:s3/bucket:Bucket": "bucket"}

# Types whose physical name the provider invents from the logical one when the program gives none
# (pulumi-aws: name + "-" + 7 hex digits). Glue and S3 names are lower-cased.
_NAMED = {
    "aws:athena/workgroup:Workgroup",
    "aws:cloudwatch/eventRule:EventRule",
    "aws:cloudwatch/logGroup:LogGroup",
    "aws:cloudwatch/logStream:LogStream",
    "aws:cloudwatch/metricAlarm:MetricAlarm",
    "aws:glue/catalogDatabase:CatalogDatabase",
    "aws:glue/catalogTable:CatalogTable",
    "aws:iam/policy:Policy",
    "aws:iam/role:Role",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream",
    "aws:kinesis/stream:Stream",
    "aws:lambda/function:Function",
    "aws:s3/bucket:Bucket",
    "aws:sns/topic:Topic",
    "aws:sqs/queue:Queue",
}
_LOWER_CASE = {
    "aws:glue/catalogDatabase:CatalogDatabase",
    "aws:glue/catalogTable:CatalogTable",
    "aws:s3/bucket:Bucket",
}

# Formats: "Service Authorization Reference", resource types of each service.
_ARN = {
    "aws:athena/workgroup:Workgroup": "arn:{partition}:athena:{region}:{account}:workgroup/{name}",
    "aws:cloudwatch/eventRule:EventRule": "arn:{partition}:events:{region}:{account}:rule/{name}",
    "aws:cloudwatch/logGroup:LogGroup": "arn:{partition}:logs:{region}:{account}:log-group:{name}",
    "aws:cloudwatch/logStream:LogStream": (
        "arn:{partition}:logs:{region}:{account}:log-group:{logGroupName}:log-stream:{name}"
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": "arn:{partition}:cloudwatch:{region}:{account}:alarm:{name}",
    "aws:glue/catalogDatabase:CatalogDatabase": "arn:{partition}:glue:{region}:{account}:database/{name}",
    "aws:glue/catalogTable:CatalogTable": "arn:{partition}:glue:{region}:{account}:table/{databaseName}/{name}",
    "aws:iam/policy:Policy": "arn:{partition}:iam::{account}:policy/{name}",
    "aws:iam/role:Role": "arn:{partition}:iam::{account}:role/{name}",
    "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream": (
        "arn:{partition}:firehose:{region}:{account}:deliverystream/{name}"
    ),
    "aws:kinesis/stream:Stream": "arn:{partition}:kinesis:{region}:{account}:stream/{name}",
    "aws:lambda/function:Function": "arn:{partition}:lambda:{region}:{account}:function:{name}",
    "aws:s3/bucket:Bucket": "arn:{partition}:s3:::{name}",
    "aws:s3/bucketObject:BucketObject": "arn:{partition}:s3:::{bucket}/{key}",
    "aws:s3/bucketObjectv2:BucketObjectv2": "arn:{partition}:s3:::{bucket}/{key}",
    "aws:sns/topic:Topic": "arn:{partition}:sns:{region}:{account}:{name}",
    "aws:sns/topicSubscription:TopicSubscription": "{topic}:{suffix}",
    "aws:sqs/queue:Queue": "arn:{partition}:sqs:{region}:{account}:{name}",
}

# What the provider uses as the id; its documentation of each resource, section "Import".
_ID = {
    "aws:cloudwatch/dashboard:Dashboard": "{dashboardName}",
    "aws:cloudwatch/eventTarget:EventTarget": "{rule}-{targetId}",
    "aws:glue/catalogDatabase:CatalogDatabase": "{account}:{name}",
    "aws:glue/catalogTable:CatalogTable": "{account}:{databaseName}:{name}",
    "aws:iam/rolePolicy:RolePolicy": "{role}:{name}",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": "{role}/{policyArn}",
    "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream": "{arn}",
    "aws:kinesis/stream:Stream": "{arn}",
    "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig": "{functionName}",
    "aws:lambda/permission:Permission": "{statementId}",
    "aws:s3/bucketObject:BucketObject": "{bucket}/{key}",
    "aws:s3/bucketObjectv2:BucketObjectv2": "{bucket}/{key}",
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": "{bucket}",
    "aws:s3/bucketPolicy:BucketPolicy": "{bucket}",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": "{bucket}",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": "{bucket}",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": "{bucket}",
    "aws:s3/bucketVersioning:BucketVersioning": "{bucket}",
    "aws:sns/topic:Topic": "{arn}",
    "aws:sns/topicPolicy:TopicPolicy": "{arn}",
    "aws:sns/topicSubscription:TopicSubscription": "{arn}",
    "aws:sqs/queue:Queue": "{url}",
    "aws:sqs/queuePolicy:QueuePolicy": "{queueUrl}",
}

# Further outputs that programs read, and the names the provider itself invents.
_OUTPUTS = {
    "aws:cloudwatch/dashboard:Dashboard": {
        "dashboardArn": "arn:{partition}:cloudwatch::{account}:dashboard/{dashboardName}"
    },
    "aws:cloudwatch/eventTarget:EventTarget": {"targetId": "{resource}-{suffix}"},
    "aws:iam/role:Role": {"uniqueId": "AROA{suffix}"},
    "aws:lambda/function:Function": {
        "invokeArn": "arn:{partition}:apigateway:{region}:lambda:path/2015-03-31/functions/{arn}/invocations",
        "qualifiedArn": "{arn}:$LATEST",
        "version": "$LATEST",
    },
    "aws:lambda/invocation:Invocation": {"result": "null"},
    "aws:lambda/permission:Permission": {"statementId": "{resource}-{suffix}"},
    "aws:s3/bucket:Bucket": {
        "bucketDomainName": "{name}.s3.amazonaws.com",
        "bucketRegionalDomainName": "{name}.s3.{region}.amazonaws.com",
    },
    "aws:sqs/queue:Queue": {"url": "https://sqs.{region}.amazonaws.com/{account}/{name}"},
}


def plain(value: Any) -> Any:
    """A value as it travels on Pulumi's wire -> Python; secrets, output values and resource references are unwrapped.

    Assets and archives stay dictionaries with their signature; an unknown value is the text `UNKNOWN`.
    """
    if isinstance(value, struct_pb2.Struct):
        value = json_format.MessageToDict(value)
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, dict):
        return value
    signature = value.get(SIGNATURE)
    if signature in (SECRET, OUTPUT_VALUE):
        return plain(value.get("value", UNKNOWN))
    if signature == RESOURCE_REFERENCE:
        return value.get("id") or value["urn"]
    return {key: plain(item) for key, item in value.items()}


def has_unknown(value: Any) -> bool:
    """Whether a value or anything in it is only known after creation."""
    if isinstance(value, dict):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(has_unknown(item) for item in value)
    return bool(value == UNKNOWN)


def suffix(urn: str, salt: str = "") -> str:
    """The seven hexadecimal digits of an invented name: the same URN gives the same digits."""
    return hashlib.sha256((urn + salt).encode()).hexdigest()[:7]


def name_input(type: str) -> str:
    """The input that holds the physical name of a resource of this type."""
    return _NAME_INPUT.get(type, "name")


def has_physical_name(type: str) -> bool:
    """Whether resources of this type have a physical name that the provider can invent."""
    return type in _NAMED


@functools.cache
def arn_types() -> frozenset[str]:
    """The types whose `arn` output is known here."""
    return frozenset(_ARN)


def physical_name(type: str, resource: str, urn: str, inputs: dict[str, Any]) -> str | None:
    """The name AWS sees: as given, or the logical name + "-" + 7 hexadecimal digits; None for types without names."""
    given = inputs.get(name_input(type))
    if type not in _NAMED or given is not None:
        return given
    invented = f"{resource}-{suffix(urn)}"
    return invented.lower() if type in _LOWER_CASE else invented


def provider_answer(
    type: str,
    resource: str,
    urn: str,
    inputs: dict[str, Any],
    *,
    account: str = ACCOUNT,
    region: str = REGION,
    known: dict[str, str] | None = None,
) -> tuple[str, dict[str, Any]]:
    """The id and the outputs that the AWS provider would give a resource with these inputs.

    `known` are outputs that a service has given, such as an ARN; they take the place of those made up here.
    """
    outputs = dict(inputs)
    name = physical_name(type, resource, urn, inputs)
    if name is not None:
        outputs[name_input(type)] = name
    values = {
        **{key: value for key, value in outputs.items() if isinstance(value, str)},
        "account": account,
        "partition": PARTITION,
        "region": region,
        "resource": resource,
        "suffix": suffix(urn),
    }
    if name is not None:
        values["name"] = name
    outputs.update(known or {})
    if type in _ARN:
        outputs["arn"] = (known or {}).get("arn") or _fill(_ARN[type], values)
    values.update({key: value for key, value in outputs.items() if isinstance(value, str)})
    for key, template in _OUTPUTS.get(type, {}).items():
        outputs[key] = values[key] = outputs.get(key) or _fill(template, values)
    identity = _fill(_ID[type], values) if type in _ID else name or f"{resource}-{suffix(urn)}"
    return identity, outputs


def _fill(template: str, values: dict[str, str]) -> str:
    """A template with its names replaced; a name without a value reads `None`, which `house.naming` refuses."""
    return re.sub(r"\{(\w+)\}", lambda match: str(values.get(match[1])), template)


GET_CATALOG_TABLE = "aws:glue/getCatalogTable:getCatalogTable"


class Missing(LookupError):
    """What a provider function was asked for does not exist; the program gets the text."""


def catalog_table_answer(deployed: Graph | None, arguments: dict[str, Any], account: str = ACCOUNT) -> dict[str, Any]:
    """The answer of getCatalogTable in an account that has what a graph has. Raises Missing, with the provider's text
    (terraform-provider-aws, catalog_table_data_source.go)."""
    database, name = arguments["databaseName"], arguments["name"]
    for node in deployed.all("CatalogTable") if deployed else ():
        if (node.inputs["databaseName"], node.inputs["name"]) == (database, name):
            if "openTableFormatInput" in node.inputs:
                return _iceberg_answer(node)
            return {
                **{key: node.inputs[key] for key in ("databaseName", "name", "partitionKeys", "parameters")},
                "storageDescriptors": [node.inputs["storageDescriptor"]],
            }
    raise missing_table(database, name, account)


def _iceberg_answer(node: Node) -> dict[str, Any]:
    """What Glue says of a table that it has made as Iceberg: its hour is a column, and its parameters are Iceberg's."""
    made = node.inputs["openTableFormatInput"]["icebergInput"]["icebergTableInput"]
    columns = [{"name": one["name"], "type": hive_type(json.loads(one["type"]))} for one in made["schema"]["fields"]]
    return {
        **{key: node.inputs[key] for key in ("databaseName", "name")},
        "partitionKeys": [],
        "parameters": {
            "table_type": "ICEBERG",
            "metadata_location": f"{made['location']}metadata/00000-0.metadata.json",
        },
        "storageDescriptors": [{"columns": columns, "location": made["location"]}],
    }


def hive_type(kind: Any) -> str:
    """A type of Iceberg as Glue shows it (apache/iceberg, IcebergToGlueConverter)."""
    if isinstance(kind, str):
        return {"long": "bigint"}.get(kind, kind)
    if kind["type"] == "list":
        return f"array<{hive_type(kind['element'])}>"
    if kind["type"] == "map":
        return f"map<{hive_type(kind['key'])},{hive_type(kind['value'])}>"
    return "struct<" + ",".join(f"{one['name']}:{hive_type(one['type'])}" for one in kind["fields"]) + ">"


def missing_table(database: str, name: str, account: str) -> Missing:
    """What the provider says of a table that does not exist."""
    return Missing(
        f"invocation of {GET_CATALOG_TABLE} returned an error: invoking {GET_CATALOG_TABLE}: 1 error occurred:\n\t* No "
        f"Glue table {name} found for catalog_id: {account}, database_name: {database}\n\n"
    )


def invoke_answer(
    token: str,
    arguments: dict[str, Any] | None = None,
    deployed: Graph | None = None,
    *,
    account: str = ACCOUNT,
    region: str = REGION,
) -> dict[str, Any]:
    """What the AWS provider answers to the functions programs may call; NotImplementedError for any other. deployed:
    what is there already."""
    if token == GET_CATALOG_TABLE:
        return catalog_table_answer(deployed, arguments or {}, account)
    answers: dict[str, dict[str, Any]] = {
        "aws:index/getCallerIdentity:getCallerIdentity": {
            "accountId": account,
            "arn": f"arn:{PARTITION}:iam::{account}:user/deployer",
            "id": account,
            "userId": "AIDAEXAMPLE",
        },
        "aws:index/getPartition:getPartition": {
            "dnsSuffix": "amazonaws.com",
            "id": PARTITION,
            "partition": PARTITION,
            "reverseDnsPrefix": "com.amazonaws",
        },
        "aws:index/getRegion:getRegion": {
            "description": region,
            "endpoint": f"ec2.{region}.amazonaws.com",
            "id": region,
            "name": region,
            "region": region,
        },
    }
    if token not in answers:
        raise NotImplementedError(f"The program called {token}, whose answer graph.invoke_answer does not know.")
    return dict(answers[token])


def texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text in inputs with its path, also those inside JSON documents; the contents of assets are left out."""
    if isinstance(value, dict):
        if value.get(SIGNATURE) == ASSET:
            return
        for key, item in value.items():
            if not isinstance(item, dict) or item.get(SIGNATURE) != ASSET:
                yield from texts(item, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from texts(item, f"{path}[{number}]")
    elif isinstance(value, str):
        inner = None
        if value[:1] == "{":
            try:
                inner = json.loads(value)
            except ValueError:
                inner = None
        if inner is None:
            yield path, value
        else:
            yield from texts(inner, path)


@dataclass
class Node:
    """One registered resource. `inputs` and `outputs` are plain Python values with Pulumi's camelCase keys.

    `existing` ones are only read by the program (`Bucket.get`).
    """

    urn: str
    type: str
    name: str
    parent: str
    custom: bool
    inputs: dict[str, Any]
    outputs: dict[str, Any] = field(default_factory=dict)
    id: str = ""
    dependencies: list[str] = field(default_factory=list)
    property_dependencies: dict[str, list[str]] = field(default_factory=dict)
    aliases: list[Any] = field(default_factory=list)
    protect: bool = False
    retain_on_delete: bool = False
    ignore_changes: list[str] = field(default_factory=list)
    provider: str = ""
    order: int = 0
    existing: bool = False
    registered_outputs: list[dict[str, Any]] = field(default_factory=list)

    @functools.cached_property
    def kind(self) -> str:
        """The last part of the type token: `Bucket`."""
        return self.type.rpartition(":")[2]

    @functools.cached_property
    def texts(self) -> list[tuple[str, str]]:
        """`texts` of the inputs."""
        return list(texts(self.inputs))

    @property
    def physical_name(self) -> str | None:
        """The name AWS sees, for types that have one."""
        value = self.outputs.get(name_input(self.type))
        return value if isinstance(value, str) else None

    @property
    def label(self) -> str:
        """How error texts call this resource."""
        return f"{self.kind} {self.name}"


@dataclass
class Graph:
    """All resources of one run but the stack itself, in the order of their registration, with the stack's exports."""

    nodes: dict[str, Node] = field(default_factory=dict)
    exports: dict[str, Any] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes.values())

    def all(self, type: str | None = None) -> list[Node]:
        """Resources whose type token is `type` or ends with ":" + `type`; without one, every resource."""
        return [node for node in self if type is None or node.type == type or node.type.endswith(f":{type}")]

    def one(self, type: str, name: str | None = None) -> Node:
        """The only resource of a type (with that logical name); LookupError names what there is instead."""
        found = [node for node in self.all(type) if name is None or node.name == name]
        if len(found) != 1:
            there = sorted(node.name for node in self.all(type))
            raise LookupError(f"{len(found)} resources are {type} {name or ''}; of that type there are {there}.")
        return found[0]

    def parent(self, node: Node) -> Node | None:
        """The component a resource belongs to; None at the top."""
        return self.nodes.get(node.parent)

    def children(self, node: Node) -> list[Node]:
        """The resources registered with `node` as their parent."""
        return [child for child in self if child.parent == node.urn]

    @property
    def custom(self) -> list[Node]:
        """Resources that a provider creates, without the providers themselves and what existed before."""
        return [node for node in self if node.custom and not node.existing and not node.type.startswith("pulumi:")]

    @property
    def components(self) -> list[Node]:
        """Component resources."""
        return [node for node in self if not node.custom]


def make_urn(project: str, stack: str, parent: str, type: str, name: str) -> str:
    """The URN the engine gives a resource: the type is preceded by the types of its parents, without the stack's."""
    qualified = type
    if parent and STACK_TYPE not in parent:
        qualified = f"{parent.split('::')[2]}${type}"
    return f"urn:pulumi:{stack}::{project}::{qualified}::{name}"


def node_of(request: Any, urn: str, order: int) -> Node:
    """The node of a RegisterResourceRequest, before the provider has answered."""
    return Node(
        urn=urn,
        type=request.type,
        name=request.name,
        parent="" if STACK_TYPE in request.parent else request.parent,
        custom=request.custom,
        inputs=plain(request.object),
        dependencies=list(request.dependencies),
        property_dependencies={key: list(value.urns) for key, value in request.propertyDependencies.items()},
        aliases=[json_format.MessageToDict(alias) for alias in request.aliases] + list(request.aliasURNs),
        protect=request.protect,
        retain_on_delete=request.retainOnDelete,
        ignore_changes=list(request.ignoreChanges),
        provider=request.provider,
        order=order,
    )


def to_struct(values: dict[str, Any]) -> struct_pb2.Struct:
    """Python values -> the form in which Pulumi sends them."""
    return json_format.ParseDict(values, struct_pb2.Struct())


def answer_struct(request_object: struct_pb2.Struct, outputs: dict[str, Any]) -> struct_pb2.Struct:
    """The inputs as they were sent (assets and secrets untouched) with the outputs that the provider adds."""
    answer = struct_pb2.Struct()
    answer.CopyFrom(request_object)
    answer.MergeFrom(to_struct({key: value for key, value in outputs.items() if key not in answer.fields}))
    return answer


def existing_node(request: Any, urn: str, order: int, state: dict[str, Any]) -> Node:
    """The node of a ReadResourceRequest."""
    return Node(
        urn=urn,
        type=request.type,
        name=request.name,
        parent="" if STACK_TYPE in request.parent else request.parent,
        custom=True,
        inputs=plain(request.properties),
        outputs=state,
        id=request.id,
        provider=request.provider,
        order=order,
        existing=True,
    )


def read_answer(type: str, name: str, urn: str, id: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """The state of an existing resource of AWS with this id, as `Bucket.get` and the like read it."""
    known = {name_input(type): id, **inputs} if has_physical_name(type) else inputs
    return provider_answer(type, name, urn, known)[1]
