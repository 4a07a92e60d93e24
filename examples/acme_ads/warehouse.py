"""ACME shows ads in a shop's search results: which were shown, which were clicked, and what the campaigns are."""

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

warehouse = (
    Warehouse("acme_ads")
    .with_streaming_input_table("impressions", columns=impression, input_stream_shard_count=2)
    .with_streaming_input_table("clicks", columns=click)
    .with_table(
        "campaigns", columns={"campaign": "string", "advertiser": "string", "budget": "double"}, data_format="JSON"
    )
)
