"""ACME shows ads in a shop's search results: which were shown, which were clicked, and what is known of the campaigns.

`aggregates` counts each hour once, as soon as no more events can arrive in it.
"""

from datawarehouse import Warehouse

impression = {
    "id": "string",
    "session_id": "string",
    "event_time": "timestamp",
    "campaign": "string",
    "position": "int",
    "query": "string",
    "device": "struct<os:string,width:int>",
}
click = {
    "id": "string",
    "impression_id": "string",
    "session_id": "string",
    "event_time": "timestamp",
    "price": "decimal(9,4)",
}


def hourly_counts(job):
    for event_type in ("clicks", "impressions"):
        [(count,)] = job.query(f"select count(*) from {event_type} where inserted_at = ?", [job.partition])
        yield {"event_type": event_type, "count": count, "time": job.partition}


warehouse = (
    Warehouse("acme_ads")
    .with_streaming_input_table(
        "impressions", columns=impression, input_stream_shard_count=2, peak_events_per_second=1500, event_bytes=300
    )
    .with_streaming_input_table("clicks", columns=click, peak_events_per_second=100, event_bytes=200)
    .with_table("facts", columns={"campaign": "string", "advertiser": "string", "budget": "double"}, data_format="JSON")
    .with_batch_input_table(
        "aggregates",
        columns={"event_type": "string", "count": "int", "time": "string"},
        job=hourly_counts,
        schedule_expression="rate(1 hour)",
        reads=["clicks", "impressions"],
        run_when_complete=True,
        data_format="JSON",
    )
)
