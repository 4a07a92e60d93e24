"""What an Iceberg table has beside its stream: the function that converts its records, and Glue's optimizers.

1. Firehose sends records to the function (`functions/convert_events.py`), which answers with rows and puts error
   documents of what it rejects.
2. Firehose appends the rows to the table. What it cannot write goes below `errors/<table>/`, in folders of other names
   than those of the function.
3. Glue compacts the small files of each hour, forgets old snapshots, and removes files that no snapshot names.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from datawarehouse.aws.called_function import called_function
from datawarehouse.aws.iceberg_tables import iceberg_arguments
from datawarehouse.aws.naming import POLICY_MAX, ROLE_MAX, short_name
from datawarehouse.aws.packaging import library
from datawarehouse.aws.policies import Place, conversion, document, optimizer, trust
from datawarehouse.definition.table_format import TABLE
from datawarehouse.definition.tables import Column, StreamingInputTable, to_wire

MEMORY_MB = 512
TIMEOUT_SECONDS = 120
"""An invocation of 0.2 MiB takes 0.1 s of a core; Firehose waits for up to five minutes ("Transform source data")."""
BUFFER_MIB = "0.2"
"""How much Firehose sends at once, the least that it can: rows of a table with many columns are larger than records,
and an answer of Lambda has 6 MB at most."""
SNAPSHOT_DAYS = 5
ORPHAN_DAYS = 3
"""Glue's own defaults: AWS Glue API reference, IcebergRetentionConfiguration and the like for orphan files."""
OPTIMIZERS: Mapping[str, Mapping[str, Any]] = {
    "compaction": {"compaction_configuration": {"iceberg_configuration": {"strategy": "binpack"}}},
    "retention": {
        "retention_configuration": {
            "iceberg_configuration": {
                "snapshot_retention_period_in_days": SNAPSHOT_DAYS,
                "number_of_snapshots_to_retain": 1,
                "clean_expired_files": True,
            }
        }
    },
    "orphan_file_deletion": {
        "orphan_file_deletion_configuration": {
            "iceberg_configuration": {"orphan_file_retention_period_in_days": ORPHAN_DAYS}
        }
    },
}
"""By type: AWS Glue API reference, CreateTableOptimizer."""


class RecordConverterArgs(TypedDict):
    """The arguments of a RecordConverter; they are those of its InputStream."""

    bucket: pulumi.Input[str]
    database_name: pulumi.Input[str]
    table_name: pulumi.Input[str]
    columns: Sequence[Column]
    hour_column: str
    log_retention_days: int
    kms_key_arn: NotRequired[pulumi.Input[str] | None]
    bucket_kms_key_arn: NotRequired[pulumi.Input[str] | None]
    region: NotRequired[pulumi.Input[str] | None]


class RecordConverter(pulumi.ComponentResource):
    """The function that Firehose sends the records of a table to, with its role and its log.

    function: it.
    """

    function: aws.lambda_.Function

    def __init__(self, name: str, args: RecordConverterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("datawarehouse:index:RecordConverter", name, {}, opts)
        table = {"hour": args["hour_column"], "columns": to_wire(args["columns"])}
        given = (args["table_name"], args["bucket"], args.get("bucket_kms_key_arn"))
        self.function = called_function(
            self,
            name,
            library("convert_events.handler", extra={TABLE: json.dumps(table)}),
            lambda log_arn: pulumi.Output.all(log_arn, *given).apply(
                lambda found: conversion(Place.of(found[0]), *found[1:])
            ),
            {"DW_BUCKET": args["bucket"], "DW_DATABASE": args["database_name"], "DW_TABLE": args["table_name"]},
            {**args, "timeout_seconds": TIMEOUT_SECONDS, "memory_mb": MEMORY_MB},
        )
        self.register_outputs({"function_name": self.function.name})


def iceberg_table(
    name: str,
    table: StreamingInputTable,
    database_name: pulumi.Input[str],
    location: pulumi.Input[str],
    parent: pulumi.Resource,
    region: pulumi.Input[str] | None,
) -> aws.glue.CatalogTable:
    """The Glue table, which is created once: a later change of it would not reach the metadata of Iceberg."""
    return aws.glue.CatalogTable(
        name,
        database_name=database_name,
        **iceberg_arguments(table, location),
        region=region,
        opts=pulumi.ResourceOptions(parent=parent, ignore_changes=["openTableFormatInput"]),
    )


class TableOptimizersArgs(TypedDict):
    """The arguments of TableOptimizers. table: the Glue table. bucket: that has its files. bucket_kms_key_arn: what the
    bucket encrypts objects with, if that is a key of one's own. region: default is the provider's."""

    table: aws.glue.CatalogTable
    bucket: pulumi.Input[str]
    bucket_kms_key_arn: NotRequired[pulumi.Input[str]]
    region: NotRequired[pulumi.Input[str]]


class TableOptimizers(pulumi.ComponentResource):
    """Compaction, expiry of snapshots and removal of orphans for one Iceberg table, by Glue."""

    def __init__(self, name: str, args: TableOptimizersArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("datawarehouse:index:TableOptimizers", name, {}, opts)
        child, table = pulumi.ResourceOptions(parent=self), args["table"]
        role = aws.iam.Role(
            f"{name}-role",
            name=short_name(f"{name}-role", ROLE_MAX),
            assume_role_policy=trust("glue.amazonaws.com"),
            opts=child,
        )
        given = (table.arn, table.database_name, table.name, args["bucket"], args.get("bucket_kms_key_arn"))
        rights = aws.iam.RolePolicy(
            f"{name}-policy",
            name=short_name(f"{name}-policy", POLICY_MAX),
            role=role.name,
            policy=pulumi.Output.all(*given).apply(lambda found: document(optimizer(Place.of(found[0]), *found[1:]))),
            opts=child,
        )
        for kind, configuration in OPTIMIZERS.items():
            settings: Any = {"enabled": True, "role_arn": role.arn, **configuration}
            aws.glue.CatalogTableOptimizer(
                f"{name}-{kind.replace('_', '-')}",
                catalog_id=table.arn.apply(lambda arn: Place.of(arn).account),
                database_name=table.database_name,
                table_name=table.name,
                type=kind,
                configuration=settings,
                region=args.get("region"),
                opts=pulumi.ResourceOptions(parent=self, depends_on=[rights]),
            )
        self.register_outputs({"role_arn": role.arn})


def destination(
    place: pulumi.Output[Place],
    role_arn: pulumi.Input[str],
    function_arn: pulumi.Output[str],
    given: Mapping[str, Any],
    error_prefix: pulumi.Input[str],
    logging: Mapping[str, Any],
) -> dict[str, Any]:
    """The configuration of a Firehose that appends to an Iceberg table, with the function on the way. given: the
    arguments of the InputStream."""
    parameters = {"LambdaArn": function_arn.apply(latest), "BufferSizeInMBs": BUFFER_MIB}
    return {
        "append_only": True,
        "catalog_arn": place.apply(lambda found: found.glue("", [])[0]),
        "role_arn": role_arn,
        "buffering_interval": given["file_flush_interval_seconds"],
        "buffering_size": 128,
        "cloudwatch_logging_options": logging,
        "destination_table_configurations": [
            {"database_name": given["database_name"], "table_name": given["table_name"]}
        ],
        "processing_configuration": {
            "enabled": True,
            "processors": [
                {
                    "type": "Lambda",
                    "parameters": [
                        {"parameter_name": key, "parameter_value": value} for key, value in parameters.items()
                    ],
                }
            ],
        },
        "s3_configuration": {
            "bucket_arn": pulumi.Output.all(place, given["bucket"]).apply(lambda found: found[0].bucket(found[1])),
            "role_arn": role_arn,
            "error_output_prefix": error_prefix,
            "cloudwatch_logging_options": logging,
        },
    }


def latest(function_arn: str) -> str:
    """The version of a function that Firehose calls: the one that was deployed last."""
    return f"{function_arn}:$LATEST"
