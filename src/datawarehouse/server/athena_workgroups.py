"""Workgroups as Athena's API tells of them.

`primary` is the workgroup in which queries run that name none. Each has a twin, its name with `-managed` behind: there
the results of queries are managed, as Athena says when there is no file of them, and clients read pages instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from datawarehouse.access.identity import Identity
from datawarehouse.definition.workgroups import PRODUCTION, Workgroup
from datawarehouse.server import aws_json
from datawarehouse.server.aws_json import INVALID, Arguments, ServiceError
from datawarehouse.server.http import Request

ENGINE = {"SelectedEngineVersion": "AUTO", "EffectiveEngineVersion": "Athena engine version 3"}
PRIMARY = "primary"
MANAGED_SUFFIX = "-managed"
RESULTS = "s3://athena-results/"
"""Where the files of results are whose client names no folder."""
_PER_PAGE = 50


@dataclass(frozen=True, slots=True)
class Named:
    """name: as a client names it. own_name: that of the workgroup here."""

    name: str
    own_name: str
    is_managed: bool


class Workgroups:
    def __init__(self, workgroups: Mapping[str, Workgroup]) -> None:
        self._workgroups = workgroups

    def operations(self) -> dict[str, aws_json.Operation]:
        return {"ListWorkGroups": self._list, "GetWorkGroup": self._get}

    def chosen(self, identity: Identity, name: Any) -> Named:
        """The workgroup that a request names, or `primary`. Raises ServiceError if there is none of that name, or if it
        is not for the key."""
        given = name or PRIMARY
        if not isinstance(given, str):
            raise ServiceError(INVALID, "WorkGroup is a text.")
        own = given.removesuffix(MANAGED_SUFFIX)
        if own not in self._names(identity):
            valid = ", ".join(self._names(identity))
            raise ServiceError(INVALID, f"WorkGroup {given} is not found. This key may use {valid}.")
        if own == PRIMARY and PRIMARY not in self._workgroups:
            own = identity.workgroup or PRODUCTION
            return Named(given, own, given != PRIMARY)
        return Named(given, own, given != own)

    def _names(self, identity: Identity) -> list[str]:
        """Those that an identity may use, the default one first."""
        own = [name for name in self._workgroups if not identity.workgroup or name == identity.workgroup]
        return [PRIMARY, *(name for name in own if name != PRIMARY)]

    async def _list(self, request: Request, given: Arguments) -> Mapping[str, Any]:
        names = [each + suffix for each in self._names(request.identity) for suffix in ("", MANAGED_SUFFIX)]
        page, token = aws_json.page(names, given, _PER_PAGE)
        found = [{"Name": name, "State": "ENABLED", "Description": "", "EngineVersion": ENGINE} for name in page]
        return {"WorkGroups": found, **token}

    async def _get(self, request: Request, given: Arguments) -> Mapping[str, Any]:
        named = self.chosen(request.identity, given.get("WorkGroup"))
        workgroup = self._workgroups.get(named.own_name)
        configuration: dict[str, Any] = {
            "EnforceWorkGroupConfiguration": False,
            "PublishCloudWatchMetricsEnabled": False,
            "RequesterPaysEnabled": False,
            "EngineVersion": ENGINE,
        }
        if named.is_managed:
            configuration["ManagedQueryResultsConfiguration"] = {"Enabled": True}
        else:
            configuration["ResultConfiguration"] = {"OutputLocation": RESULTS}
        if workgroup and workgroup.scan_bytes_max:
            configuration["BytesScannedCutoffPerQuery"] = workgroup.scan_bytes_max
        found = {"Name": named.name, "State": "ENABLED", "Description": "", "Configuration": configuration}
        return {"WorkGroup": found}
