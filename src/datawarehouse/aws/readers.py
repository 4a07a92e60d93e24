"""A role that people and services of other AWS accounts assume, to query one warehouse and nothing else."""

import re
from collections.abc import Sequence
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from datawarehouse.aws.arguments import checked_arguments, checked_name
from datawarehouse.aws.naming import POLICY_MAX, ROLE_MAX, short_name
from datawarehouse.aws.policies import Place, document, reader, reader_trust
from datawarehouse.aws.refusals import in_one_line
from datawarehouse.aws.workgroups import READERS
from datawarehouse.errors import DeclarationError


class ReaderRoleArgs(TypedDict):
    """The arguments of a ReaderRole.

    account_ids: of 12 digits each. external_id: the text that they must give when they assume the role; it is agreed on
    and not a secret ("The confused deputy problem", IAM user guide). database_arn, database_name, data_bucket,
    results_bucket, workgroup_name: what the role may read and where it may query. kms_key_arn: what both buckets are
    encrypted with, if it is a key of one's own.
    """

    account_ids: Sequence[str]
    external_id: str
    database_arn: pulumi.Input[str]
    database_name: pulumi.Input[str]
    data_bucket: pulumi.Input[str]
    results_bucket: pulumi.Input[str]
    workgroup_name: pulumi.Input[str]
    kms_key_arn: NotRequired[pulumi.Input[str]]
    description: NotRequired[str]


class ReaderRole(pulumi.ComponentResource):
    """An assumable role, `role`, limited to a database, its bucket and the workgroup of readers."""

    role: aws.iam.Role

    @in_one_line
    def __init__(self, name: str, args: ReaderRoleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        component = checked_name("ReaderRole", name)
        given = checked_arguments(component, args, ReaderRoleArgs)
        accounts = checked_accounts(component, given["account_ids"])
        if not accounts:
            raise DeclarationError(f"{component}: account_ids is empty; give the accounts that may assume the role.")
        super().__init__("datawarehouse:index:ReaderRole", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.role = aws.iam.Role(
            f"{name}-role",
            name=short_name(f"{name}-role", ROLE_MAX),
            description=given.get("description", "Queries the warehouse from other accounts"),
            assume_role_policy=pulumi.Output.from_input(given["database_arn"]).apply(
                lambda arn: reader_trust(Place.of(arn).partition, accounts, given["external_id"])
            ),
            opts=child,
        )
        aws.iam.RolePolicy(
            f"{name}-policy",
            name=short_name(f"{name}-policy", POLICY_MAX),
            role=self.role.name,
            policy=pulumi.Output.all(
                given["database_arn"],
                given["database_name"],
                given["data_bucket"],
                given["results_bucket"],
                given["workgroup_name"],
                given.get("kms_key_arn"),
            ).apply(
                lambda found: document(
                    reader(Place.of(found[0]), found[1], found[2], found[3], found[4], READERS, found[5])
                )
            ),
            opts=child,
        )
        self.register_outputs({"role_arn": self.role.arn})


def checked_accounts(component: str, account_ids: object) -> list[str]:
    """The ids of AWS accounts, as text; else DeclarationError."""
    ids = account_ids if isinstance(account_ids, list | tuple) else [[account_ids]]
    for account in ids:
        if not isinstance(account, str) or not re.fullmatch(r"[0-9]{12}", account):
            raise DeclarationError(
                f"{component}: the account id {account!r} is not valid; give a list of texts of 12 digits, e.g. "
                "['123456789012']."
            )
    return [str(account) for account in ids]
