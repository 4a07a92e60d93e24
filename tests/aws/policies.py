"""IAM: every policy of a graph through parliament, and a role's policies against the calls its code really makes.

parliament carries AWS's action data: which actions exist, which resources and condition keys each takes. The audit
works both ways: a call that no statement allows is missing, an action that no call needs is unused. It evaluates
identity policies only: no service control policies, boundaries, resource policies, conditions or keys of KMS.
"""

from __future__ import annotations

import fnmatch
import functools
import json
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graph import ACCOUNT, PARTITION, REGION, UNKNOWN, Graph, Node

with warnings.catch_warnings():
    # parliament finds its data through pkg_resources and leaves two files open.
    warnings.simplefilter("ignore")
    import parliament

# Inputs that hold a policy, by the kind of resource.
IDENTITY = {"RolePolicy": "policy", "Policy": "policy"}
RESOURCE = {"BucketPolicy": "policy", "QueuePolicy": "policy", "TopicPolicy": "policy"}
TRUST = {"Role": "assumeRolePolicy"}

# Findings of parliament that are no faults here: (issue, kind of resource) -> why.
ALLOWED: dict[tuple[str, str], str] = {}


def policy_input(node: Node) -> str | None:
    """The input of a resource that holds a policy, if any."""
    return {**IDENTITY, **RESOURCE, **TRUST}.get(node.kind)


def document_of(node: Node) -> str | None:
    """The policy of a resource as JSON text; a dictionary is what the provider would turn into text."""
    name = policy_input(node)
    value = node.inputs.get(name) if name else None
    return json.dumps(value) if isinstance(value, dict) else value


def as_list(value: Any) -> list[Any]:
    """Policies allow one item in place of a list of one."""
    return value if isinstance(value, list) else [value]


def statements(document: str) -> list[dict[str, Any]]:
    """The statements of a policy; ValueError when it is not the JSON of one."""
    parsed = json.loads(document)
    if not isinstance(parsed, dict) or "Statement" not in parsed:
        raise ValueError("a policy is an object with Statement")
    found = as_list(parsed["Statement"])
    if not all(isinstance(one, dict) for one in found):
        raise ValueError("a statement is an object")
    return found


def role_documents(graph: Graph, role: Node) -> list[str]:
    """The inline policies of a role."""
    names = {role.physical_name, role.id}
    return [
        text
        for node in graph.all("RolePolicy")
        if node.inputs.get("role") in names and (text := document_of(node)) is not None
    ]


def _lintable(document: str, kind: str) -> str:
    """A trust policy names no resource, its role is meant; parliament wants one to look conditions up."""
    if kind not in TRUST:
        return document
    try:
        parsed = json.loads(document)
        for one in as_list(parsed["Statement"]):
            one.pop("Principal", None)
            one["Resource"] = f"arn:{PARTITION}:iam::{ACCOUNT}:role/this"
    except (ValueError, KeyError, TypeError, AttributeError):
        return document
    return json.dumps(parsed)


@functools.lru_cache(maxsize=20_000)
def findings(document: str, kind: str) -> tuple[str, ...]:
    """What parliament finds in one policy of a resource of this kind, without what `ALLOWED` explains."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            policy = parliament.analyze_policy_string(_lintable(document, kind), include_community_auditors=False)
        except Exception as error:
            # It raises for some documents in place of finding something, such as an action that is a number.
            return (f"NOT_ANALYZED: {type(error).__name__}: {error}",)
    return tuple(f"{found.issue}: {found.detail}" for found in policy.findings if (found.issue, kind) not in ALLOWED)


def check_node(node: Node) -> list[str]:
    """The findings for the policy of one resource; none for one that a preview does not know yet."""
    document = document_of(node)
    if document is None or document == UNKNOWN:
        return []
    return [f"{node.label}: {text}" for text in findings(document, node.kind)]


def check(graph: Graph) -> list[str]:
    """`check_node` for every policy of a graph."""
    return [text for node in graph.custom for text in check_node(node)]


# The audit.

Parameters = Mapping[str, Any]
Need = tuple[str, list[str]]


def _arn(service: str, resource: str) -> str:
    return f"arn:{PARTITION}:{service}:{REGION}:{ACCOUNT}:{resource}"


def _glue_table(action: str, table: str) -> Callable[[Parameters], list[Need]]:
    """Glue wants the permission on the table and on all its ancestors."""

    def needs(parameters: Parameters) -> list[Need]:
        database = parameters["DatabaseName"]
        arns = [
            _arn("glue", "catalog"),
            _arn("glue", f"database/{database}"),
            _arn("glue", f"table/{database}/{parameters[table]}"),
        ]
        return [(f"glue:{action}", arns)]

    return needs


def _athena(action: str) -> Callable[[Parameters], list[Need]]:
    """The workgroup is the resource; calls that name only the query need `WorkGroup` among the parameters."""

    def needs(parameters: Parameters) -> list[Need]:
        return [(f"athena:{action}", [_arn("athena", f"workgroup/{parameters['WorkGroup']}")])]

    return needs


def _object(*actions: str) -> Callable[[Parameters], list[Need]]:
    def needs(parameters: Parameters) -> list[Need]:
        return [(action, [f"arn:{PARTITION}:s3:::{parameters['Bucket']}/{parameters['Key']}"]) for action in actions]

    return needs


def _objects(parameters: Parameters) -> list[Need]:
    keys = [one["Key"] for one in parameters["Delete"]["Objects"]]
    return [("s3:DeleteObject", [f"arn:{PARTITION}:s3:::{parameters['Bucket']}/{key}" for key in keys])]


def _copy(parameters: Parameters) -> list[Need]:
    source = parameters["CopySource"]
    if isinstance(source, Mapping):
        source = f"{source['Bucket']}/{source['Key']}"
    return [
        ("s3:GetObject", [f"arn:{PARTITION}:s3:::{source.lstrip('/')}"]),
        ("s3:PutObject", [f"arn:{PARTITION}:s3:::{parameters['Bucket']}/{parameters['Key']}"]),
    ]


def _stream(parameters: Parameters) -> list[Need]:
    arn = parameters.get("StreamARN") or _arn("kinesis", f"stream/{parameters['StreamName']}")
    return [("kinesis:PutRecords", [arn])]


# Operation -> (action, resources). Source: Service Authorization Reference; for HeadObject and ListObjectsV2 the
# "Required permissions" of each operation in the Amazon S3 API reference.
NEEDS: dict[tuple[str, str], Callable[[Parameters], list[Need]]] = {
    ("athena", "GetQueryExecution"): _athena("GetQueryExecution"),
    ("athena", "GetQueryResults"): _athena("GetQueryResults"),
    ("athena", "StartQueryExecution"): _athena("StartQueryExecution"),
    ("athena", "StopQueryExecution"): _athena("StopQueryExecution"),
    ("cloudwatch", "PutMetricData"): lambda parameters: [("cloudwatch:PutMetricData", ["*"])],
    ("glue", "BatchCreatePartition"): _glue_table("BatchCreatePartition", "TableName"),
    ("glue", "BatchGetPartition"): _glue_table("BatchGetPartition", "TableName"),
    ("glue", "DeletePartition"): _glue_table("DeletePartition", "TableName"),
    ("glue", "BatchUpdatePartition"): _glue_table("BatchUpdatePartition", "TableName"),
    ("glue", "CreatePartition"): _glue_table("CreatePartition", "TableName"),
    ("glue", "GetPartition"): _glue_table("GetPartition", "TableName"),
    ("glue", "GetPartitions"): _glue_table("GetPartitions", "TableName"),
    ("glue", "GetTable"): _glue_table("GetTable", "Name"),
    ("glue", "GetTables"): lambda parameters: _glue_table("GetTables", "Name")({"Name": "any", **parameters}),
    ("glue", "UpdatePartition"): _glue_table("UpdatePartition", "TableName"),
    ("kinesis", "PutRecords"): _stream,
    ("s3", "CopyObject"): _copy,
    ("s3", "DeleteObject"): _object("s3:DeleteObject"),
    ("s3", "DeleteObjects"): _objects,
    ("s3", "GetObject"): _object("s3:GetObject"),
    ("s3", "HeadObject"): _object("s3:GetObject"),
    ("s3", "ListObjectsV2"): lambda parameters: [("s3:ListBucket", [f"arn:{PARTITION}:s3:::{parameters['Bucket']}"])],
    ("s3", "PutObject"): _object("s3:PutObject"),
}


@dataclass(frozen=True)
class Implied:
    """An action that a service performs with the role's rights and that no call of the code shows."""

    action: str
    arns: tuple[str, ...]
    reason: str


def role_of(graph: Graph, function: Node) -> Node:
    """The role that a recorded function runs with."""
    return next(one for one in graph.all("Role") if one.outputs.get("arn") == function.inputs["role"])


def lambda_implies(graph: Graph, function: Node) -> list[Implied]:
    """What Lambda does with the rights of a recorded function: it writes its log, and its dead letters."""
    group = graph.one("LogGroup", _named(graph, "LogGroup", function.inputs["loggingConfig"]["logGroup"]))
    stream = f"{group.outputs['arn']}:log-stream:any"
    log = "Lambda writes the log with the rights of the function"
    implied = [Implied(f"logs:{action}", (stream,), log) for action in ("CreateLogStream", "PutLogEvents")]
    for config in graph.all("FunctionEventInvokeConfig"):
        if config.inputs["functionName"] == function.physical_name:
            target = config.inputs["destinationConfig"]["onFailure"]["destination"]
            letters = "Lambda delivers what failed for good with the rights of the function"
            implied.append(Implied("sqs:SendMessage", (target,), letters))
    return implied


def _named(graph: Graph, kind: str, physical: str) -> str:
    return next(one.name for one in graph.all(kind) if one.physical_name == physical)


@dataclass(frozen=True)
class Query:
    """What one Athena query reads and writes: tables are (database, table), locations are s3:// folders."""

    workgroup: str
    tables: tuple[tuple[str, str], ...]
    reads: tuple[str, ...]
    writes: tuple[str, ...]


# What SELECT needs on a table: Athena user guide, "Configure access to databases and tables in the AWS Glue Data
# Catalog", example policies.
_CATALOG_READS = ("GetTable", "GetPartition", "GetPartitions", "BatchGetPartition")


def athena_implies(query: Query) -> list[Implied]:
    """The Glue and S3 actions that Athena performs for a caller: "Control access to Amazon S3 from Athena".

    `default` is looked at for every query; tables that are not partitioned need GetPartitions all the same, since
    Athena asks before it knows.
    """
    reason = "Athena uses the rights of the caller of StartQueryExecution"
    databases = sorted({database for database, _ in query.tables})
    on_database = (_arn("glue", "catalog"), _arn("glue", "database/default"))
    on_database += tuple(_arn("glue", f"database/{database}") for database in databases)
    on_table = (_arn("glue", "catalog"), *(_arn("glue", f"database/{one}") for one in databases))
    on_table += tuple(_arn("glue", f"table/{database}/{table}") for database, table in query.tables)
    implied = [Implied(f"glue:{action}", on_database, reason) for action in ("GetDatabase", "GetDatabases")]
    implied += [Implied(f"glue:{action}", on_table, reason) for action in _CATALOG_READS]
    folders = {one.removeprefix("s3://") for one in (*query.reads, *query.writes)}
    buckets = tuple(sorted({f"arn:{PARTITION}:s3:::{folder.partition('/')[0]}" for folder in folders}))
    implied += [Implied(f"s3:{action}", buckets, reason) for action in ("GetBucketLocation", "ListBucket")]
    reads = tuple(f"arn:{PARTITION}:s3:::{one.removeprefix('s3://')}*" for one in query.reads)
    writes = tuple(f"arn:{PARTITION}:s3:::{one.removeprefix('s3://')}*" for one in query.writes)
    implied.append(Implied("s3:GetObject", reads + writes, reason))
    implied += [
        Implied(f"s3:{action}", writes, reason)
        for action in ("PutObject", "AbortMultipartUpload", "ListMultipartUploadParts")
    ]
    targets = tuple(sorted({write.partition("/")[0] for write in writes}))
    implied.append(Implied("s3:ListBucketMultipartUploads", targets, reason))
    return implied


@dataclass
class Audit:
    """`missing`: (action, ARN) that no statement allows. `unused`: (action, resource of the policy) nothing needs."""

    missing: list[tuple[str, str]] = field(default_factory=list)
    unused: list[tuple[str, str]] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not self.missing and not self.unused


def _matches(pattern: str, text: str) -> bool:
    """Whether a text matches a pattern with the wildcards of IAM, to which brackets are letters."""
    return fnmatch.fnmatchcase(text, pattern.replace("[", "[[]"))


def allowed(documents: Iterable[str], action: str, arn: str) -> bool:
    """Whether identity policies allow an action on a resource: an Allow matches and no Deny does."""
    return {effect for document in documents for effect in _effects(document, action, arn)} == {"Allow"}


@functools.lru_cache(maxsize=200_000)  # the tests of the checks ask the same of the same policies thousands of times
def _effects(document: str, action: str, arn: str) -> frozenset[str]:
    """The effects of the statements of one policy that speak of an action on a resource."""
    return frozenset(
        one["Effect"]
        for one in statements(document)
        if any(_matches(name.lower(), action.lower()) for name in as_list(one.get("Action", [])))
        and any(_matches(resource, arn) for resource in as_list(one.get("Resource", [])))
    )


def watch(session: Any, calls: list[tuple[str, str, Parameters]]) -> None:
    """Add every call that a boto3 session makes from now on to `calls`, as `audit` takes them."""

    def record(params: Parameters, model: Any, **_: Any) -> None:
        calls.append((model.service_model.service_name, model.name, dict(params)))

    session.events.register("provide-client-params.*.*", record)


def audit(
    policies: Sequence[str],
    calls: Iterable[tuple[str, str, Parameters]],
    implied: Iterable[Implied] = (),
    queries: Iterable[Query] = (),
    *,
    account: str = ACCOUNT,
    region: str = REGION,
) -> Audit:
    """Compare the policies of a role with (service, operation, parameters) of calls and with what services do.

    Raises KeyError for an operation that `NEEDS` does not have: a new call needs a decision, not a guess. What queries
    read and write is told by `queries` (or `implied`, from `athena_implies`); without, it is reported as missing.
    Calls of GetQueryExecution, GetQueryResults and StopQueryExecution name no workgroup; that of the last
    StartQueryExecution is taken. `account` and `region` are those of the policies.
    """
    implied = [*implied, *(one for query in queries for one in athena_implies(query))]
    needed: set[tuple[str, str]] = set()
    workgroup = None
    for service, operation, parameters in calls:
        if (service, operation) == ("athena", "StartQueryExecution"):
            workgroup = parameters.get("WorkGroup", "primary")
            if not any(one.action == "glue:GetDatabase" for one in implied):
                needed.add(("athena:StartQueryExecution", f"what is read by {parameters.get('QueryString')}"))
        if service == "athena":
            parameters = {"WorkGroup": workgroup, **parameters}
        for action, arns in NEEDS[service, operation](parameters):
            needed.update((action, arn) for arn in arns)
    for one in implied:
        needed.update((one.action, arn) for arn in one.arns)
    here = f":{region}:{account}:"
    needed = {(action, arn.replace(f":{REGION}:{ACCOUNT}:", here)) for action, arn in needed}
    result = Audit(missing=sorted(pair for pair in needed if not allowed(policies, *pair)))
    for document in policies:
        for one in statements(document):
            if one["Effect"] != "Allow":
                continue
            for action in as_list(one["Action"]):
                for resource in as_list(one["Resource"]):
                    used = any(
                        _matches(action.lower(), name.lower()) and _matches(resource, arn) for name, arn in needed
                    )
                    if not used:
                        result.unused.append((action, resource))
    result.unused = sorted(set(result.unused))
    return result
