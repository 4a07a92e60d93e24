"""Impressions and clicks as ACME's pages send them: seeded, with sessions, and now and then a malformed one."""

from collections.abc import Iterator
from itertools import islice

from warehouse import warehouse

from datawarehouse.generator.events import Choice, generate

START_MS = 1_795_417_200_000  # 2026-11-23T07:00:00Z
CAMPAIGNS = [
    Choice({"campaign": "tents", "query": "tent 2 person", "price": 0.52}, follow_rate=0.061),
    Choice({"campaign": "boots", "query": "hiking boots", "price": 0.38}, follow_rate=0.044),
    Choice({"campaign": "lamps", "query": "head lamp", "price": 0.21}, follow_rate=0.023),
    Choice({"campaign": "stoves", "query": "gas stove", "price": 0.17}, follow_rate=0.012),
]


def traffic(seed: int, count: int, malformed: float) -> Iterator[tuple[str, str, bytes]]:
    """(stream, partition key, data) of each event; a click follows its impression. malformed: a share of all."""
    tables = [warehouse.get_table(name) for name in ("impressions", "clicks")]
    events = generate(tables, seed=seed, start_ms=START_MS, rate=5, malformed=malformed, choices=CAMPAIGNS)
    for _, event in islice(events, count):
        yield event.table, event.partition_key, event.data
