"""Keys that no column has are left out of the rows, and counted by name: nobody loses a renamed field unseen."""

import json

from prometheus_client.parser import text_string_to_metric_families
from running import running

DECLARATION = """
from datawarehouse import Warehouse

warehouse = Warehouse("dw").with_streaming_input_table(
    "clicks",
    columns={{"id": "string", "n": "int", "to": "struct<zip:string>", "items": "array<struct<sku:string>>"{more}}}
)
"""


def unknown(server):
    [table] = server.status()["tables"]
    return table["unknown_keys"]


def warm(server):
    """Let the converting process start, for which `dw send` would not wait on a busy machine."""
    server.events("clicks", b"{}")
    server.flush()


def in_metrics(server):
    families = text_string_to_metric_families(server.request("GET", "/metrics")[2].decode())
    return {
        sample.labels["key"]: sample.value
        for family in families
        for sample in family.samples
        if sample.name == "dw_unknown_keys_total"
    }


EVENTS = (
    '{"Id":"a","cutomer_id":1,"Foo":{"bar":1}}\n'
    '{"id":"b","cutomer_id":null,"to":{"ZIP":"1","zipp":"2"}}\n'
    '{"id":"c","items":[{"sku":"x","Color":1},{"color":2},{"sku":"y"}]}\n'
    '{"id":"d","n":1.0,"cutomer_id":2,"items":[{"Color":3}]}\n'  # these need the exact rules
    '{"id":"e","n":"x","rejected":1}\n'
    '{"id":"f","to":{"zip":{"a":"b"}}}\n'
    "oops\n"
)
EXPECTED = {"cutomer_id": 3, "Foo": 1, "to.zipp": 1, "items[].Color": 2, "items[].color": 1}


def test_they_are_counted_in_the_status_the_metrics_and_by_dw_send_also_after_a_restart(tmp_path):
    declaration = DECLARATION.format(more="")
    with running(tmp_path, declaration=declaration) as server:
        warm(server)
        told = server.dw("send", "clicks", "-", stdin=EVENTS).stdout
        assert told.endswith(
            "keys that no column has, and that were left out: "
            "cutomer_id 3, items[].Color 2, Foo 1, items[].color 1, to.zipp 1\n"
        )
        assert unknown(server) == in_metrics(server) == EXPECTED
        second = json.loads(server.dw("send", "clicks", "-", "--output", "json", stdin='{"Foo":1}\n{"n":1}').stdout)
        assert second["unknown_keys"] == {"Foo": 1}, "only those of these events"
        assert "keys that no column has" not in server.dw("send", "clicks", "-", stdin='{"n":1}').stdout
        assert "of table clicks had keys that no column has" in server.dw("status").stderr
        assert "cutomer_id 3, Foo 2, items[].Color 2" in server.dw("status").stderr
    with running(tmp_path, declaration=DECLARATION.format(more=', "Foo".lower(): "string"')) as server:
        warm(server)
        left = {name: count for name, count in EXPECTED.items() if name != "Foo"}
        assert unknown(server) == in_metrics(server) == left, "a key that has become a column is no longer one of them"
        server.dw("send", "clicks", "-", stdin='{"cutomer_id":1,"foo":"x"}')
        assert unknown(server) == {**left, "cutomer_id": 4}


def test_there_are_never_many_names_and_no_long_ones(tmp_path):
    with running(tmp_path, declaration=DECLARATION.format(more="")) as server:
        for number in range(5):
            server.events("clicks", "\n".join(json.dumps({f"k{number}-{n}": 1, "n": n}) for n in range(300)).encode())
            server.events("clicks", json.dumps({"x" * 5_000: 1, '"\n{': 2}).encode())
            server.flush()
        counts = unknown(server)
        assert in_metrics(server) == counts
        assert len(counts) <= 101
        assert max(map(len, counts)) <= 100
        assert sum(counts.values()) == 5 * 302
        assert counts[""] > 1_000, "the others"
        assert "others" in server.dw("status").stderr
        server.flush()
        assert server.query("select count(*) as n from clicks") == [{"n": 5 * 301}]
