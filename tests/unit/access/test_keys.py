"""The file of keys, and the rates of one."""

import json
import stat
import threading

import pytest

from datawarehouse import Warehouse
from datawarehouse.access.keys import KEYS_MAX, Keys, Wanted, checked, is_secret_of
from datawarehouse.access.rates import ADDRESS_RATE, Rates
from datawarehouse.errors import BadRequest, FolderError, Throttled, UnknownName

DAY_MS = 86_400_000
WAREHOUSE = (
    Warehouse("dw")
    .with_streaming_input_table("clicks", {"id": "string"})
    .with_table("facts", {"id": "string"}, data_format="JSON")
)


def test_a_key_lives_as_long_as_it_says(tmp_path):
    keys = Keys(tmp_path / "keys.json")
    assert not keys.are_needed
    made = keys.create(Wanted("a", ["put"], lifetime_s=10), 1000)
    again = Keys(tmp_path / "keys.json")
    assert again.of_id(made.key.id) == made.key
    assert [made.key.state(at) for at in (1000, 10_999, 11_000)] == ["valid", "valid", "expired"]
    assert is_secret_of(made.key, made.secret)
    assert not is_secret_of(made.key, made.secret[:-1])
    assert keys.create(Wanted("a", ["put"]), 11_000).key.id != made.key.id  # the name is free again


def test_a_secret_is_replaced(tmp_path):
    keys = Keys(tmp_path / "keys.json")
    first = keys.create(Wanted("a", ["query"], "batch", lifetime_s=90 * 86_400, limits={"queries_per_min": 5}), 0)
    second = keys.rotate("a", 7 * 86_400, DAY_MS)
    assert (second.key.may, second.key.workgroup, second.key.limits) == (["query"], "batch", {"queries_per_min": 5})
    assert second.key.expires_ms == 91 * DAY_MS
    assert keys.of_id(first.key.id).expires_ms == 8 * DAY_MS
    assert keys.identity(first.key).rates is keys.identity(second.key).rates
    third = keys.rotate("a", 0, 2 * DAY_MS)
    assert [keys.of_id(each.key.id).state(2 * DAY_MS) for each in (first, second, third)] == ["expired"] * 2 + ["valid"]
    assert keys.revoke("a", 3 * DAY_MS) == [third.key.id]
    assert third.secret not in (tmp_path / "keys.json").read_text()
    assert keys.are_needed
    for call in (lambda: keys.revoke("a", 3 * DAY_MS), lambda: keys.rotate("a", 0, 3 * DAY_MS)):
        with pytest.raises(UnknownName, match="There is no valid key 'a'; there are none"):
            call()


def test_a_public_token_is_kept_as_a_digest(tmp_path):
    keys = Keys(tmp_path / "keys.json")
    made = keys.create(Wanted("page", ["put:clicks"], origins=["https://a.example"]), 0)
    assert made.secret.startswith("dwp_")
    assert made.secret.removeprefix("dwp_") not in (tmp_path / "keys.json").read_text()
    assert (made.key.secret, made.key.limits) == ("", {ADDRESS_RATE: 50})
    assert Keys(tmp_path / "keys.json").of_token(made.secret) == made.key
    assert keys.of_token(made.secret + "x") is keys.of_token("") is None


def test_ended_keys_make_room_and_valid_ones_do_not(tmp_path):
    keys = Keys(tmp_path / "keys.json")
    stored = [{"name": f"k{n}", "id": f"DW{n}", "may": ["put"], "created_ms": 0} for n in range(KEYS_MAX)]
    stored[7]["revoked_ms"] = 1
    (tmp_path / "keys.json").write_text(json.dumps({"version": 1, "keys": stored}))
    keys = Keys(tmp_path / "keys.json")
    keys.create(Wanted("new", ["put"]), 2)
    assert len(keys.all()) == KEYS_MAX
    assert keys.of_id("DW7") is None
    with pytest.raises(BadRequest, match=f"There are {KEYS_MAX} valid keys"):
        keys.create(Wanted("another", ["put"]), 2)


def test_what_a_full_disk_leaves(tmp_path):
    keys = Keys(tmp_path / "keys.json")
    made = keys.create(Wanted("a", ["put"]), 0)
    before = (tmp_path / "keys.json").read_bytes()
    (tmp_path / "keys.json.aside").mkdir()
    with pytest.raises(FolderError, match="cannot be written"):
        keys.revoke("a", 1)
    assert keys.of_id(made.key.id).state(2) == "valid"  # as the file says
    assert (tmp_path / "keys.json").read_bytes() == before


def test_many_at_once(tmp_path):
    keys = Keys(tmp_path / "keys.json")
    threads = [threading.Thread(target=keys.create, args=(Wanted(f"k{n}", ["put"]), 0)) for n in range(20)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    again = Keys(tmp_path / "keys.json")
    assert {key.name for key in again.all()} == {f"k{n}" for n in range(20)}
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (Wanted("a", ["put:facts"]), "no input stream 'facts'"),
        (Wanted("a", ["query:clicks_quarantin"]), "no table to query"),
        (Wanted("a", ["put"], "nobody"), "There is no workgroup 'nobody'"),
        (Wanted("a", [""]), "A key needs a right"),
    ],
)
def test_what_the_warehouse_does_not_have(wanted, says):
    with pytest.raises(BadRequest, match=says):
        checked(wanted, WAREHOUSE)


def test_words_are_cleaned():
    assert checked(Wanted("a", [" put:clicks", "query:clicks_quarantine ", "", "put:clicks"]), WAREHOUSE).may == [
        "put:clicks",
        "query:clicks_quarantine",
    ]


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (Wanted("a", ["put"], limits={"event_per_s": 1}), "There is no limit 'event_per_s'"),
        (Wanted("a", ["put"], limits={ADDRESS_RATE: 1}), "is for a public token"),
        (Wanted("a", ["put"], lifetime_s=10**12), "valid is 1 to"),
        (Wanted("a" * 64, ["put"]), "The name of a key"),
        (Wanted("a", ["put:clicks", "query"], origins=["https://a.example"]), "may only put events"),
    ],
)
def test_a_wish_that_is_wrong(tmp_path, wanted, says):
    with pytest.raises(BadRequest, match=says):
        Keys(tmp_path / "keys.json").create(wanted, 0)
    assert not (tmp_path / "keys.json").exists()


def test_a_rate_is_what_is_saved_up_and_the_last_request():
    rates = Rates("a", {"events_per_s": 10, "queries_per_min": 2})
    for count in (4, 4, 100):
        rates.admit("events_per_s", "bytes_per_s")
        rates.take(events_per_s=count)
    with pytest.raises(Throttled, match="The key 'a' has reached its rate of 10 \\(events_per_s\\)") as refused:
        rates.admit("events_per_s")
    assert 9 <= refused.value.retry_after_s <= 10
    for _ in range(2):
        rates.admit("queries_per_min")
        rates.take(queries_per_min=1)
    with pytest.raises(Throttled) as refused:
        rates.admit("queries_per_min")
    assert 25 <= refused.value.retry_after_s <= 30


def test_each_address_has_its_rate():
    rates = Rates("page", {ADDRESS_RATE: 5})
    for address in ("192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:0:1::1", "::ffff:192.0.2.3", "no address"):
        rates.admit("events_per_s", address=address)
        rates.take(address, events_per_s=50)
    for address in ("192.0.2.1", "2001:db8::2", "2001:db8:0:1::2", "192.0.2.3", "no address"):
        with pytest.raises(Throttled, match=ADDRESS_RATE):
            rates.admit("events_per_s", address=address)
    for number in range(10_001):
        rates.admit("events_per_s", address=f"10.0.{number // 250}.{number % 250}")
    rates.admit("events_per_s", address="192.0.2.1")  # forgotten
    assert len(rates._of_address) == 10_000
