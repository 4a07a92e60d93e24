"""Warnings of default quotas of an account and Region that are too low for a declaration."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import pulumi

from datawarehouse.aws.capacity import need_of, quotas_to_raise
from datawarehouse.definition.tables import Table


class QuotaWarnings:
    """Says each once. on_demand: the names of the tables whose streams are on-demand."""

    def __init__(self, resource: pulumi.Resource, on_demand: Collection[str], region: str) -> None:
        self._resource = resource
        self._on_demand = on_demand
        self._region = region
        self._told: set[str] = set()

    def warn(self, tables: Iterable[Table]) -> None:
        """Warn of what these tables need."""
        for quota in quotas_to_raise(need_of(tables, self._on_demand), self._region):
            if quota.name not in self._told:
                self._told.add(quota.name)
                pulumi.log.warn(
                    f"{quota.service}: {quota.needed} {quota.name} are needed, {quota.default} are the default; raise "
                    "the quota in Service Quotas before you deploy.",
                    self._resource,
                )
