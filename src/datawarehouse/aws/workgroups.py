"""Athena workgroups: each is for one audience, with its own results and limits."""

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from datawarehouse.aws.arguments import checked_arguments, checked_name, shown
from datawarehouse.aws.naming import workgroup_name
from datawarehouse.aws.refusals import in_one_line
from datawarehouse.definition.workgroups import Workgroup, with_defaults
from datawarehouse.errors import DeclarationError

PRODUCTION, ADHOC, BATCH, READERS = "production", "adhoc", "batch", "readers"
SCAN_BYTES_MAX = 10**12
"""1 TB, five dollars a query at five dollars a TB: a dashboard that forgets the condition on the hour should not read
years, and a job that reads one hour reads far less."""
ADHOC_SCAN_BYTES_MAX = 10**11
"""100 GB: half a dollar a query."""
_FOR = {
    PRODUCTION: "Queries of services and dashboards, each with a limit",
    ADHOC: "Queries of people, each with a limit",
    BATCH: "Queries of the jobs of batch input tables, each with a limit",
    READERS: "Queries from other accounts, each with a limit",
}


class WorkgroupsArgs(TypedDict):
    """The arguments of Workgroups.

    warehouse: the beginning of the names. results_bucket: its name. workgroups: the declared ones, as
    `Warehouse.workgroups()` gives them (default: production, adhoc and batch). has_readers: whether there is one for
    other accounts. kms_key_arn: what results are encrypted with (default: the key of S3). region: default is the
    provider's.
    """

    warehouse: str
    results_bucket: pulumi.Input[str]
    workgroups: NotRequired[Mapping[str, Workgroup]]
    has_readers: NotRequired[bool]
    kms_key_arn: NotRequired[pulumi.Input[str]]
    region: NotRequired[pulumi.Input[str]]


class Workgroups(pulumi.ComponentResource):
    """An Athena workgroup for each declared one; Athena ends a query at its `scan_bytes_max`, and knows no other limit.

    Where that is not declared, it is 100 GB for `adhoc` and 1 TB for others. `readers`, if it exists, is for other
    accounts, since users of one workgroup can read each other's results; unless it is declared, it has the limit of
    `adhoc`.

    of: the workgroups by name. `batch` is not enforced: jobs choose where their results go, and a table that UNLOAD
    writes does not belong to a workgroup's results (Athena user guide, "Override client-side settings").
    """

    @in_one_line
    def __init__(self, name: str, args: WorkgroupsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        component = checked_name("Workgroups", name)
        given = checked_arguments(component, args, WorkgroupsArgs)
        limits = _scan_bytes_max(component, given.get("workgroups", with_defaults(())), given.get("has_readers", False))
        super().__init__("datawarehouse:index:Workgroups", name, {}, opts)
        key = given.get("kms_key_arn")
        encryption: Any = (
            {"encryption_option": "SSE_S3"} if key is None else {"encryption_option": "SSE_KMS", "kms_key_arn": key}
        )
        self.of = {
            audience: aws.athena.Workgroup(
                f"{name}-{audience}",
                name=workgroup_name(given["warehouse"], audience),
                description=_FOR.get(audience, f"Queries of {audience}, each with a limit"),
                configuration={
                    "enforce_workgroup_configuration": audience != BATCH,
                    "publish_cloudwatch_metrics_enabled": True,
                    "bytes_scanned_cutoff_per_query": bytes_max,
                    "engine_version": {"selected_engine_version": "Athena engine version 3"},
                    "result_configuration": {
                        "output_location": pulumi.Output.concat("s3://", given["results_bucket"], f"/{audience}/"),
                        "encryption_configuration": encryption,
                    },
                },
                force_destroy=True,
                region=given.get("region"),
                opts=pulumi.ResourceOptions(parent=self),
            )
            for audience, bytes_max in limits.items()
        }
        self.register_outputs({audience: workgroup.name for audience, workgroup in self.of.items()})


def _scan_bytes_max(component: str, workgroups: Mapping[str, Any], has_readers: bool) -> dict[str, int]:
    """At how many bytes Athena ends a query, by workgroup. Raises DeclarationError."""
    for name, workgroup in workgroups.items():
        if not isinstance(workgroup, Workgroup) or workgroup.name != name:
            raise DeclarationError(
                f"{component}: workgroups[{name!r}] is {shown(workgroup)}; valid is what Warehouse.workgroups() gives."
            )
    found = {PRODUCTION: SCAN_BYTES_MAX, ADHOC: ADHOC_SCAN_BYTES_MAX, BATCH: SCAN_BYTES_MAX}
    found |= {name: each.scan_bytes_max or found.get(name, SCAN_BYTES_MAX) for name, each in workgroups.items()}
    return {READERS: found[ADHOC], **found} if has_readers else found
