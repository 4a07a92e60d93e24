"""What is generated, as a whole: the same every time, in order, with the shares, sessions and relations asked for."""

import itertools
import json
from collections import Counter, defaultdict
from datetime import datetime
from hashlib import blake2b

import pytest

from datawarehouse import Warehouse
from datawarehouse.errors import BadRequest
from datawarehouse.generator.events import Choice, generate
from datawarehouse.generator.relations import Follows, relations

START_MS = 1_763_881_200_000
IMPRESSION = {
    "id": "string",
    "session_id": "string",
    "user_id": "bigint",
    "event_time": "timestamp",
    "campaign": "string",
    "position": "int",
    "country": "string",
}
CLICK = {
    "id": "string",
    "impression_id": "string",
    "session_id": "string",
    "event_time": "timestamp",
    "campaign": "string",
    "price": "decimal(9,4)",
}
SMALL = {"id": "string", "session_id": "string", "event_time": "timestamp"}


def tables(**columns):
    warehouse = Warehouse("any")
    for name, given in columns.items():
        warehouse.with_streaming_input_table(name, given)
    return warehouse.tables()


def made(given, count, seed=5, rate=100.0, **options):
    return list(itertools.islice(generate(given, seed=seed, start_ms=START_MS, rate=rate, **options), count))


def ads(count, **options):
    return made(tables(impressions=IMPRESSION, clicks=CLICK), count, **options)


def time_of(event):
    return round(datetime.fromisoformat(json.loads(event.data)["event_time"]).timestamp() * 1000)


def digest(events):
    return blake2b(repr(events).encode(), digest_size=8).hexdigest()


def test_the_same_arguments_give_the_same_bytes_everywhere():
    every_type = {
        "id": "bigint",
        "uuid": "char(8)",
        "ts": "double",
        "at": "timestamp",
        "d": "date",
        "f": "float",
        "g": "double",
        "n": "decimal(20,7)",
        "b": "binary",
        "flag": "boolean",
        "s": "struct<name:string,parts:array<map<int,varchar(3)>>>",
    }
    options = {"malformed": 0.1, "late": 0.1, "duplicates": 0.1}
    events = ads(5000, **options)
    assert events == ads(5000, **options)
    assert (digest(events), digest(made(tables(t=every_type), 5000, **options))) == (
        "1bf6f05eb56a988a",
        "f72a122b1ee2da58",
    )
    assert digest(ads(100, seed=6, **options)) != digest(ads(100, **options))


def test_instants_keep_to_the_rate():
    events = ads(1000, rate=300, duplicates=0.5)
    assert [instant for instant, _ in events] == [START_MS + n * 1000 // 300 for n in range(1000)]


def test_shares():
    events = [event for _, event in ads(40_000, malformed=0.02, late=0.05, duplicates=0.1)]
    first = [event for event in events if not event.is_duplicate]
    assert sum(event.kind == "malformed" for event in first) / len(first) == pytest.approx(0.02, abs=0.003)
    assert sum(event.is_late for event in first) / len(first) == pytest.approx(0.05, abs=0.005)
    # Up to 2 minutes of copies are still to come, of 400 seconds.
    assert 0.07 < (len(events) - len(first)) / len(first) < 0.1
    plain = {(event.kind, event.is_late, event.is_duplicate) for _, event in ads(500)}
    assert plain == {("good", False, False)}


def test_late_events_happened_hours_before_they_are_sent():
    seen = Counter()
    for instant, event in ads(5000, late=0.1):
        seen[event.is_late] += 1
        before = instant - time_of(event)
        if event.is_late:
            assert 3_600_000 < before <= 48 * 3_600_000 + 600
        else:
            assert 50 <= before <= 600
    assert seen[True] > 300


def test_a_table_without_time_has_no_late_events():
    assert not any(event.is_late for _, event in made(tables(t={"id": "string", "d": "date"}), 200, late=1.0))


def test_time_columns_by_type_and_name():
    columns = {"event_time": "timestamp", "ts": "bigint", "created_at": "int", "start_time": "varchar(19)", "t": "date"}
    hours = defaultdict(list)
    for instant, event in made(tables(t=columns), 200, late=1.0):
        found = json.loads(event.data)
        assert found.keys() >= {"event_time"}  # the first time column is never NULL
        for name, read in (
            ("ts", int),
            ("created_at", lambda value: value * 1000),
            ("start_time", lambda value: datetime.fromisoformat(value + "Z").timestamp() * 1000),
        ):
            if found.get(name) is not None:
                hours[name].append((instant - read(found[name])) / 3_600_000)
    assert set(hours) == {"ts", "created_at", "start_time"}
    assert all(1 < hour < 48.1 for found in hours.values() for hour in found)


def test_duplicates_are_the_same_bytes_seconds_to_minutes_later():
    sent, delays = {}, []
    for instant, event in ads(20_000, malformed=0.05, duplicates=0.1):
        if event.is_duplicate:
            delays.append(instant - sent[event.table, event.partition_key, event.data, event.kind, event.is_late])
        else:
            sent.setdefault((event.table, event.partition_key, event.data, event.kind, event.is_late), instant)
    assert len(delays) > 1000
    assert 1000 <= min(delays) < 2000 and 60_000 < max(delays) <= 121_000


def test_sessions_have_several_events_and_values_of_their_own():
    sessions = defaultdict(list)
    for _, event in made(tables(impressions=IMPRESSION), 10_000, sessions=8):
        found = json.loads(event.data)
        assert event.partition_key == found["session_id"]
        sessions[found["session_id"]].append(found)
    assert 10_000 / len(sessions) == pytest.approx(8, rel=0.1)
    assert all(len({event["user_id"] for event in events}) == 1 for events in sessions.values())
    assert all(len({event.get("country") for event in events} - {None}) <= 1 for events in sessions.values())
    assert len({event["id"] for events in sessions.values() for event in events}) == 10_000


def test_clicks_follow_the_impression_that_they_name():
    shown, clicks = {}, []
    for instant, event in ads(60_000, malformed=0.05, late=0.02):
        if event.kind == "good":
            found = json.loads(event.data)
            if event.table == "impressions":
                shown[found["id"]] = (instant, event, found)
            else:
                clicks.append(found)
                before, impression, of = shown[found["impression_id"]]
                assert 1000 <= instant - before <= 31_000
                assert 1000 <= time_of(event) - time_of(impression) <= 30_000
                assert (found["session_id"], found.get("campaign")) == (of["session_id"], of.get("campaign"))
                assert (event.partition_key, event.is_late) == (impression.partition_key, impression.is_late)
    assert len(shown) + len(clicks) > 56_000
    assert 0.05 < len(clicks) / len(shown) < 0.1
    positions = Counter(of["position"] for _, _, of in shown.values() if of.get("position"))
    clicked = Counter(shown[click["impression_id"]][2].get("position") for click in clicks)
    assert clicked[1] / positions[1] > 1.5 * clicked[8] / positions[8]


def test_choices_set_values_that_go_together_and_how_often_they_are_followed():
    choices = [
        Choice({"campaign": "tents", "price": 0.5}, weight=3, follow_rate=0.3),
        Choice({"campaign": "stoves", "price": 0.25}, follow_rate=0),
    ]
    events = [event for _, event in ads(8000, choices=choices)]
    campaigns = Counter((event.table, json.loads(event.data)["campaign"]) for event in events)
    assert campaigns.keys() == {("impressions", "tents"), ("impressions", "stoves"), ("clicks", "tents")}
    ratio = campaigns["impressions", "tents"] / campaigns["impressions", "stoves"]
    assert ratio == pytest.approx(3, rel=0.1)
    assert 0.2 < campaigns["clicks", "tents"] / campaigns["impressions", "tents"] < 0.33
    assert {json.loads(event.data)["price"] for event in events if event.table == "clicks"} == {0.5}


def test_clicks_without_a_column_for_it_follow_impressions_of_their_session():
    last_shown, clicks = {}, 0
    for instant, event in made(tables(clicks=SMALL, impressions=SMALL), 5000):
        session = json.loads(event.data)["session_id"]
        if event.table == "impressions":
            last_shown.setdefault(session, instant)
        else:
            clicks += 1
            assert last_shown[session] + 1000 <= instant
    assert 0.05 < clicks / 5000 < 0.1


def test_which_table_follows_which():
    def found(**columns):
        return relations(tables(**columns))

    key = {"id": "string"}
    assert found(impressions=key, clicks=key) == {}
    assert found(categories=key, items={"category_id": "string"}) == {
        "items": Follows("categories", "category_id", "id")
    }
    assert found(clicks={"purchase_id": "int"}, purchases={"purchase_id": "int"}) == {
        "clicks": Follows("purchases", "purchase_id", "purchase_id")
    }
    assert found(users={"id": "bigint"}, clicks={"user_id": "string"}) == {}, "other types"
    assert found(comments={"id": "string", "comment_id": "string"}) == {}, "itself"
    in_a_circle = {"id": "string", "a_id": "string", "b_id": "string"}
    assert found(a=in_a_circle, b=in_a_circle) == {"a": Follows("b", "b_id", "id")}
    chain = found(purchases={"id": "string", "click_id": "string"}, clicks=CLICK, impressions=IMPRESSION)
    assert chain == {
        "purchases": Follows("clicks", "click_id", "id"),
        "clicks": Follows("impressions", "impression_id", "id"),
    }


def test_a_table_alone_follows_nothing():
    events = made(tables(clicks=CLICK), 200)
    assert {event.table for _, event in events} == {"clicks"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate": 0},
        {"rate": float("nan")},
        {"malformed": 1.5},
        {"late": -0.1},
        {"duplicates": 2},
        {"sessions": 0.5},
        {"start_ms": -1},
        {"tables": []},
        {"choices": [Choice({"campaign": "tents"}, weight=0)]},
    ],
)
def test_arguments_that_make_no_sense_are_refused_at_once(wrong):
    given = {"tables": tables(clicks=CLICK), "seed": 1, "start_ms": START_MS, "rate": 1.0, **wrong}
    with pytest.raises(BadRequest, match=r"valid is|valid are|give one"):
        generate(given.pop("tables"), **given)
