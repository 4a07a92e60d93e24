"""Default quotas against what a declaration needs."""

from datawarehouse import Warehouse
from datawarehouse.aws.capacity import Need, Quota, need_of, quotas_to_raise

NOTHING = Need(shards=0, delivery_streams=0, tables=0, functions=0, queries=0)


def job(context):
    return []


def test_what_a_declaration_needs():
    warehouse = (
        Warehouse("shop")
        .with_streaming_input_table("clicks", {"at": "timestamp"}, input_stream_shard_count=3, event_time="at")
        .with_streaming_input_table("views", {"id": "string"}, input_stream_shard_count=2, compaction="hourly")
        .with_batch_input_table("counts", {"n": "int"}, job, "rate(1 hour)")
        .with_table("facts", {"name": "string"})
    )
    assert need_of(warehouse.tables()) == Need(shards=5, delivery_streams=2, tables=4, functions=5, queries=3)
    assert quotas_to_raise(need_of(warehouse.tables())) == []


def test_records_for_iceberg_are_converted_by_functions_that_no_rule_calls():
    warehouse = Warehouse("shop").with_streaming_input_table(
        "clicks", {"id": "string"}, input_stream_shard_count=200, table_format="iceberg"
    )
    need = need_of(warehouse.tables())
    assert need == Need(shards=200, delivery_streams=1, tables=1, functions=0, queries=0, converters=200)
    assert quotas_to_raise(Need(0, 0, 0, functions=300, queries=0, converters=701)) == [
        Quota("Lambda", "concurrent executions", 1000, 1001)
    ]


def test_a_quota_is_named_when_more_than_its_default_is_needed():
    assert quotas_to_raise(Need(500, 5000, 200_000, 300, 200, 50)) == []
    assert quotas_to_raise(Need(501, 5001, 200_001, 1001, 201, 51)) == [
        Quota("Kinesis Data Streams", "provisioned shards", 500, 501),
        Quota("Kinesis Data Streams", "on-demand streams", 50, 51),
        Quota("Data Firehose", "Firehose streams", 5000, 5001),
        Quota("Glue Data Catalog", "tables of a database", 200_000, 200_001),
        Quota("Lambda", "concurrent executions", 1000, 1001),
        Quota("EventBridge", "rules of an event bus", 300, 1001),
        Quota("Athena", "active DML queries", 200, 201),
    ]


def test_shards_of_all_streams_count_together_and_defaults_differ_by_region():
    warehouse = Warehouse("shop")
    for name in ("clicks", "views"):
        warehouse.with_streaming_input_table(name, {"id": "string"}, input_stream_shard_count=150)
    need = need_of(warehouse.tables())
    assert quotas_to_raise(need, "eu-west-1") == []
    assert quotas_to_raise(need, "eu-central-1") == [Quota("Kinesis Data Streams", "provisioned shards", 200, 300)]


def test_a_function_has_a_rule_and_defaults_differ_by_region():
    some = Need(0, 0, 0, functions=101, queries=0)
    assert quotas_to_raise(some) == []
    assert quotas_to_raise(some, "eu-south-1") == [Quota("EventBridge", "rules of an event bus", 100, 101)]


def test_jobs_due_together_have_as_many_queries_active():
    many = Need(0, 0, 0, 0, queries=160)
    assert quotas_to_raise(many, "us-east-1") == []
    assert [quota.default for quota in quotas_to_raise(many, "us-west-2")] == [150]
    assert [quota.default for quota in quotas_to_raise(many, "eu-central-1")] == [20]
    assert quotas_to_raise(NOTHING) == []
