"""The declaration: which tables a warehouse has. Nothing here opens, creates or connects to anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from datawarehouse.definition.alerts import GIB, Alert, checked_alert
from datawarehouse.definition.arguments import (
    SHARD_COUNT_MAX,
    check_hour_key,
    check_orderable,
    check_peak,
    checked_arns,
    checked_int,
    checked_missed_runs,
    checked_names,
    checked_rerun,
    checked_retention,
    checked_work,
    listed,
)
from datawarehouse.definition.schedule import is_due_each_hour, parse_schedule
from datawarehouse.definition.table_format import checked_compaction, checked_table_format, unseen_late_rows
from datawarehouse.definition.tables import (
    HIVE,
    JOB_MEMORY_MB,
    JOB_MEMORY_MB_LIMITS,
    JOB_TIMEOUT_S,
    BatchInputTable,
    Column,
    Columns,
    InputStream,
    StreamingInputTable,
    Table,
    check_event_time,
    checked_name,
    checked_table,
)
from datawarehouse.definition.views import View, checked_view
from datawarehouse.definition.workgroups import Workgroup, checked_workgroup, with_defaults
from datawarehouse.errors import DeclarationError, UnknownName, did_you_mean


class Warehouse:
    """A warehouse, with the name of its Glue database, and its tables.

    The `with_...` methods add a table, or who gets alerts, to this warehouse and return it, so that calls can be
    chained or written one by one. Each raises DeclarationError at once when the declaration is wrong, and then adds
    nothing.
    """

    def __init__(self, name: str) -> None:
        self.name = checked_name(name, "warehouse")
        self._tables: dict[str, Table] = {}
        self._views: dict[str, View] = {}
        self._alerts: list[Alert] = []
        self._workgroups: dict[str, Workgroup] = {}

    def __repr__(self) -> str:
        return f"Warehouse({self.name!r}, tables={self.list_tables()})"

    def with_table(
        self,
        name: str,
        columns: Columns,
        partition_keys: Columns | None = None,
        data_format: str = "parquet",
    ) -> Warehouse:
        """Declare a table that you fill yourself.

        columns, partition_keys: `{name: type}` or `[{"name": ..., "type": ...}]`, types as Glue writes them.
        data_format: "parquet" or "JSON" (one object a line).
        """
        self._check_unused(name)
        return self.add(Table(**checked_table(name, columns, partition_keys, data_format)))

    def with_streaming_input_table(
        self,
        name: str,
        columns: Columns,
        input_stream_shard_count: int = 1,
        partition_key_name: str = "inserted_at",
        partition_schedule_expression: str = "rate(1 hour)",
        file_flush_interval_seconds: int = 900,
        retention_days: int | None = None,
        sort_by: Iterable[str] = (),
        dedupe_key: str | None = None,
        peak_events_per_second: int | None = None,
        event_bytes: int | None = None,
        compaction: str | None = None,
        table_format: str = HIVE,
        event_time: str | None = None,
    ) -> Warehouse:
        """Declare a table filled from an input stream of the same name.

        Events land in hourly partitions by arrival time; `partition_key_name` is the name under which SQL sees
        the hour, a string YYYY/MM/DD/HH. `file_flush_interval_seconds` (1 to 900) says how often the small fresh files
        of an hour are merged into one; it does not delay events. `partition_schedule_expression` says how often AWS
        registers partitions; the embedded host registers an hour with its first event.

        retention_days: an hour is deleted this many days after its end; without it no hour is deleted. sort_by: columns
        by which compaction orders the rows of an hour. dedupe_key: a column; of the rows of one hour that have the same
        value in it, compaction keeps one (rows with NULL are all kept).

        peak_events_per_second, event_bytes: the expected peak load, with one event in a record; give both or neither.
        Too few shards for it is an error, and `dw cost` computes the bill on AWS from it. If producers put several
        events into a record, give the number of records and their size.

        compaction: "hourly" lets Athena compact each closed hour on AWS, with `sort_by` and `dedupe_key`; without it
        AWS does no compaction. The embedded host always compacts closed hours.

        table_format: on AWS, "hive" (Parquet in folders of hours) or "iceberg"; not used by the embedded host.
        event_time: the timestamp column that says when an event happened. On the embedded host queries that bound it
        read the files that have such rows; on AWS a job counts each hour how late events come.
        """
        self._check_unused(name)
        checked_int(name, "input_stream_shard_count", input_stream_shard_count, 1, SHARD_COUNT_MAX)
        checked_int(name, "file_flush_interval_seconds", file_flush_interval_seconds, 1, 900)
        parse_schedule(partition_schedule_expression)
        fields = checked_table(name, columns, {partition_key_name: "string"}, "parquet", has_events=True)
        given = checked_names(name, "sort_by", sort_by)
        for argument, column in [*(("sort_by", each) for each in given), ("dedupe_key", dedupe_key)]:
            if column is not None:
                check_orderable(name, argument, column, fields["columns"])
        check_peak(name, input_stream_shard_count, peak_events_per_second, event_bytes)
        days = checked_retention(name, retention_days)
        check_event_time(name, event_time, fields["columns"])
        return self.add(
            StreamingInputTable(
                **fields,
                input_stream_shard_count=input_stream_shard_count,
                partition_schedule_expression=partition_schedule_expression,
                file_flush_interval_seconds=file_flush_interval_seconds,
                retention_days=days,
                sort_by=given,
                dedupe_key=dedupe_key,
                peak_events_per_second=peak_events_per_second,
                event_bytes=event_bytes,
                compaction=checked_compaction(name, compaction),
                table_format=checked_table_format(
                    name, table_format, fields["columns"], partition_schedule_expression, days, compaction
                ),
                event_time=event_time,
            )
        )

    def with_batch_input_table(
        self,
        name: str,
        columns: Columns,
        job: Callable[..., Any] | None = None,
        schedule_expression: str | None = None,
        partition_keys: Columns | None = None,
        policy_arns_to_attach: Iterable[str] = (),
        data_format: str = "parquet",
        reads: Iterable[str] = (),
        run_when_complete: bool = False,
        missed_runs: str = "latest",
        retention_days: int | None = None,
        memory_mb: int = JOB_MEMORY_MB,
        timeout_s: int = JOB_TIMEOUT_S,
        *,
        sql: str | None = None,
        rerun_when_late: bool = False,
        rerun_when_event_hour_changes: bool = False,
    ) -> Warehouse:
        """Declare a table filled on a schedule: by `job`, a module-level function of one argument, or by `sql`.

        sql: one SELECT, whose result becomes the rows of the hour; `:partition`, `:open_partition` and `:time` stand
        for the values of the run. Its columns have the names of the table's, and types that those hold. No row of it
        passes through Python.
        schedule_expression: as EventBridge reads it, e.g. "rate(1 hour)" or "cron(20 * * * ? *)".
        partition_keys: none, or one string key, which holds the hour (YYYY/MM/DD/HH) that rows are written for.
        policy_arns_to_attach: IAM policies that the job's role gets on AWS; not used by the embedded host.
        reads: the tables that it reads, also through views, declared before it. run_when_complete: instead of by the
        clock, run once for each hour, as soon as all tables of `reads` are complete for it; needs "rate(1 hour)".
        missed_runs: which of the instants that passed while the warehouse was not open are run later: the "latest" one,
        "all" or none ("skip"); an hour of `run_when_complete` is never left out. retention_days: an hour is deleted
        this many days after its end. memory_mb, timeout_s: what a run gets on AWS, 128 to 10240 MB and 1 to 900
        seconds; for the embedded host these are settings.

        rerun_when_late: on AWS, where events can be delivered late, run again for an hour that got rows in a streaming
        input table of `reads` after the job had run for it; needs an hourly schedule and a partition key. It changes
        nothing on the embedded host, where an hour never changes once it is complete.
        rerun_when_event_hour_changes: run again for an hour of event time, the job's partition, when later hours
        brought events for it in a streaming input table of `reads` with an `event_time`: up to 168 hours later, at most
        nine times; needs an hourly schedule and a partition key. On the embedded host only; AWS refuses it.
        """
        self._check_unused(name)
        if not isinstance(run_when_complete, bool):
            raise DeclarationError(
                f"Table {name!r}: run_when_complete is {run_when_complete!r}; valid are True and False."
            )
        read = self._checked_reads(name, reads)
        if run_when_complete:
            self._check_completable(name, read, schedule_expression)
        fields = checked_table(name, columns, partition_keys, data_format)
        check_hour_key(name, fields["partition_keys"])
        if schedule_expression is None:
            raise DeclarationError(f"Table {name!r} has no schedule_expression; give one, for example 'rate(1 hour)'.")
        reruns = (rerun_when_late, rerun_when_event_hour_changes)
        return self.add(
            BatchInputTable(
                **fields,
                job=checked_work(name, job, sql),
                schedule_expression=schedule_expression,
                policy_arns_to_attach=checked_arns(name, policy_arns_to_attach),
                reads=read,
                run_when_complete=run_when_complete,
                **self._checked_reruns(name, read, schedule_expression, fields["partition_keys"], reruns),
                missed_runs=checked_missed_runs(name, missed_runs),
                retention_days=checked_retention(name, retention_days),
                memory_mb=checked_int(name, "memory_mb", memory_mb, *JOB_MEMORY_MB_LIMITS),
                timeout_s=checked_int(name, "timeout_s", timeout_s, 1, JOB_TIMEOUT_S),
            )
        )

    def with_view(self, name: str, sql: str) -> Warehouse:
        """Declare a view: a name under which statements read the rows of `sql`, one SELECT.

        It may read tables and other views of this warehouse, in whatever order they are declared, but not itself. Its
        columns need names and types that a table can have. It gives no rights: who may not read a table that it reads
        may not read it. The guard and the limits of a workgroup see the statement with the view's text in its place.
        The text is checked when the warehouse is opened or deployed, which raises DeclarationError.
        """
        self._check_unused(name)
        self._views[name] = checked_view(name, sql)
        return self

    def views(self) -> list[View]:
        """The declared views, in the order of their declaration."""
        return list(self._views.values())

    def with_alert(
        self,
        webhook: str | None = None,
        command: Sequence[str] | None = None,
        *,
        rejects: int | None = 10_000,
        rejects_share: float | None = 0.01,
        refused_share: float | None = 0.01,
        failed_runs: int | None = 3,
        missed_runs: int | None = 3,
        lag_s: int | None = 300,
        disk_free_bytes: int | None = GIB,
        damage: bool = True,
        backup_age_hours: int | None = 36,
        clock_ahead_s: int | None = 60,
        window_minutes: int = 5,
    ) -> Warehouse:
        """Declare who is told when something is wrong, and from when on it counts as wrong.

        Alerts are always written to the log. webhook: a URL that gets them by POST as well, signed with the secret of
        the setting `alert_webhook_secret`. command: a program with its arguments, which is started without a shell for
        each and reads it on its standard input. The conditions are those of `Conditions`; None leaves one out. A
        warehouse without `with_alert` has the default conditions, and the log alone.
        """
        alert = checked_alert(
            webhook,
            command,
            {
                "rejects": rejects,
                "rejects_share": rejects_share,
                "refused_share": refused_share,
                "failed_runs": failed_runs,
                "missed_runs": missed_runs,
                "lag_s": lag_s,
                "disk_free_bytes": disk_free_bytes,
                "damage": damage,
                "backup_age_hours": backup_age_hours,
                "clock_ahead_s": clock_ahead_s,
                "window_minutes": window_minutes,
            },
        )
        for other in self._alerts:
            same = [
                what
                for what, value in (("webhook", alert.webhook), ("command", alert.command))
                if value and value == getattr(other, what)
            ]
            if not (alert.webhook or alert.command or other.webhook or other.command):
                same = ["log alone"]
            if same:
                raise DeclarationError(
                    f"Warehouse {self.name!r}: with_alert was called before for this {same[0]}, which would be told "
                    "everything twice. Declare its conditions in one call."
                )
        self._alerts.append(alert)
        return self

    def alerts(self) -> list[Alert]:
        """The declared alerts, in the order of their declaration; without one, the default conditions for the log."""
        return list(self._alerts) or [Alert()]

    def with_workgroup(
        self,
        name: str,
        *,
        require_partition_filter: bool = False,
        allow_full_scan: bool = False,
        partitions_max: int | None = None,
        scan_bytes_max: int | None = None,
        scan_bytes_per_day_max: int | None = None,
        query_time_max_s: int | None = None,
        memory_bytes_max: int | None = None,
        threads: int | None = None,
        concurrency_max: int | None = None,
        result_rows_max: int | None = None,
        scratch_bytes_max: int | None = None,
    ) -> Warehouse:
        """Declare an audience of queries with what it permits; None is no limit, or the one of the setting `query_...`.

        Without a declaration there are `production` and `batch`, which permit everything, and `adhoc`, with a filter on
        the hours and 744 of them; declaring one of these replaces it. A query names its workgroup; `production` is
        that of a query that names none, `batch` that of jobs.

        require_partition_filter: of each table that has hours, a query must read a range that begins at some hour, or a
        list. partitions_max: of at most so many hours, which includes the former. allow_full_scan: a query may ask for
        a full scan, to which both do not apply. scan_bytes_max: the files that a query may read have so many bytes.
        scan_bytes_per_day_max: those of all its queries of a day (UTC), of those that `dw up` answers.
        query_time_max_s, memory_bytes_max, threads, result_rows_max: limits of each query. concurrency_max: so many of
        its queries run at once, in processes of their own; others wait. scratch_bytes_max: how many bytes each of its
        keys may keep in its own scratch, on the embedded host; None is none.
        """
        limits = {
            "partitions_max": partitions_max,
            "scan_bytes_max": scan_bytes_max,
            "scan_bytes_per_day_max": scan_bytes_per_day_max,
            "query_time_max_s": query_time_max_s,
            "memory_bytes_max": memory_bytes_max,
            "threads": threads,
            "concurrency_max": concurrency_max,
            "result_rows_max": result_rows_max,
            "scratch_bytes_max": scratch_bytes_max,
        }
        choices = {"require_partition_filter": require_partition_filter, "allow_full_scan": allow_full_scan}
        workgroup = checked_workgroup(name, choices, limits)
        if name in self._workgroups:
            raise DeclarationError(f"Warehouse {self.name!r} already declares the workgroup {name!r}.")
        self._workgroups[name] = workgroup
        return self

    def workgroups(self) -> dict[str, Workgroup]:
        """The workgroups by name: the declared ones, and of `production`, `adhoc` and `batch` those that are not."""
        return with_defaults(self._workgroups.values())

    def add(self, table: Table) -> Warehouse:
        """Add a table that another declaration has checked. Raises DeclarationError if the name is already used."""
        self._check_unused(table.name)
        self._tables[table.name] = table
        return self

    def get_table(self, name: str) -> Table:
        """The declared table. Raises UnknownName, with the declared names."""
        if name not in self._tables:
            hint = did_you_mean(name, self._tables)
            raise UnknownName(f"Warehouse {self.name!r} has no table {name!r}; it has {listed(self._tables)}.{hint}")
        return self._tables[name]

    def list_tables(self) -> list[str]:
        """The names of the declared tables, in the order of their declaration."""
        return list(self._tables)

    def get_input_stream(self, name: str) -> InputStream:
        """The input stream of a streaming input table. Raises UnknownName, with the existing streams."""
        table = self._tables.get(name)
        if not isinstance(table, StreamingInputTable):
            streams = [t.name for t in self.tables() if isinstance(t, StreamingInputTable)]
            why = f"{name!r} is a {table.kind}, which has none" if table else f"there is no table {name!r}"
            raise UnknownName(f"Warehouse {self.name!r} has no input stream {name!r}: {why}; it has {listed(streams)}.")
        return InputStream(table.name, table.input_stream_shard_count)

    def tables(self) -> list[Table]:
        """The declared tables, in the order of their declaration."""
        return list(self._tables.values())

    def _check_unused(self, name: Any) -> None:
        lowered = name.lower() if isinstance(name, str) else ""
        taken = self._tables.get(lowered) or self._views.get(lowered)
        if taken:
            kind = "view" if isinstance(taken, View) else taken.kind
            raise DeclarationError(
                f"Warehouse {self.name!r} already has a {kind} {taken.name!r}; got {name!r}. "
                "A name is used once, in whatever case."
            )

    def _checked_reads(self, name: Any, reads: Iterable[str]) -> tuple[str, ...]:
        found = checked_names(name, "reads", reads)
        for other in found:
            if other in self._views:
                raise DeclarationError(
                    f"Table {name!r}: reads has {other!r}, which is a view. Name the tables that it reads, in its "
                    "place: a job may read a view whose tables are all in reads."
                )
            if other not in self._tables:
                raise DeclarationError(
                    f"Table {name!r}: reads has {other!r}, which is not declared before it; there are "
                    f"{listed(self._tables)}."
                )
        return found

    def _check_completable(self, name: Any, reads: Sequence[str], schedule_expression: str | None) -> None:
        """Check that run_when_complete is possible: the hours of all tables that the job reads can become complete."""
        users = [other for other in reads if self._tables[other].kind == Table.kind]
        problem = ""
        if not reads:
            problem = "needs the tables that the job reads: give reads=[...]"
        elif users:
            problem = f"cannot wait for {users[0]!r}, which you fill yourself: leave it out of reads"
        elif schedule_expression != "rate(1 hour)":
            problem = f"runs once an hour; its schedule_expression is {schedule_expression!r}: give 'rate(1 hour)'"
        if problem:
            raise DeclarationError(f"Table {name!r}: run_when_complete {problem}.")

    def _checked_reruns(
        self, name: str, reads: Sequence[str], schedule: str, keys: Sequence[Column], reruns: tuple[Any, Any]
    ) -> dict[str, Any]:
        is_hourly, (late, event_hours) = is_due_each_hour(parse_schedule(schedule)), reruns
        return {
            argument: checked_rerun(name, argument, value, problem, is_hourly, keys)
            for argument, value, problem in (
                ("rerun_when_late", late, self._unseen_late(reads)),
                ("rerun_when_event_hour_changes", event_hours, self._unseen_events(reads)),
            )
        }

    def _unseen_late(self, reads: Sequence[str]) -> str:
        """Why it cannot be seen which hours a job ran for before they got all their rows; "" if it can."""
        if not any(isinstance(self._tables[other], StreamingInputTable) for other in reads):
            return "needs the streaming input tables that the job reads: give reads=[...]"
        return unseen_late_rows([self._tables[other] for other in reads])

    def _unseen_events(self, reads: Sequence[str]) -> str:
        """Why it cannot be seen which event hours changed after a job had counted them; "" if it can."""
        for other in reads:
            table = self._tables[other]
            if isinstance(table, StreamingInputTable) and table.event_time:
                return ""
        return (
            "needs a streaming input table that the job reads and that declares its event time: give reads=[...], and "
            "event_time=... to the table"
        )
