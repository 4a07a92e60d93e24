"""The gateway: the function that decides on statements of guarded workgroups and starts those that they permit.

Athena has no counterpart of a guard, so that a guarded workgroup is one in which nobody else may start a query: the
function's role is the only one of the warehouse that can. Athena runs a query with the rights of who started it: this
role can read the tables, and people need not.
"""

import json
from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from datawarehouse.aws.arguments import checked_arguments, checked_name
from datawarehouse.aws.called_function import called_function
from datawarehouse.aws.gateway_policies import GatewayRights, analyst, gateway
from datawarehouse.aws.naming import workgroup_name
from datawarehouse.aws.packaging import library, planner_files
from datawarehouse.aws.policies import Place, document
from datawarehouse.aws.workgroups import BATCH, READERS
from datawarehouse.definition.gateway import WORKGROUPS, described
from datawarehouse.definition.workgroups import DEFAULTS, Workgroup

MEMORY_MB = 1769
"""One processor (Lambda developer guide, "Configure Lambda function memory")."""
TIMEOUT_SECONDS = 300


def guarded(workgroups: Mapping[str, Workgroup]) -> dict[str, Workgroup]:
    """The workgroups whose queries go through the gateway: those declared ones that ask for a range of hours.

    `scan_bytes_max` alone is held by Athena. Jobs start their queries in `batch` themselves, and other accounts in
    `readers`.
    """
    return {
        name: each
        for name, each in workgroups.items()
        if (each.require_partition_filter or each.partitions_max is not None)
        and name not in (BATCH, READERS)
        and not any(each is default for default in DEFAULTS)
    }


class QueryGatewayArgs(TypedDict):
    """The arguments of a QueryGateway.

    warehouse: the beginning of the workgroups' names. workgroups: the guarded ones by name. database_arn,
    database_name, data_bucket, results_bucket: whose tables are read, and where their files and the results are.
    log_retention_days: of its log. kms_key_arn: what both buckets and the log are encrypted with. region: default is
    the provider's.
    """

    warehouse: str
    workgroups: Mapping[str, Workgroup]
    database_arn: pulumi.Input[str]
    database_name: pulumi.Input[str]
    data_bucket: pulumi.Input[str]
    results_bucket: pulumi.Input[str]
    log_retention_days: int
    kms_key_arn: NotRequired[pulumi.Input[str]]
    region: NotRequired[pulumi.Input[str]]


class QueryGateway(pulumi.ComponentResource):
    """The function, with its role and its log. It is called by who may call it, and nothing else calls it.

    function: it. workgroups: the names of the guarded workgroups.
    """

    function: aws.lambda_.Function

    def __init__(self, name: str, args: QueryGatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        given = checked_arguments(checked_name("QueryGateway", name), args, QueryGatewayArgs)
        super().__init__("datawarehouse:index:QueryGateway", name, {}, opts)
        self._given = given
        self.workgroups = list(given["workgroups"])
        athena = {each: workgroup_name(given["warehouse"], each) for each in self.workgroups}
        permitted = {each: described(given["workgroups"][each], athena[each]) for each in self.workgroups}
        needed = ("database_arn", "database_name", "data_bucket", "results_bucket", "kms_key_arn")
        self.function = called_function(
            self,
            name,
            library("gateway.handler", extra={**planner_files(), WORKGROUPS: json.dumps(permitted)}),
            lambda _: pulumi.Output.all(**{each: given.get(each) for each in needed}).apply(
                lambda found: gateway(_rights(found, athena))
            ),
            {
                "DW_BUCKET": given["data_bucket"],
                "DW_DATABASE": given["database_name"],
                "DW_RESULTS": pulumi.Output.concat("s3://", given["results_bucket"]),
            },
            {**given, "timeout_seconds": TIMEOUT_SECONDS, "memory_mb": MEMORY_MB},
        )
        self.register_outputs({"function_name": self.function.name})

    def analyst_policy(self, workgroup: str) -> pulumi.Output[str]:
        """The policy of who may ask in one guarded workgroup, and do nothing else."""
        given = self._given
        return pulumi.Output.all(self.function.arn, given["results_bucket"], given.get("kms_key_arn")).apply(
            lambda found: document(
                analyst(found[0], workgroup_name(given["warehouse"], workgroup), found[1], workgroup, found[2])
            )
        )


def _rights(found: Mapping[str, Any], athena: Mapping[str, str]) -> GatewayRights:
    return GatewayRights(
        Place.of(found["database_arn"]),
        found["database_name"],
        found["data_bucket"],
        found["results_bucket"],
        athena,
        found["kms_key_arn"],
    )
