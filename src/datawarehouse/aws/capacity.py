"""Which default quotas of an AWS account a warehouse exceeds, so that they can be raised before it is deployed (pure).

A quota is for an account and a Region; other work that runs there is not known here. No quota depends on how often
files are flushed or partitions registered.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from datawarehouse.definition.tables import ICEBERG, BatchInputTable, StreamingInputTable, Table

REGION = "us-east-1"
REGION_NAME = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]")
"""The form of names of Regions."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a warehouse needs in one Region. functions, queries: how many run at once when all jobs are due together.
    converters: how many functions convert records of a shard for Iceberg at the same time; no rule calls them."""

    shards: int
    delivery_streams: int
    tables: int
    functions: int
    queries: int
    on_demand_streams: int = 0
    converters: int = 0


@dataclass(frozen=True, slots=True)
class Quota:
    """A quota of a service: its default in the Region, and what is needed."""

    service: str
    name: str
    default: int
    needed: int


def need_of(tables: Iterable[Table], on_demand: Collection[str] = ()) -> Need:
    """What these tables need: a delivery stream for each streaming input table, a Lambda function that registers its
    partitions, and for each batch input table, each table whose hours are compacted and each one with event time a
    function that has one query running. For a table in Iceberg nothing is registered: a function for each shard
    converts its records. on_demand: the streaming input tables whose streams are on-demand.
    """
    declared = list(tables)
    streaming = [table for table in declared if isinstance(table, StreamingInputTable)]
    querying = sum(isinstance(table, BatchInputTable) for table in declared)
    querying += sum((table.compaction is not None) + (table.event_time is not None) for table in streaming)
    in_iceberg = [table for table in streaming if table.table_format == ICEBERG]
    return Need(
        shards=sum(table.input_stream_shard_count for table in streaming if table.name not in on_demand),
        on_demand_streams=sum(table.name in on_demand for table in streaming),
        delivery_streams=len(streaming),
        tables=len(declared),
        functions=len(streaming) - len(in_iceberg) + querying,
        queries=querying,
        converters=sum(table.input_stream_shard_count for table in in_iceberg),
    )


def quotas_to_raise(need: Need, region: str = REGION) -> list[Quota]:
    """The quotas whose default is less than what is needed.

    Defaults: "Quotas and limits" of Kinesis Data Streams, of Firehose (the model of its API), of Glue, of Lambda, of
    EventBridge and of Athena. New accounts can have lower quotas. Where Athena's quota differs by Region and is not
    known, the lowest of all Regions is used.
    """
    quotas = [
        Quota("Kinesis Data Streams", "provisioned shards", _SHARDS.get(region, 200), need.shards),
        Quota("Kinesis Data Streams", "on-demand streams", 50, need.on_demand_streams),
        Quota("Data Firehose", "Firehose streams", 5_000, need.delivery_streams),
        Quota("Glue Data Catalog", "tables of a database", 200_000, need.tables),
        Quota("Lambda", "concurrent executions", 1_000, need.functions + need.converters),
        Quota("EventBridge", "rules of an event bus", _RULES.get(region, 300), need.functions),
        Quota("Athena", "active DML queries", _DML_QUERIES.get(region, 20), need.queries),
    ]
    return [quota for quota in quotas if quota.needed > quota.default]


_SHARDS = {"us-east-1": 500, "us-west-2": 500, "eu-west-1": 500}
_DML_QUERIES = {"us-east-1": 200, "us-west-2": 150}
_RULES = {"af-south-1": 100, "eu-south-1": 100}
