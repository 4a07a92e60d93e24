"""The arguments of a ServerlessDataWarehouse, and the checks of them that need no table."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from datawarehouse.aws.arguments import checked_arguments, checked_number
from datawarehouse.aws.input_stream import RETENTION_HOURS, WARM_MIB_PER_SECOND
from datawarehouse.aws.partitions import checked_first_hour
from datawarehouse.aws.readers import checked_accounts
from datawarehouse.definition.warehouse import Warehouse
from datawarehouse.errors import DeclarationError, UnknownName

WAREHOUSE_CHARACTERS_MAX = 40
"""So that the names of its buckets fit into the 63 characters that S3 allows."""
RESULTS_DAYS = 7
_SUBJECT = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


class ServerlessDataWarehouseArgs(TypedDict):
    """The arguments of a ServerlessDataWarehouse.

    warehouse: the declaration (default: an empty one, for the `with_...` methods). is_dev: whether this is for
    development: data is disposable, files are flushed after 60 s, and functions with a rate as their schedule run each
    minute. data_is_disposable: whether streams and data can be deleted with their contents; otherwise they are
    protected, and so is all that feeds, names or guards them (default: is_dev). database: an existing Glue database
    (default: a new one). database_name: the name of the new one, which keeps it when the stack is renamed (default:
    `<name>_<stack>`). region: default is the provider's. kms_key_arn: the KMS key for buckets, streams,
    results of queries, logs and the topic of alarms (default: the keys of the services, and none for the topic).

    allow_data_loss: changes of deployed tables that are made although they lose or hide what is stored, each as
    "<table>.<column>", or "<table>.<argument>" for a shorter retention (default: none; such a change is refused).

    partition_projection_start: the first hour that can have data, YYYY/MM/DD/HH; Athena then projects the hours of
    streaming input tables, and none is registered. on_demand_streams: names of the streaming input tables whose streams
    are on-demand. warm_mib_per_second: for some of these, what they take from their first second on, 1 to 10240 MiB/s;
    the account must have Kinesis On-demand Advantage. stream_retention_hours: how long streams keep records, 24
    (default) to 8760.

    reader_account_ids: AWS accounts that may assume `reader_role`, if they give `reader_external_id` (default:
    `database_name`). alarm_emails: the addresses that get the alarms (default: none; subscribe to `alarm_topic`).
    results_retention_days: how long results of queries stay (default: 7). log_retention_days: how long all logs stay
    (default: 30).
    """

    warehouse: NotRequired[Warehouse]
    is_dev: NotRequired[bool]
    data_is_disposable: NotRequired[bool]
    database: NotRequired[aws.glue.CatalogDatabase]
    database_name: NotRequired[str]
    region: NotRequired[str]
    kms_key_arn: NotRequired[pulumi.Input[str]]
    allow_data_loss: NotRequired[Sequence[str]]
    partition_projection_start: NotRequired[str]
    on_demand_streams: NotRequired[Sequence[str]]
    warm_mib_per_second: NotRequired[Mapping[str, int]]
    stream_retention_hours: NotRequired[int]
    reader_account_ids: NotRequired[Sequence[str]]
    reader_external_id: NotRequired[str]
    alarm_emails: NotRequired[Sequence[str]]
    results_retention_days: NotRequired[int]
    log_retention_days: NotRequired[int]


def checked_warehouse_arguments(name: str, args: ServerlessDataWarehouseArgs) -> dict[str, Any]:
    """The arguments, with their defaults."""
    component = f"ServerlessDataWarehouse {name!r}"
    Warehouse(name)
    given = checked_arguments(component, args, ServerlessDataWarehouseArgs)
    if len(name) > WAREHOUSE_CHARACTERS_MAX:
        raise DeclarationError(
            f"{component}: the name has {len(name)} characters; on AWS it has at most {WAREHOUSE_CHARACTERS_MAX}, so "
            "that the names of its buckets fit into 63."
        )
    limits = {
        "stream_retention_hours": (RETENTION_HOURS[0], *RETENTION_HOURS, "Kinesis API"),
        "results_retention_days": (RESULTS_DAYS, 1, 3650, "ten years"),
    }
    numbers = {
        argument: checked_number(component, argument, given.get(argument, default), low, high, source)
        for argument, (default, low, high, source) in limits.items()
    }
    if "database" in given and "database_name" in given:
        raise DeclarationError(
            f"{component}: database_name is {given['database_name']!r}, which is the name of a new database, and "
            "database is one that exists; give one of the two."
        )
    if "partition_projection_start" in given:
        checked_first_hour(component, given["partition_projection_start"])
    nothing = ("on_demand_streams", "reader_account_ids", "alarm_emails", "allow_data_loss")
    defaults: dict[str, Any] = {"is_dev": False, "warm_mib_per_second": {}, **dict.fromkeys(nothing, ())}
    found = {**defaults, **given, **numbers, "workgroups": given.get("warehouse", Warehouse(name)).workgroups()}
    found.setdefault("data_is_disposable", found["is_dev"])
    found["reader_account_ids"] = checked_accounts(component, found["reader_account_ids"])
    if "reader_external_id" in given and not found["reader_account_ids"]:
        raise DeclarationError(
            f"{component}: reader_external_id is {given['reader_external_id']!r}, but there are no reader_account_ids "
            "to give it; add them, or leave it out."
        )
    for table, warm in found["warm_mib_per_second"].items():
        if table not in found["on_demand_streams"]:
            raise DeclarationError(
                f"{component}: warm_mib_per_second has {table!r}, which is not in on_demand_streams; add it there, or "
                "take it out here."
            )
        argument = f"warm_mib_per_second[{table!r}]"
        checked_number(component, argument, warm, *WARM_MIB_PER_SECOND, "Kinesis API, CreateStream")
    for subject in found["allow_data_loss"]:
        if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject):
            raise DeclarationError(
                f"{component}: allow_data_loss has {subject!r}; valid are the names that a refused change is given "
                "with, e.g. 'clicks.price'."
            )
    for address in found["alarm_emails"]:
        if isinstance(address, str) and not _EMAIL.fullmatch(address):
            raise DeclarationError(
                f"{component}: alarm_emails has {address!r}; valid are addresses, e.g. 'ops@example.com'."
            )
    return found


def check_on_demand(name: str, on_demand: Sequence[str], declared: Warehouse | None) -> None:
    """Check that the tables of on-demand streams are streaming input tables; tables that are declared later cannot be
    checked."""
    for table in on_demand if declared else ():
        try:
            declared.get_input_stream(table)  # type: ignore[union-attr]
        except UnknownName as error:
            raise DeclarationError(f"ServerlessDataWarehouse {name!r}: on_demand_streams: {error}") from None


def said_aloud(given: Mapping[str, Any], is_kept: bool) -> str:
    """What kind of stack this is: the one thing that a forgotten `pulumi config set` would change without a word."""
    stage = "development (is_dev)" if given["is_dev"] else "production"
    data = "protected" if is_kept else "disposable: pulumi destroy deletes it"
    told = "" if given["alarm_emails"] or given["is_dev"] else " Nobody gets its alarms by e-mail (alarm_emails)."
    return f"Stack {pulumi.get_stack()!r} is for {stage}; its data is {data}.{told}"
