"""Where the parts of a deployed warehouse are, for those who operate it; `operate/deployment.py` reads it again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pulumi
import pulumi_aws as aws

from datawarehouse.aws.gateway import QueryGateway
from datawarehouse.aws.policies import Place
from datawarehouse.definition.tables import Table


def addresses_of(
    warehouse: str,
    database: aws.glue.CatalogDatabase,
    buckets: Mapping[str, aws.s3.Bucket],
    alarm_topic: aws.sns.Topic,
    workgroups: Mapping[str, aws.athena.Workgroup],
    tables: Iterable[Table],
    of_table: Mapping[str, Mapping[str, pulumi.Input[str]]],
    gateway: QueryGateway | None,
) -> pulumi.Output[Mapping[str, Any]]:
    """buckets: "data" and "results". of_table: the names of what fills a table, by table."""
    found: Mapping[str, Any] = {
        "warehouse": warehouse,
        "region": database.arn.apply(lambda arn: Place.of(arn).region),
        "database": database.name,
        **{f"{which}_bucket": bucket.bucket for which, bucket in buckets.items()},
        "alarm_topic": alarm_topic.arn,
        "workgroups": {audience: workgroup.name for audience, workgroup in workgroups.items()},
        **({"gateway": dict.fromkeys(gateway.workgroups, gateway.function.name)} if gateway else {}),
        "tables": {table.name: {"kind": table.kind, **of_table.get(table.name, {})} for table in tables},
    }
    return pulumi.Output.from_input(found)
