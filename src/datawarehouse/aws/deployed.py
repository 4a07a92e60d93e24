"""Compares declared tables with those that are deployed, in a preview and in an up, before one of them is changed.

The Glue catalog is asked for each table by the functions of the AWS provider. There is no state of our own: the catalog
describes columns and partition keys, and the parameters of its tables have what else is compared (`changes.SHARDS` and
so on). A table that is not there yet is fine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any

import pulumi

from datawarehouse.aws.changes import DeployedTable, problems_of, settings_of
from datawarehouse.aws.refusals import RefusedChange, RefusedDeployment
from datawarehouse.definition.tables import ERROR_DOCUMENTS_SUFFIX, Column, Table
from datawarehouse.definition.types import Primitive, parse_type
from datawarehouse.errors import DeclarationError

GET_TABLE = "aws:glue/getCatalogTable:getCatalogTable"
_MISSING = ("No Glue table", "EntityNotFoundException")
"""terraform-provider-aws, catalog_table_data_source.go; AWS Glue API reference, GetTable."""
_FORMATS = {"parquet": "parquet", "json": "JSON"}


@dataclass
class Comparison:
    """The comparison of one warehouse. allowed: the changes that may lose data, `<table>.<what>`. used: those of them
    that there was a change for."""

    component: str
    parent: pulumi.Resource
    region: str | None
    allowed: frozenset[str]
    is_disposable: bool
    is_projected: bool
    on_demand: frozenset[str]
    stream_retention_hours: int
    used: set[str] = field(default_factory=set)

    def settings(self, table: Table) -> dict[str, str]:
        """What the Glue table of a declared table says of it, for the next comparison."""
        return settings_of(table, table.name in self.on_demand, self.stream_retention_hours)

    def check(self, tables: Iterable[Table], database: str) -> None:
        """Raise RefusedChange if a table cannot become what is declared; with disposable data, what would be lost or
        hidden is a warning."""
        refused, could_be_allowed = [], []
        for table in tables:
            before = self._deployed(table.name, database)
            if before is None:
                continue
            if before.is_iceberg and (rejects := self._deployed(table.name + ERROR_DOCUMENTS_SUFFIX, database)):
                # The parameters of an Iceberg table belong to Iceberg.
                before = replace(before, parameters={**rejects.parameters, **before.parameters})
            for problem in problems_of(before, table, self.settings(table), is_projected=self.is_projected):
                text = f"Table {table.name!r}: {problem.text}."
                if problem.subject in self.allowed:
                    self.used.add(problem.subject)
                    pulumi.log.warn(f"{text} allow_data_loss has {problem.subject!r}.", self.parent)
                elif problem.subject and self.is_disposable:
                    pulumi.log.warn(f"{text} Data is disposable here, so this is done.", self.parent)
                else:
                    refused.append(text)
                    could_be_allowed += [problem.subject] if problem.subject else []
        if refused:
            way_out = f" To do it all the same, give allow_data_loss={could_be_allowed!r}." if could_be_allowed else ""
            raise RefusedChange(
                f"{self.component}: the declaration does not fit tables of the database {database!r}, which stay as "
                f"they are. {' '.join(refused)}{way_out}"
            )

    def _deployed(self, table: str, database: str) -> DeployedTable | None:
        arguments = {"databaseName": database, "name": table, "region": self.region}
        options = pulumi.InvokeOptions(parent=self.parent, version=version("pulumi_aws"))
        try:
            answer = pulumi.runtime.invoke(GET_TABLE, arguments, options)
        except Exception as error:  # the SDK has no class of its own for it
            if any(text in str(error) for text in _MISSING):
                return None
            reason = " ".join(str(error).split())
            raise RefusedDeployment(
                f"{self.component}: the table {table!r} of the database {database!r} could not be read, so it is not "
                "known whether the declaration fits it; nothing was changed. Who deploys needs glue:GetTable and "
                f"glue:GetPartitionIndexes. {reason}"
            ) from error
        # Without a value if the provider is configured by something that a preview does not know yet.
        return _described(answer.value) if answer.value else None


def _described(found: Mapping[str, Any]) -> DeployedTable:
    storage = (found.get("storageDescriptors") or [{}])[0]
    parameters = found.get("parameters") or {}
    return DeployedTable(
        _columns(storage.get("columns") or []),
        _columns(found.get("partitionKeys") or []),
        _FORMATS.get(parameters.get("classification", "")),
        parameters,
    )


def _columns(found: Iterable[Mapping[str, str]]) -> tuple[Column, ...]:
    return tuple(Column(each["name"], _type(each["type"])) for each in found)


def _type(text: str) -> Any:
    """The type of a deployed column; one that cannot be declared is equal to no other."""
    try:
        return parse_type(text)
    except DeclarationError:
        return Primitive(text)
