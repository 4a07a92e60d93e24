"""Bodies are taken apart in bounded time and memory."""

import gzip
import json
import random
import tracemalloc

import pytest

from datawarehouse.errors import BadRequest, BodyTooLarge
from datawarehouse.intake.bodies import records_in, unpacked

MANY = 10**9


@pytest.mark.seeds(fixed=40, random=10)
def test_members_of_any_size_and_number_are_unpacked(seed):
    chance = random.Random(seed)
    parts = [chance.randbytes(chance.choice((0, 1, 50, 600, 5_000, 300_000))) for _ in range(chance.randrange(1, 30))]
    body = b"".join(gzip.compress(part, chance.randrange(10), mtime=0) for part in parts)
    assert unpacked(body, MANY, MANY) == b"".join(parts)
    size = sum(map(len, parts))
    assert unpacked(body, size, len(parts)) == b"".join(parts)
    if size:
        with pytest.raises(BodyTooLarge, match=f"more than {size - 1} bytes"):
            unpacked(body, size - 1, MANY)
    with pytest.raises(BodyTooLarge, match="members"):
        unpacked(body, MANY, len(parts) - 1)
    with pytest.raises(BadRequest):
        unpacked(body[:-1], MANY, MANY)


@pytest.mark.timeout(60)
def test_a_body_of_very_many_members_takes_no_quadratic_time():
    """It was 27 seconds for a tenth of them."""
    assert unpacked(gzip.compress(b"", mtime=0) * 500_000, MANY, 500_000) == b""


def test_a_bomb_is_refused_before_it_takes_memory():
    bomb = gzip.compress(b" " * 200_000_000, 1, mtime=0)
    tracemalloc.start()
    try:
        with pytest.raises(BodyTooLarge):
            unpacked(bomb, 1_000_000, MANY)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("form", ["lines", "array"])
def test_the_largest_number_of_events_is_taken_and_one_more_is_not(form):
    def body(count):
        events = [json.dumps({"id": number, "tags": ["a", "b"]}) for number in range(count)]
        return ("\n".join(events) if form == "lines" else "[" + ",".join(events) + "]").encode()

    assert len(records_in(body(100), 100)) == 100
    with pytest.raises(BodyTooLarge, match="request_events_max"):
        records_in(body(101), 100)
    assert len(records_in(body(1), 1)) == 1


def test_one_object_over_many_lines_is_one_event():
    text = json.dumps({str(number): number for number in range(500)}, indent=1).encode()
    assert records_in(text, 10) == [text]
