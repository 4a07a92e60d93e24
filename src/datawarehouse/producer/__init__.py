"""Send events from a program: in batches, again until they are taken, and never lost without a word.

    from datawarehouse.producer import Producer

    with Producer("clicks", url="http://127.0.0.1:8080") as producer:
        producer.put({"id": "c-1", "at": "2026-01-01T00:00:00Z"})

The guide is docs/guides/producer.md.
"""

from datawarehouse.producer.asynchronous import AsyncProducer
from datawarehouse.producer.batch import Delivery, Receipt
from datawarehouse.producer.producer import Counts, Producer, Undelivered

__all__ = ["AsyncProducer", "Counts", "Delivery", "Producer", "Receipt", "Undelivered"]
