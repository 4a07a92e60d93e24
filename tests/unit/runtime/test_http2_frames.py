"""What of the bytes of an HTTP/2 connection reaches the library, in whatever pieces they come."""

import random

import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
)

from datawarehouse.runtime.http2_frames import PERIOD_S, SETTINGS_COST, SPARE_MAX, ConnectionRefused, Frames

SETTINGS = SettingsFrame(0).serialize()


def serialized(*frames):
    return b"".join(frame.serialize() for frame in frames)


class Unknown(Frame):
    """A frame of a type that nobody knows."""

    type = 0xEE
    stream_association = "either"

    def __init__(self, content):
        super().__init__(0)
        self.content = content

    def serialize_body(self):
        return self.content


class Now:
    def __init__(self):
        self.seconds = 1_000.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def now():
    return Now()


@pytest.fixture
def begun(now):
    frames = Frames(now)
    frames.passed(SETTINGS)
    return frames


@pytest.mark.parametrize("seed", range(20))
def test_priorities_unknown_frames_and_goaway_are_left_out_in_whatever_pieces_they_come(now, seed):
    chance = random.Random(seed)
    kept = [
        HeadersFrame(1, b"x" * 30, flags=["END_HEADERS"]),
        DataFrame(1, b"y" * 16_384),
        DataFrame(1, b"", flags=["END_STREAM"]),
        PingFrame(0, b"12345678"),
        HeadersFrame(3, b""),
        ContinuationFrame(3, b"z" * 9, flags=["END_HEADERS"]),
        RstStreamFrame(3, 8),
    ]
    left_out = [
        PriorityFrame(5, depends_on=1, stream_weight=1),
        Unknown(b"a" * chance.randrange(40)),
        GoAwayFrame(0, 1, additional_data=b"bye"),
    ]
    places = sorted(chance.choice([0, 1, 2, 3, 4, 6, 7]) for _ in left_out)  # not within a block of headers
    sent = [SettingsFrame(0), *kept]
    for place, frame in zip(reversed(places), left_out, strict=True):
        sent.insert(1 + place, frame)
    data = serialized(*sent)
    frames, found, at = Frames(now), b"", 0
    while at < len(data):
        step = chance.choice([1, 2, 8, 9, 10, 100, 20_000])
        found += frames.passed(data[at : at + step])
        at += step
    assert found == SETTINGS + serialized(*kept)
    assert frames.has_client_left


@pytest.mark.parametrize("frame", [PingFrame(0, b"12345678"), Unknown(b"a"), GoAwayFrame(0)])
def test_within_a_block_of_headers_nothing_is_left_out(begun, frame):
    """So that the library refuses it."""
    assert begun.passed(serialized(HeadersFrame(1, b"x"), frame)) == serialized(HeadersFrame(1, b"x"), frame)


def refused(frames, data):
    with pytest.raises(ConnectionRefused) as found:
        frames.passed(data)
    return found.value.code


def test_frames_that_ask_for_nothing_are_counted_by_time(begun, now):
    ping = PingFrame(0, b"12345678").serialize()
    begun.passed(ping * (SPARE_MAX - SETTINGS_COST))
    now.seconds += PERIOD_S
    begun.passed(ping * SPARE_MAX)
    now.seconds += PERIOD_S - 0.001
    assert refused(begun, ping) == ErrorCodes.ENHANCE_YOUR_CALM


def test_bodies_earn_frames(begun):
    ping = PingFrame(0, b"12345678").serialize()
    begun.passed(ping * (SPARE_MAX - SETTINGS_COST))
    begun.passed(DataFrame(1, b"x" * 2048).serialize())
    begun.carried(3 * 1024)
    begun.passed(ping * 5)
    assert refused(begun, ping) == ErrorCodes.ENHANCE_YOUR_CALM


def test_a_head_is_refused_before_its_frame_has_come(begun):
    assert refused(begun, b"\0\x40\1\0\0\0\0\0\1") == ErrorCodes.FRAME_SIZE_ERROR


def test_empty_parts_of_a_block_of_headers_count(begun):
    """Each is a byte at least, so that a block cannot go on without end."""
    begun.passed(HeadersFrame(1, b"").serialize())
    assert refused(begun, ContinuationFrame(1, b"").serialize() * (128 * 1024)) == ErrorCodes.ENHANCE_YOUR_CALM


def test_the_first_frame_is_settings(now):
    assert refused(Frames(now), PingFrame(0, b"12345678").serialize()) == ErrorCodes.PROTOCOL_ERROR
