"""Whoever deploys may make the calls of a deployment, on the warehouse's resources, and no others without a reason."""

import json
import re
from pathlib import Path

import policies
import pulumi
import pulumi_aws as aws
import pytest
from apply import ACTION_OF, operations
from cloudformation import handler_permissions
from declared import COLUMNS, everything
from graph import ACCOUNT, REGION
from recorder import deploy

from datawarehouse.aws import EventGenerator, ServerlessDataWarehouse
from datawarehouse.aws.deployer import PASS_ROLE_TO, POLICY_CHARACTERS_MAX, RIGHTS, deployer_policies

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "deployer-policy.md"
NAMES = ["every_kind", "clicks-generator"]

# Actions that neither an operation of the emulator's run nor a handler of CloudFormation explains.
REASONS = {
    "glue:GetPartitionIndexes": "the provider reads the indexes of a table (internal/service/glue/catalog_table.go)",
    "glue:GetTags": "the provider reads the tags of a database (catalog_database.go)",
    "glue:TagResource": "tags of a database, as aws:defaultTags sets them",
    "glue:UntagResource": "the same, when they are taken away",
    "iam:ListInstanceProfilesForRole": "the provider asks before it deletes a role (internal/service/iam/role.go)",
    "lambda:InvokeFunction": "a registrar is called once by the deployment",
    "lambda:ListVersionsByFunction": "the provider reads the newest version (internal/service/lambda/function.go)",
    "s3:GetBucketLocation": "the provider finds a bucket's Region (internal/service/s3/bucket.go)",
    "s3:GetBucketRequestPayment": "the provider reads who pays (bucket.go)",
    "s3:ListBucketVersions": "force_destroy deletes what is in a bucket (internal/service/s3/delete.go)",
    "s3:DeleteObjectVersion": "the same",
    "s3:GetObject": "the provider reads an object that the program uploads (internal/service/s3/object.go)",
    "s3:GetObjectTagging": "the same",
    "s3:PutObject": "an object that the program uploads",
    "s3:PutObjectTagging": "its tags, as aws:defaultTags sets them",
}
# What parliament does not know, or knows otherwise than AWS: its data is of an earlier date.
NOT_KNOWN = (
    *(f"Unknown action kinesis:{name}" for name in ("TagResource", "UntagResource", "ListTagsForResource")),
    "Unknown action kinesis:UpdateStreamWarmThroughput",
    # It wants every type of resource that an action can have; AWS wants the one that is meant.
    "'required_format': 'arn:*:athena:*:*:capacity-reservation/*'",
)


@pytest.fixture(scope="module")
def graph():
    def program():
        deployed = ServerlessDataWarehouse(
            "every_kind",
            {
                "warehouse": everything().with_streaming_input_table("rows", COLUMNS, table_format="iceberg"),
                "alarm_emails": ["ops@example.com"],
                "reader_account_ids": ["210987654321"],
                "on_demand_streams": ["clicks"],
            },
        )
        bucket = deployed.data_warehouse_bucket.bucket
        aws.s3.BucketObject("facts", bucket=bucket, key="facts/facts.json", content="{}")
        stream = deployed.get_input_stream("clicks")
        EventGenerator(
            "clicks-generator",
            {
                "table": everything().get_table("clicks"),
                "stream_name": stream.name,
                "stream_arn": stream.arn,
            },
            pulumi.ResourceOptions(depends_on=[deployed]),
        )

    return deploy(program)


@pytest.fixture(scope="module")
def documents():
    return [json.dumps(policy) for policy in deployer_policies(NAMES, ACCOUNT, REGION)]


def arns_of(graph, node):
    """What a call that makes a resource is on: the resource, or what it belongs to."""
    owner = {
        "BucketLifecycleConfiguration": ("Bucket", "bucket"),
        "BucketPolicy": ("Bucket", "bucket"),
        "BucketPublicAccessBlock": ("Bucket", "bucket"),
        "BucketServerSideEncryptionConfiguration": ("Bucket", "bucket"),
        "EventTarget": ("EventRule", "rule"),
        "FunctionEventInvokeConfig": ("Function", "functionName"),
        "Invocation": ("Function", "functionName"),
        "Permission": ("Function", "function"),
        "RolePolicy": ("Role", "role"),
        "RolePolicyAttachment": ("Role", "role"),
    }
    if node.kind == "TopicSubscription":
        return [node.inputs["topic"]]
    if node.kind == "TopicPolicy":
        return [node.inputs["arn"]]
    if node.kind == "QueuePolicy":
        return [one.outputs["arn"] for one in graph.all("Queue") if one.outputs["url"] == node.inputs["queueUrl"]]
    if node.kind in owner:
        kind, key = owner[node.kind]
        return [one.outputs["arn"] for one in graph.all(kind) if one.physical_name == node.inputs[key]]
    if node.kind == "Dashboard":
        return [node.outputs["dashboardArn"]]
    catalog = f"arn:aws:glue:{REGION}:{ACCOUNT}:catalog"
    if node.kind == "CatalogDatabase":
        return [catalog, node.outputs["arn"]]
    if node.kind == "CatalogTableOptimizer":
        database = f"database/{node.inputs['databaseName']}"
        table = f"table/{node.inputs['databaseName']}/{node.inputs['tableName']}"
        return [catalog, *(f"arn:aws:glue:{REGION}:{ACCOUNT}:{each}" for each in (database, table))]
    if node.kind == "CatalogTable":
        database = f"arn:aws:glue:{REGION}:{ACCOUNT}:database/{node.inputs['databaseName']}"
        return [catalog, database, node.outputs["arn"]]
    return [node.outputs["arn"]]


def actions_of(node):
    return [f"{service}:{ACTION_OF.get((service, name), name)}" for service, name in operations(node.type, node.inputs)]


def test_every_call_that_makes_a_resource_is_allowed(graph, documents):
    refused = [
        (node.label, action, arn)
        for node in graph.custom
        for action in actions_of(node)
        for arn in arns_of(graph, node) or ["nothing"]
        if not policies.allowed(documents, action, arn)
    ]
    assert refused == []


def test_roles_may_be_passed_to_those_that_get_them_and_to_nobody_else(graph, documents):
    trusted = set()
    for node in graph.custom:
        role = node.inputs.get("role") if node.kind == "Function" else None
        if node.kind == "FirehoseDeliveryStream":
            role = node.inputs["kinesisSourceConfiguration"]["roleArn"]
        if node.kind == "CatalogTableOptimizer":
            role = node.inputs["configuration"]["roleArn"]
        if role:
            assert policies.allowed(documents, "iam:PassRole", role)
            [made] = [one for one in graph.all("Role") if one.outputs["arn"] == role]
            trusted.add(json.loads(made.inputs["assumeRolePolicy"])["Statement"][0]["Principal"]["Service"])
    assert trusted == set(PASS_ROLE_TO)
    [passing] = [one for text in documents for one in policies.statements(text) if "iam:PassRole" in one["Action"]]
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": list(PASS_ROLE_TO)}}


def test_each_kind_of_resource_has_its_rights_and_each_right_its_kind(graph):
    assert {kind for rights in RIGHTS for kind in rights.kinds} == {node.kind for node in graph.custom}


def test_nothing_is_allowed_without_a_reason(graph):
    used = set()
    for rights in RIGHTS:
        nodes = [node for node in graph.custom if node.kind in rights.kinds]
        explained = {action for node in nodes for action in (*actions_of(node), *handler_permissions(node.type))}
        actions = {f"{rights.service}:{action}" for action in rights.actions.split()}
        assert actions - explained <= REASONS.keys(), rights.kinds
        used |= actions
    assert REASONS.keys() <= used


def test_only_the_warehouse_of_this_name_is_touched(documents):
    for text in documents:
        for one in policies.statements(text):
            for arn in one["Resource"]:
                if arn == "*":
                    assert one["Action"][0].startswith(("sns:GetSubscription", "logs:DescribeLogGroups"))
                    continue
                assert re.search(r"every[_-]kind|clicks-generator", arn) or arn.endswith(":catalog")
    for other in ("every_kinds-data", "data", "other-every_kind-x"):
        arn = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{other}"
        assert not policies.allowed(documents, "kinesis:DeleteStream", arn)


def test_parliament_finds_nothing_that_aws_does_not_take(documents):
    found = [text for document in documents for text in policies.findings(document, "RolePolicy")]
    assert [text for text in found if not any(known in text for known in NOT_KNOWN)] == []


def test_each_document_is_one_that_iam_takes():
    for names in (["a" * 40], [f"{letter * 40}" for letter in "abcdefghij"]):
        for place in ((), (ACCOUNT, "ap-southeast-2")):
            found = deployer_policies(names, *place)
            whole = [one for policy in found for one in policy["Statement"]]
            assert len(whole) == len(RIGHTS) + 1
            assert all(len(json.dumps(one, separators=(",", ":"))) <= POLICY_CHARACTERS_MAX for one in found)
            assert len(found) <= 10  # IAM and AWS STS quotas: managed policies of a role
    assert len(deployer_policies(["analytics_dw"], ACCOUNT, REGION)) == 1


@pytest.mark.parametrize(("region", "partition"), [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")])
def test_other_partitions(region, partition):
    text = json.dumps(deployer_policies(["dw"], ACCOUNT, region))
    assert f"arn:{partition}:s3:::dw-*" in text and "arn:aws:" not in text


def test_the_page_has_the_document():
    blocks = re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert [json.loads(block) for block in blocks] == deployer_policies(["analytics_dw"], ACCOUNT, REGION)
