"""Names of resources: a component's children are named after it, and no two stacks share a name.

Pulumi gives a resource without a name its logical name, a hyphen and seven random hexadecimal digits. Names that people
type (the database, workgroups) are fixed here and contain the stack's name.
"""

from __future__ import annotations

import hashlib
import re

import pulumi

RANDOM_SUFFIX_CHARACTERS = 8

FIREHOSE_MAX = 64
FUNCTION_MAX = 64
ROLE_MAX = 64
RULE_MAX = 64
QUEUE_MAX = 80
STREAM_MAX = 128
WORKGROUP_MAX = 128
ALARM_MAX = 255
DASHBOARD_MAX = 255
POLICY_MAX = 128
STATEMENT_MAX = 100
"""The longest names, in characters; API references of the services."""


def short_name(logical: str, most: int) -> str | None:
    """None if Pulumi's own naming of a resource gives no more than `most` characters; else a name that does.

    The new name has a digest of the project, the stack and the logical name, so that it is as unique as these are
    together.
    """
    if len(logical) + RANDOM_SUFFIX_CHARACTERS <= most:
        return None
    digest = _digest(logical)
    return f"{logical[: most - len(digest) - 1]}-{digest}"


def database_name(warehouse: str) -> str:
    """The name of the Glue database of a warehouse in this stack; Athena accepts it without quotes."""
    return f"{warehouse}_{re.sub(r'[^a-z0-9_]', '_', pulumi.get_stack().lower())}"


def workgroup_name(warehouse: str, audience: str) -> str:
    """The Athena workgroup of an audience: letters, digits, hyphens, underscores and points."""
    whole = f"{warehouse}-{pulumi.get_stack()}-{audience}"
    return whole if len(whole) <= WORKGROUP_MAX else f"{whole[: WORKGROUP_MAX - 13]}-{_digest(whole)}"


def dashboard_name(warehouse: str) -> str:
    """The CloudWatch dashboard: letters, digits, hyphens and underscores.

    Dashboards belong to no Region, and a second one of the same name takes the place of the first; so the name has a
    digest of project, stack and warehouse.
    """
    whole = re.sub(r"[^A-Za-z0-9_-]", "-", f"{warehouse}-{pulumi.get_stack()}")
    return f"{whole[: DASHBOARD_MAX - 13]}-{_digest(warehouse)}"


def hyphenated(name: str) -> str:
    """A name in the form that S3 accepts for a bucket: without underscores."""
    return name.replace("_", "-")


def _digest(logical: str) -> str:
    return hashlib.sha256(f"{pulumi.get_project()}/{pulumi.get_stack()}/{logical}".encode()).hexdigest()[:12]
