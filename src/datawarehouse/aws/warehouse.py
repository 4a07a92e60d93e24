"""The declared warehouse in an AWS account: buckets, a Glue database, and for each table the resources that fill it.

1. The declaration is checked against the limits of AWS, the code of every job is packaged, and schedules are computed.
   Nothing is created yet.
2. Buckets, database, workgroups, the topic of alarms and, if wanted, a role for readers.
3. Each table, in the order of the declaration: its Glue table; for a streaming input table its quarantine, its input
   stream, its partition registrar and the table and job of its lateness; for a batch input table its job.

The `with_...` methods add a table or a view to the declaration and do the same third step for it.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Concatenate, ParamSpec

import pulumi
import pulumi_aws as aws

from datawarehouse.aws.addresses import addresses_of
from datawarehouse.aws.alarm_topic import alarm_topic
from datawarehouse.aws.alarms import conditions_of
from datawarehouse.aws.batch_job import BatchInputJob
from datawarehouse.aws.buckets import PrivateBucket
from datawarehouse.aws.compaction import HourlyCompaction
from datawarehouse.aws.dashboard import Dashboard
from datawarehouse.aws.deployed import Comparison
from datawarehouse.aws.gateway import QueryGateway, guarded
from datawarehouse.aws.glue_tables import (
    GlueTable,
    error_documents_of,
    expiring,
    quarantine_of,
    staging_of,
    staging_parameters,
    table_of,
)
from datawarehouse.aws.iceberg import TableOptimizers, iceberg_table
from datawarehouse.aws.iceberg_tables import FIRST_HOUR
from datawarehouse.aws.input_stream import InputStream, schema_digest
from datawarehouse.aws.lateness import lateness_of
from datawarehouse.aws.naming import database_name, hyphenated
from datawarehouse.aws.partitions import HourlyPartitionRegistrar, projected_hours
from datawarehouse.aws.protection import protected
from datawarehouse.aws.quota_warnings import QuotaWarnings
from datawarehouse.aws.readers import ReaderRole
from datawarehouse.aws.refusals import in_one_line
from datawarehouse.aws.schedules import dev_schedule, early_run, flush_seconds, job_schedule
from datawarehouse.aws.table_checks import check_table, checked_views, readable_views
from datawarehouse.aws.views import add_views
from datawarehouse.aws.warehouse_arguments import (
    ServerlessDataWarehouseArgs,
    check_on_demand,
    checked_warehouse_arguments,
    said_aloud,
)
from datawarehouse.aws.workgroups import BATCH, READERS, Workgroups
from datawarehouse.definition.alerts import Conditions
from datawarehouse.definition.tables import ICEBERG, BatchInputTable, StreamingInputTable, Table, as_declared
from datawarehouse.definition.warehouse import Warehouse
from datawarehouse.errors import DeclarationError

P = ParamSpec("P")


def _declaring(
    method: Callable[Concatenate[Warehouse, P], Warehouse],
) -> Callable[Concatenate["ServerlessDataWarehouse", P], "ServerlessDataWarehouse"]:
    """A method with the same arguments as that of the declaration; it adds the table and the resources that fill it, or
    the view."""

    @functools.wraps(method)
    @in_one_line
    def declare(self: "ServerlessDataWarehouse", /, *args: P.args, **kwargs: P.kwargs) -> "ServerlessDataWarehouse":
        self._declare(lambda declared: method(declared, *args, **kwargs))
        return self

    return declare


class ServerlessDataWarehouse(pulumi.ComponentResource):
    """A warehouse on Kinesis, Firehose, S3, Glue, Lambda and Athena.

    data_warehouse_bucket, query_results_bucket: S3 buckets. database: the Glue database. workgroups: by audience,
    "production", "adhoc", "batch" and, with reader_account_ids, "readers". alarm_topic: the SNS topic of all alarms.
    reader_role: the role that readers assume. gateway: what starts the queries of guarded workgroups; None if no
    declared workgroup is guarded.

    Raises DeclarationError, before anything is created, if an argument or the declaration does not fit AWS.
    """

    data_warehouse_bucket: aws.s3.Bucket
    query_results_bucket: aws.s3.Bucket
    database: aws.glue.CatalogDatabase
    workgroups: dict[str, aws.athena.Workgroup]
    alarm_topic: aws.sns.Topic
    reader_role: aws.iam.Role | None = None
    gateway: QueryGateway | None = None

    @in_one_line
    def __init__(
        self,
        name: str,
        args: ServerlessDataWarehouseArgs | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        given = checked_warehouse_arguments(name, args or {})
        self._given = given
        self._declared = Warehouse(name)
        self._tables: dict[str, aws.glue.CatalogTable] = {}
        self._streams: dict[str, aws.kinesis.Stream] = {}
        self._addresses: dict[str, dict[str, pulumi.Input[str]]] = {}
        self._lateness: list[BatchInputTable] = []
        self._expiry_is_settled = False
        self._quota_warnings = QuotaWarnings(self, given["on_demand_streams"], given.get("region", ""))
        declared: Warehouse = given.get("warehouse", Warehouse(name))
        self._conditions = conditions_of(declared)
        for table in declared.tables():
            check_table(name, table, declared, given)
        views = checked_views(declared)
        check_on_demand(name, given["on_demand_streams"], declared if "warehouse" in given else None)
        is_kept, is_asked = not given["data_is_disposable"], bool(opts and opts.protect)
        super().__init__("datawarehouse:index:ServerlessDataWarehouse", name, {}, protected(opts, is_kept))
        self._name = name
        self._database_name: str = given.get("database_name", database_name(name))
        self._kept = pulumi.ResourceOptions(parent=self)
        self._loose = pulumi.ResourceOptions(parent=self, protect=is_asked)
        self._place = {"region": given["region"]} if "region" in given else {}
        self._key: Any = {"kms_key_arn": given["kms_key_arn"]} if "kms_key_arn" in given else {}
        self._shared = {
            **self._place,
            **self._key,
            "conditions": self._conditions,
            "log_retention_days": given["log_retention_days"],
        }
        self._comparison = Comparison(
            component=f"ServerlessDataWarehouse {name!r}",
            parent=self,
            region=given.get("region"),
            allowed=frozenset(given["allow_data_loss"]),
            is_disposable=not is_kept,
            is_projected="partition_projection_start" in given,
            on_demand=frozenset(given["on_demand_streams"]),
            stream_retention_hours=given["stream_retention_hours"],
        )
        compared_now = [] if "database" in given else declared.tables()
        self._comparison.check(compared_now, self._database_name)
        self._compared = {table.name for table in compared_now}
        pulumi.log.info(said_aloud(given, is_kept), self)
        self._create_stores()
        self._create_audiences()
        self.register_outputs(
            {
                "data_warehouse_bucket": self.data_warehouse_bucket.bucket,
                "query_results_bucket": self.query_results_bucket.bucket,
                "database_name": self.database.name,
                "alarm_topic_arn": self.alarm_topic.arn,
            }
        )
        for table in declared.tables():
            self._add(table, declared)
        for view in declared.views():
            self._declared.with_view(view.name, view.sql)
        add_views(name, views, self.database.name, self._place, self._kept)
        self._quota_warnings.warn(self._declared.tables())

    # -- declaring tables one by one

    with_table = _declaring(Warehouse.with_table)
    with_streaming_input_table = _declaring(Warehouse.with_streaming_input_table)
    with_batch_input_table = _declaring(Warehouse.with_batch_input_table)
    with_view = _declaring(Warehouse.with_view)

    # -- existing tables and streams

    @in_one_line
    def get_table(self, name: str) -> aws.glue.CatalogTable:
        """The Glue table of a declared table. Raises UnknownName, with the declared names."""
        self._declared.get_table(name)
        return self._tables[name]

    def list_tables(self) -> list[str]:
        """The names of the declared tables, in the order of their declaration."""
        return self._declared.list_tables()

    @in_one_line
    def get_input_stream(self, name: str) -> aws.kinesis.Stream:
        """The Kinesis stream of a streaming input table. Raises UnknownName, with the existing streams."""
        return self._streams[self._declared.get_input_stream(name).name]

    @property
    def addresses(self) -> pulumi.Output[Mapping[str, Any]]:
        """Where everything is, as `dw ... --on aws` needs it: `pulumi.export("warehouse", deployed.addresses)`.

        The names of the warehouse, Region, database and buckets, topic of alarms, the workgroups by audience, and for
        each table that was declared so far its kind, and its stream, delivery, registrar, function and so on if any.
        """
        buckets = {"data": self.data_warehouse_bucket, "results": self.query_results_bucket}
        tables, topic = [*self._declared.tables(), *self._lateness], self.alarm_topic
        return addresses_of(
            self._name, self.database, buckets, topic, self.workgroups, tables, self._addresses, self.gateway
        )

    # -- creating

    def _declare(self, declare: Callable[[Warehouse], Warehouse]) -> None:
        after = Warehouse(self._declared.name)
        for table in self._declared.tables():
            after.add(table)
        for view in self._declared.views():
            after.with_view(view.name, view.sql)
        declare(after)
        views = checked_views(after)
        if len(views) > len(self._declared.views()):
            add_views(self._name, views[-1:], self.database.name, self._place, self._kept)
            self._declared = after
            return
        added = after.tables()[-1]
        check_table(self._name, added, after, self._given)
        if expiring(added) and self._expiry_is_settled:
            raise DeclarationError(
                f"Table {added.name!r}: retention_days comes too late, since the rules of the bucket are computed when "
                "the program first awaits something. Declare this table before that."
            )
        self._add(added, after)
        self._quota_warnings.warn(self._declared.tables())

    def _database_after_comparison(self, table: Table) -> pulumi.Output[str]:
        """The name of the database, once a table has been compared with what is deployed there.

        The tables of the argument `warehouse` are compared before anything is created. A table that comes later, or a
        database that the program made elsewhere, is compared when that name is known: waiting for it here would settle
        the rules of the bucket.
        """
        if table.name in self._compared:
            return self.database.name

        def compared(name: str) -> str:
            self._comparison.check([table], name)
            return name

        return self.database.name.apply(compared)

    def _create_stores(self) -> None:
        name = self._name
        data = PrivateBucket(
            f"{hyphenated(name)}-data",
            {
                # Computed when the program first waits: until then tables can be added.
                "expire_days": pulumi.Output.from_input(0).apply(lambda _: self._settled_expiry()),
                "is_disposable": self._given["data_is_disposable"],
                **self._key,
                **self._place,  # type: ignore[typeddict-item]
            },
            self._kept,
        )
        results = PrivateBucket(
            f"{hyphenated(name)}-query-results",
            {
                "expire_days": {"": self._given["results_retention_days"]},
                "is_disposable": True,
                **self._key,
                **self._place,  # type: ignore[typeddict-item]
            },
            self._loose,
        )
        self.data_warehouse_bucket, self.query_results_bucket = data.bucket, results.bucket
        self.database = self._given.get("database") or aws.glue.CatalogDatabase(
            f"{name}-database", name=self._database_name, **self._place, opts=self._kept
        )

    def _create_audiences(self) -> None:
        name, given = self._name, self._given
        self.workgroups = Workgroups(
            f"{name}-workgroups",
            {
                "warehouse": name,
                "results_bucket": self.query_results_bucket.bucket,
                "workgroups": given["workgroups"],
                "has_readers": bool(given["reader_account_ids"]),
                **self._key,
                **self._place,  # type: ignore[typeddict-item]
            },
            self._loose,
        ).of
        key = given.get("kms_key_arn")
        self.alarm_topic = alarm_topic(name, given["alarm_emails"], key, self._place, self._loose)
        self._dashboard = Dashboard(name, self.alarm_topic.arn, self._place, self._loose)
        if behind := guarded(given["workgroups"]):
            self.gateway = QueryGateway(
                f"{name}-gateway",
                {
                    "warehouse": name,
                    "workgroups": behind,
                    **self._stored(),
                    "log_retention_days": given["log_retention_days"],
                    **self._key,
                    **self._place,  # type: ignore[typeddict-item]
                },
                self._loose,
            )
        if accounts := given["reader_account_ids"]:
            self.reader_role = ReaderRole(
                f"{name}-reader",
                {
                    "account_ids": accounts,
                    "external_id": given.get("reader_external_id", self._database_name),
                    **self._stored(),
                    "workgroup_name": self.workgroups[READERS].name,
                    **self._key,  # type: ignore[typeddict-item]
                },
                self._loose,
            ).role

    def _add(self, table: Table, declared: Warehouse) -> None:
        self._declared.add(table)
        if isinstance(table, StreamingInputTable):
            self._add_streaming(table)
        elif isinstance(table, BatchInputTable):
            self._add_batch(table, declared)
        else:
            self._tables[table.name] = self._glue_table(table_of(table), declared=table)

    def _add_streaming(self, table: StreamingInputTable) -> None:
        name, given = f"{self._name}-{table.name}", self._given
        catalog = self._streaming_tables(table)
        self._tables[table.name] = catalog[0]
        on_demand = table.name in given["on_demand_streams"]
        bucket_key: Any = {"bucket_kms_key_arn": given["kms_key_arn"]} if self._key else {}
        shards: Any = {} if on_demand else {"shard_count": table.input_stream_shard_count}
        if (warm := given["warm_mib_per_second"].get(table.name)) is not None:
            shards = {"warm_mib_per_second": warm}
        stream = InputStream(
            f"{name}-input",
            {
                "bucket": self.data_warehouse_bucket.bucket,
                "database_name": self.database.name,
                "table_name": catalog[0].name,
                "columns": as_declared(table.columns),
                "stream_mode": "on-demand" if on_demand else "provisioned",
                "retention_hours": given["stream_retention_hours"],
                "is_disposable": given["data_is_disposable"],
                "file_flush_interval_seconds": flush_seconds(table, given["is_dev"]),
                "alarm_topic_arn": self.alarm_topic.arn,
                "table_format": table.table_format,
                "hour_column": table.partition_key_name,
                **shards,
                **bucket_key,
                **self._shared,  # type: ignore[typeddict-item]
            },
            # A comparison that comes late must come before the stream is changed.
            pulumi.ResourceOptions(parent=self, depends_on=None if table.name in self._compared else catalog[:1]),
        )
        self._streams[table.name] = stream.input_stream
        self._addresses[table.name] = {"stream": stream.input_stream.name, "delivery": stream.delivery_stream.name}
        if stream.converter:
            self._addresses[table.name]["converter"] = stream.converter.function.name
        self._dashboard.add(table.name, stream)
        if table.table_format == ICEBERG:
            files = {"table": catalog[0], "bucket": self.data_warehouse_bucket.bucket}
            optimized: Any = {**files, **bucket_key, **self._place}
            TableOptimizers(f"{name}-optimizers", optimized, self._loose)
        elif "partition_projection_start" not in given:
            self._register_partitions(table, catalog)
        if table.compaction:
            arguments: Any = {"table": table, **self._queried()}
            self._dashboard.add(table.name, HourlyCompaction(f"{name}-compaction", arguments, self._kept).cron)
        if measured := lateness_of(table):
            self._glue_table(table_of(measured), opts=self._loose)
            # An hour that got rows later is measured again, so that it is no news.
            told = replace(self._conditions, lag_s=None)
            self._run_job(measured, measured.schedule_expression, {"reads": [table]}, told)
            self._lateness.append(measured)
            self._addresses[table.name] |= {"event_time": str(table.event_time), "hours": table.partition_key_name}

    def _streaming_tables(self, table: StreamingInputTable) -> list[aws.glue.CatalogTable]:
        """The Glue tables of the rows and of the error documents; hours are projected if nothing registers them."""
        rows, rejects = table_of(table), error_documents_of(table)
        add_views(self._name, [quarantine_of(table)], self.database.name, self._place, self._kept)
        first_hour = self._given.get("partition_projection_start")

        def hive(each: GlueTable, first: str | None, declared: Table | None) -> aws.glue.CatalogTable:
            parameters: Any = None
            if first is not None:
                location, days = self._location(each), table.retention_days
                parameters = projected_hours(table.partition_key_name, location, first, days)
            if table.table_format == ICEBERG:
                parameters = {**self._comparison.settings(table), **parameters}
            return self._glue_table(each, parameters, declared)

        if table.table_format != ICEBERG:
            return [hive(rows, first_hour, table), hive(rejects, first_hour, None)]
        name, database = f"{self._name}-{table.name}", self._database_after_comparison(table)
        made = iceberg_table(name, table, database, self._location(rows), self, self._given.get("region"))
        return [made, hive(rejects, FIRST_HOUR, None)]

    def _register_partitions(self, table: StreamingInputTable, catalog: list[aws.glue.CatalogTable]) -> None:
        further: Any = {} if table.retention_days is None else {"retention_days": table.retention_days}
        if table.compaction:
            further |= {"compacted_table_name": table.name, "data_bucket": self.data_warehouse_bucket.bucket}
        registrar = HourlyPartitionRegistrar(
            f"{self._name}-{table.name}-partitions",
            {
                "database_arn": self.database.arn,
                "database_name": self.database.name,
                "table_names": [each.name for each in catalog],
                "schedule_expression": dev_schedule(table.partition_schedule_expression, self._given["is_dev"]),
                "columns_digest": schema_digest(table.columns),
                **further,
                "alarm_topic_arn": self.alarm_topic.arn,
                **self._shared,  # type: ignore[typeddict-item]
            },
            self._kept,
        )
        self._addresses[table.name]["registrar"] = registrar.cron.function.name
        self._dashboard.add(table.name, registrar.cron)

    def _add_batch(self, table: BatchInputTable, declared: Warehouse) -> None:
        self._tables[table.name] = self._glue_table(table_of(table), declared=table)
        schedule = job_schedule(table, declared.get_table, self._given["is_dev"])
        if not self._given["is_dev"] and (early := early_run(table, schedule, declared.get_table)):
            pulumi.log.warn(early, self)
        if staging := staging_of(table):
            parameters = self._location(staging).apply(staging_parameters)
            self._glue_table(staging, parameters)
        tables = [declared.get_table(each) for each in table.reads]
        self._run_job(table, schedule, {"reads": tables, "views": readable_views(table, declared)}, self._conditions)

    def _run_job(self, table: BatchInputTable, schedule: str, readable: Any, conditions: Conditions) -> None:
        """readable: the arguments of a job that say what it may read."""
        arguments: Any = {
            "table": table,
            "schedule_expression": schedule,
            **readable,
            **self._queried(),
            "conditions": conditions,
        }
        job = BatchInputJob(f"{self._name}-{table.name}-job", arguments, self._loose)
        self._addresses[table.name] = {"function": job.cron.function.name, "schedule": table.schedule_expression}
        self._dashboard.add(table.name, job.cron)

    def _queried(self) -> Any:
        """The arguments of a component whose function queries the warehouse and writes into it."""
        return {
            **self._stored(),
            "workgroup": self.workgroups[BATCH].name,
            "stream_retention_hours": self._given["stream_retention_hours"],
            "alarm_topic_arn": self.alarm_topic.arn,
            **self._shared,
        }

    def _stored(self) -> Any:
        """Where tables, data and results are, as arguments of a component."""
        return {
            "database_arn": self.database.arn,
            "database_name": self.database.name,
            "data_bucket": self.data_warehouse_bucket.bucket,
            "results_bucket": self.query_results_bucket.bucket,
        }

    def _location(self, table: GlueTable) -> pulumi.Output[str]:
        bucket = self.query_results_bucket if table.in_results else self.data_warehouse_bucket
        return pulumi.Output.concat("s3://", bucket.bucket, "/", table.folder)

    def _glue_table(
        self,
        table: GlueTable,
        parameters: Any = None,
        declared: Table | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> aws.glue.CatalogTable:
        """declared: the declared table whose rows the Glue table has; None for its quarantine and the like."""
        settings = self._comparison.settings(declared) if declared else {}
        arguments = table.arguments(self._location(table), settings)
        if parameters is not None:
            arguments["parameters"] = pulumi.Output.all(arguments["parameters"], parameters).apply(
                lambda both: {**both[0], **both[1]}
            )
        return aws.glue.CatalogTable(
            f"{self._name}-{table.name}",
            database_name=self._database_after_comparison(declared) if declared else self.database.name,
            **arguments,
            **self._place,
            opts=opts or (self._loose if table.in_results else self._kept),
        )

    def _settled_expiry(self) -> dict[str, int]:
        self._expiry_is_settled = True
        for name in set(self._given["on_demand_streams"]) - self._streams.keys():
            pulumi.log.warn(
                f"on_demand_streams names {name!r}, which is not the name of a streaming input table.", self
            )
        if self._compared:
            for subject in sorted(self._comparison.allowed - self._comparison.used):
                needless = f"allow_data_loss has {subject!r}, and no change needs it: take it out,"
                pulumi.log.warn(f"{needless} so that it allows no later one.", self)
        found: dict[str, int] = {}
        for table in (*self._declared.tables(), *self._lateness):
            found |= expiring(table)
        return found
