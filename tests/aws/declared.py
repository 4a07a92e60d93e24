"""Declarations that the tests of the AWS side share, with jobs that can be imported by name."""

from datawarehouse import Warehouse

COLUMNS = {"id": "string", "session_id": "string", "event_time": "timestamp"}


VIEWS = {"id": "string", "at": "timestamp"}


def hourly_counts(job):
    for event_type, hour in (("clicks", "arrived_at"), ("impressions", "inserted_at")):
        [(count,)] = job.query(f"select count(*) from {event_type} where {hour} = ?", [job.partition])
        yield {"event_type": event_type, "count": count, "time": job.partition}


def daily_sessions(job):
    return [{"session_id": "s1", "events": 1}]


def slow_count(job):
    """Asks what takes longer than any test waits."""
    numbers = "unnest(flatten(transform(sequence(1, 100), s -> sequence(1, 10000))))"
    sql = f"select count(*) from {numbers} as a(x), {numbers} as b(y) where (x * y) % 7 = 3"
    return [{"count": count} for (count,) in job.query(sql)]


def tidy(event, context):
    """A handler of its own."""
    return event["time"]


def everything() -> Warehouse:
    """Every kind of table, with every argument that has a meaning on AWS."""
    return (
        Warehouse("every_kind")
        .with_streaming_input_table("impressions", COLUMNS, input_stream_shard_count=2, retention_days=90)
        .with_streaming_input_table(
            "clicks", COLUMNS | {"tags": "array<string>", "price": "decimal(9,4)"}, partition_key_name="arrived_at"
        )
        .with_table("facts", {"thing": "string", "color": "string"}, data_format="JSON")
        .with_table("prices", {"item": "string", "price": "double"}, {"day": "string"})
        .with_batch_input_table(
            "aggregates",
            {"event_type": "string", "count": "int", "time": "string"},
            hourly_counts,
            "rate(1 hour)",
            data_format="JSON",
            reads=["clicks", "impressions"],
            run_when_complete=True,
        )
        .with_batch_input_table(
            "sessions",
            {"session_id": "string", "events": "bigint"},
            daily_sessions,
            "cron(30 2 * * ? *)",
            partition_keys={"hour": "string"},
            policy_arns_to_attach=["arn:aws:iam::aws:policy/AmazonDynamoDBReadOnlyAccess"],
            retention_days=30,
        )
    )


def compacted() -> Warehouse:
    """The same, and a table whose hours are compacted and whose lateness is measured, with every argument that has a
    meaning for that, and a job that runs again for hours that got rows after it ran."""
    return (
        everything()
        .with_streaming_input_table(
            "views",
            VIEWS,
            retention_days=30,
            sort_by=["at", "id"],
            dedupe_key="id",
            compaction="hourly",
            event_time="at",
        )
        .with_batch_input_table(
            "viewed",
            {"id": "string", "times": "bigint"},
            schedule_expression="rate(1 hour)",
            partition_keys={"inserted_at": "string"},
            reads=["views"],
            run_when_complete=True,
            sql="select id, count(*) as times from views where inserted_at = :partition group by id",
            rerun_when_late=True,
        )
    )


def in_iceberg(**arguments) -> Warehouse:
    """A table in Iceberg with every kind of column, and one that is not in Iceberg."""
    nested = {"device": "struct<os:string,sizes:map<string,array<bigint>>>", "tags": "array<string>"}
    return (
        Warehouse("half_iceberg")
        .with_streaming_input_table(
            "events",
            COLUMNS | {"price": "decimal(9,4)", "count": "bigint", "ratio": "float", **nested},
            partition_key_name="arrived_at",
            table_format="iceberg",
            **arguments,
        )
        .with_streaming_input_table("clicks", COLUMNS)
    )
