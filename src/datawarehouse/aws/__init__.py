"""The AWS side: the declared warehouse as Pulumi resources, the quotas that it needs, and its cost.

The names below need the extra `aws`; they are resolved on first use, so that `dw cost` works without it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from datawarehouse.errors import MissingExtra

__all__ = [
    "BatchInputJob",
    "EphemeralStack",
    "EventGenerator",
    "HourlyCompaction",
    "HourlyPartitionRegistrar",
    "InputStream",
    "LambdaCronJob",
    "PrivateBucket",
    "ReaderRole",
    "ServerlessDataWarehouse",
    "Workgroups",
]

_HOME_OF = {
    "BatchInputJob": "batch_job",
    "EphemeralStack": "stack",
    "EventGenerator": "event_generator",
    "HourlyCompaction": "compaction",
    "HourlyPartitionRegistrar": "partitions",
    "InputStream": "input_stream",
    "LambdaCronJob": "lambda_cron",
    "PrivateBucket": "buckets",
    "ReaderRole": "readers",
    "ServerlessDataWarehouse": "warehouse",
    "Workgroups": "workgroups",
}

if TYPE_CHECKING:
    from datawarehouse.aws.batch_job import BatchInputJob
    from datawarehouse.aws.buckets import PrivateBucket
    from datawarehouse.aws.compaction import HourlyCompaction
    from datawarehouse.aws.event_generator import EventGenerator
    from datawarehouse.aws.input_stream import InputStream
    from datawarehouse.aws.lambda_cron import LambdaCronJob
    from datawarehouse.aws.partitions import HourlyPartitionRegistrar
    from datawarehouse.aws.readers import ReaderRole
    from datawarehouse.aws.stack import EphemeralStack
    from datawarehouse.aws.warehouse import ServerlessDataWarehouse
    from datawarehouse.aws.workgroups import Workgroups


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'datawarehouse.aws' has no attribute {name!r}")
    try:
        return getattr(import_module(f"datawarehouse.aws.{_HOME_OF[name]}"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("pulumi", "pulumi_aws"):
            raise
        raise MissingExtra(
            f"{name} needs Pulumi, which is not installed ({error.name} is missing): "
            "pip install 'serverless-datawarehouse[aws]', or '.[aws]' in a clone of the repository."
        ) from None
