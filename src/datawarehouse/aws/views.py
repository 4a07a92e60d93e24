"""Views in the Glue catalog, described as Athena describes those that it creates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pulumi
import pulumi_aws as aws

from datawarehouse.aws.glue_tables import GlueTable


def add_views(
    warehouse: str,
    views: Iterable[GlueTable],
    database: pulumi.Output[str],
    place: Mapping[str, Any],
    opts: pulumi.ResourceOptions,
) -> None:
    """Create views in a database."""
    for view in views:
        aws.glue.CatalogTable(
            f"{warehouse}-{view.name}",
            database_name=database,
            **view.view_arguments(database.apply(view.view_text)),
            **place,
            opts=opts,
        )
