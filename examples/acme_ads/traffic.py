"""Impressions and clicks as ACME's pages send them: seeded, with sessions, and now and then a malformed one."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

CAMPAIGNS = {"tents": 0.061, "boots": 0.044, "lamps": 0.023, "stoves": 0.012}
QUERIES = {"tents": "tent 2 person", "boots": "hiking boots", "lamps": "head lamp", "stoves": "gas stove"}
MALFORMED = (
    lambda text: text[: len(text) // 2],
    lambda text: text.replace('"event_time": "2', '"event_time": "half past 2'),
    lambda text: text.replace('"id": "', '"id": "x", "ID": "'),
    lambda text: "<html>502 Bad Gateway</html>",
)


def traffic(seed: int, impressions: int, malformed: float) -> Iterator[tuple[str, str, bytes]]:
    """(stream, partition key, data) of each event; a click follows its impression. malformed: a share of all."""
    chance = random.Random(seed)
    instant = datetime(2026, 11, 23, 7, tzinfo=UTC)
    session = ""
    for number in range(impressions):
        instant += timedelta(milliseconds=chance.randint(1, 400))
        if not session or chance.random() < 0.2:
            session = f"{chance.getrandbits(64):016x}"
        campaign = chance.choice(list(CAMPAIGNS))
        position = chance.randint(1, 8)
        shown = {
            "id": f"i{number:07d}",
            "session_id": session,
            "event_time": _text(instant),
            "campaign": campaign,
            "position": position,
            "query": QUERIES[campaign],
            "device": {"os": chance.choice(("ios", "android", "web")), "width": chance.choice((390, 412, 1440))},
        }
        yield "impressions", session, _encoded(shown, chance, malformed)
        if chance.random() < CAMPAIGNS[campaign] * 2 / (1 + position / 4):
            clicked = {
                "id": f"c{number:07d}",
                "impression_id": shown["id"],
                "session_id": session,
                "event_time": _text(instant + timedelta(seconds=chance.randint(1, 30))),
                "price": round(chance.uniform(0.05, 0.9), 4),
            }
            yield "clicks", session, _encoded(clicked, chance, malformed)


def _text(instant: datetime) -> str:
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _encoded(event: dict, chance: random.Random, malformed: float) -> bytes:
    text = json.dumps(event)
    return (chance.choice(MALFORMED)(text) if chance.random() < malformed else text).encode()
