"""The file of the gateway's archive that has the guarded workgroups, and what it says of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from datawarehouse.definition.workgroups import Workgroup

WORKGROUPS = "workgroups.json"


def described(workgroup: Workgroup, athena: str) -> Mapping[str, Any]:
    """What the guard needs to know of a workgroup. athena: its name there."""
    permits = {
        "require_partition_filter": workgroup.require_partition_filter,
        "allow_full_scan": workgroup.allow_full_scan,
        "partitions_max": workgroup.partitions_max,
        "scan_bytes_max": workgroup.scan_bytes_max,
    }
    return {"permits": permits, "athena": athena}
