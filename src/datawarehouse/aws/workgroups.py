"""Athena workgroups: each is for one audience, with its own results and limits."""

from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from datawarehouse.aws.arguments import checked_arguments, checked_name, checked_number
from datawarehouse.aws.naming import workgroup_name
from datawarehouse.aws.refusals import in_one_line

PRODUCTION, ADHOC, BATCH, READERS = "production", "adhoc", "batch", "readers"
ADHOC_BYTES_SCANNED_MAX = 100_000_000_000
"""100 GB: half a dollar a query, at five dollars a TB."""
BATCH_BYTES_SCANNED_MAX = 1_000_000_000_000
"""1 TB: five dollars a query; a job that reads one hour reads far less."""
BYTES_SCANNED_MIN, BYTES_SCANNED_MAX = 10 * 1024 * 1024, 10**15
"""The minimum that the provider accepts; the Athena API accepts 10,000,000 (WorkGroupConfiguration)."""
PRODUCTION_BYTES_SCANNED_MAX = 1_000_000_000_000
"""1 TB, as for jobs: a dashboard that forgets the condition on the hour should not read years."""
BYTES_SCANNED_DEFAULTS = {
    "production_bytes_scanned_max": PRODUCTION_BYTES_SCANNED_MAX,
    "adhoc_bytes_scanned_max": ADHOC_BYTES_SCANNED_MAX,
    "batch_bytes_scanned_max": BATCH_BYTES_SCANNED_MAX,
}
LIMIT_SOURCE = "pulumi_aws, WorkgroupConfigurationArgs"


class WorkgroupsArgs(TypedDict):
    """The arguments of Workgroups.

    warehouse: the beginning of the names. results_bucket: its name. production_bytes_scanned_max: a query of a
    service is ended at this many bytes, 10,485,760 or more (default: 1,000,000,000,000). adhoc_bytes_scanned_max: the
    same for an ad-hoc query (default: 100,000,000,000). batch_bytes_scanned_max: the same for queries of jobs
    (default: 1,000,000,000,000). has_readers: whether there is a workgroup for other accounts, with the limit of
    ad-hoc queries. kms_key_arn: what results are encrypted with (default: the key of S3). region: default is the
    provider's.
    """

    warehouse: str
    results_bucket: pulumi.Input[str]
    production_bytes_scanned_max: NotRequired[int]
    adhoc_bytes_scanned_max: NotRequired[int]
    batch_bytes_scanned_max: NotRequired[int]
    has_readers: NotRequired[bool]
    kms_key_arn: NotRequired[pulumi.Input[str]]
    region: NotRequired[pulumi.Input[str]]


@dataclass(frozen=True, slots=True)
class _Audience:
    """is_enforced: whether clients cannot choose other settings."""

    description: str
    is_enforced: bool
    bytes_scanned_max: int


class Workgroups(pulumi.ComponentResource):
    """`production` is for services, `adhoc` for people, with a limit for each query, `batch` for jobs.

    `readers`, if it exists, is for other accounts: users of one workgroup can read each other's results.

    of: the workgroup of each audience. `batch` is not enforced: jobs choose where their results go, and a table that
    UNLOAD writes does not belong to a workgroup's results (Athena user guide, "Override client-side settings").
    """

    @in_one_line
    def __init__(self, name: str, args: WorkgroupsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        component = checked_name("Workgroups", name)
        given = checked_arguments(component, args, WorkgroupsArgs)
        limits = {
            argument: checked_number(
                component, argument, given.get(argument, default), BYTES_SCANNED_MIN, BYTES_SCANNED_MAX, LIMIT_SOURCE
            )
            for argument, default in BYTES_SCANNED_DEFAULTS.items()
        }
        for_people, for_jobs = limits["adhoc_bytes_scanned_max"], limits["batch_bytes_scanned_max"]
        super().__init__("datawarehouse:index:Workgroups", name, {}, opts)
        audiences = {
            PRODUCTION: _Audience(
                "Queries of services and dashboards, each with a limit", True, limits["production_bytes_scanned_max"]
            ),
            ADHOC: _Audience("Queries of people, each with a limit", True, for_people),
            BATCH: _Audience("Queries of the jobs of batch input tables, each with a limit", False, for_jobs),
        }
        if given.get("has_readers"):
            audiences[READERS] = _Audience("Queries from other accounts, each with a limit", True, for_people)
        key = given.get("kms_key_arn")
        encryption: Any = (
            {"encryption_option": "SSE_S3"} if key is None else {"encryption_option": "SSE_KMS", "kms_key_arn": key}
        )
        self.of = {
            audience: aws.athena.Workgroup(
                f"{name}-{audience}",
                name=workgroup_name(given["warehouse"], audience),
                description=settings.description,
                configuration={
                    "enforce_workgroup_configuration": settings.is_enforced,
                    "publish_cloudwatch_metrics_enabled": True,
                    "bytes_scanned_cutoff_per_query": settings.bytes_scanned_max,
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
            for audience, settings in audiences.items()
        }
        self.register_outputs({audience: workgroup.name for audience, workgroup in self.of.items()})
