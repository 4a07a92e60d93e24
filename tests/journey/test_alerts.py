"""Somebody is told when something is wrong: once for a cause, in order, however long nobody listens, and when it is
over."""

import json
import logging
import os
import signal
import sqlite3
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from receiving import CERTIFICATE, SECRET, receiver, verified
from running import command, running, until

from datawarehouse import Warehouse, open_warehouse
from datawarehouse.alerts import delivery, webhook
from datawarehouse.clock import WallClock
from datawarehouse.durable import LOCAL_DISK
from datawarehouse.errors import BadRequest
from datawarehouse.runtime.embedded import LocalExecutor, OpenWarehouse
from datawarehouse.runtime.opening import Means
from datawarehouse.settings import resolve
from datawarehouse.testing import simulate
from datawarehouse.testing.clock import TestClock
from leftovers import lives

COLUMNS = {"id": "string", "n": "int", "tags": "map<string,int>"}
NOT_A_NUMBER = b'{"id":"a","n":"x"}'
NOT_JSON = b'{"id":'
SIGNED = {"alert_webhook_secret": SECRET}


lucky = []


def needs_luck(job):
    if not lucky:
        raise RuntimeError("no such luck\x1b[31m")
    yield {"n": 1}


def shop():
    return Warehouse("shop").with_streaming_input_table("clicks", COLUMNS).with_streaming_input_table("views", COLUMNS)


@pytest.fixture
def hurried(monkeypatch):
    """Attempts follow each other within a second."""
    monkeypatch.setattr(webhook, "TIME_MAX_S", 0.5)
    monkeypatch.setattr(delivery, "RETRY_FIRST_S", 0.05)
    monkeypatch.setattr(delivery, "RETRY_MAX_S", 0.5)


def put(opened, table, events):
    opened.put(table, events)
    opened.flush()
    return opened.alerting.evaluate()


def causes(documents):
    return [(each["data"]["table"], each["data"]["cause"]) for each in documents]


# -- one alert for one cause


@pytest.fixture
def simulated(tmp_path):
    with simulate(shop(), tmp_path / "data") as warehouse:
        yield warehouse


def test_a_cause_is_one_alert_with_its_next_step_until_it_is_over(simulated):
    simulated.put("clicks", [NOT_A_NUMBER] * 3 + [b'{"n":1}'])
    simulated.advance("1m")
    simulated.put("clicks", [NOT_A_NUMBER] * 2)
    simulated.advance("1h")
    began, resolved = simulated.alerts
    assert (began["type"], resolved["type"]) == ("alert.began", "alert.resolved")
    assert began["timestamp"] == began["data"]["began"] == "2026-01-05T09:00:00.000Z"
    assert began["data"]["cause"] == (
        "3 of 4 records of clicks (75.00%) were rejected in 5 min: column n (DataFormatConversion.MalformedData)."
    )
    facts = ("warehouse", "alert", "table", "next_step", "value", "threshold", "unit", "total")
    assert [began["data"][name] for name in facts] == [
        "shop",
        "rejects",
        "clicks",
        "dw quarantine ls clicks",
        0.75,
        0.01,
        "share",
        3,
    ]
    assert resolved["data"]["id"] == began["data"]["id"]
    assert resolved["data"]["total"] == 5
    # The window of five minutes passes after the last reject, and then five minutes in which the cause does not hold.
    assert resolved["timestamp"] == resolved["data"]["ended"] == "2026-01-05T09:10:59.999Z"
    assert resolved["data"]["duration_s"] == 659.999
    assert simulated.status()["alerts"] == []


def test_a_condition_that_comes_and_goes_is_one_alert(simulated):
    for _ in range(20):
        simulated.put("clicks", NOT_A_NUMBER)
        simulated.advance("6m")
    [began] = simulated.alerts
    [on] = simulated.status()["alerts"]
    assert (on["id"], on["total"]) == (began["data"]["id"], 20)


def test_the_same_cause_later_is_another_alert(simulated):
    simulated.put("clicks", NOT_A_NUMBER)
    simulated.advance("1h")
    simulated.put("clicks", NOT_A_NUMBER)
    simulated.advance("1h")
    assert [each["type"] for each in simulated.alerts] == ["alert.began", "alert.resolved"] * 2
    assert len({each["data"]["id"] for each in simulated.alerts}) == 2


def test_keys_of_maps_do_not_make_causes(simulated):
    simulated.put("clicks", [{"tags": {f"made up {number}": "x"}} for number in range(1000)])
    [(_, cause)] = causes(simulated.alerts)
    assert cause.endswith("column tags[] (DataFormatConversion.MalformedData).")


@pytest.mark.parametrize("rejects", [None, 1])
def test_a_thousand_causes_are_one_alert(tmp_path, rejects):
    """Each is below the default share, and each is above one record."""
    columns = {f"c{number}": "int" for number in range(1000)}
    declared = Warehouse("wide").with_streaming_input_table("t", columns).with_alert(rejects=rejects)
    with simulate(declared, tmp_path / "data") as warehouse:
        warehouse.put("t", [{f"c{number}": "x"} for number in range(1000)] * 20)
        [began] = warehouse.alerts
        assert "20,000 of 20,000 records" in began["data"]["cause"]
        assert "causes together" in began["data"]["cause"]
        warehouse.advance("1h")
        assert [each["data"]["total"] for each in warehouse.alerts] == [20_000, 20_000]


def test_causes_that_are_small_each_are_told_together(tmp_path):
    declared = Warehouse("w").with_streaming_input_table("t", {f"c{number}": "int" for number in range(8)})
    with simulate(declared.with_alert(rejects_share=0.2), tmp_path / "data") as warehouse:
        warehouse.put("t", [{f"c{number}": "x"} for number in range(8)] * 10)
        [(_, cause)] = causes(warehouse.alerts)
        assert cause == "80 of 80 records of t (100.00%) were rejected in 5 min: 8 causes together."


def test_a_share_below_the_threshold_is_no_alert_but_a_number_above_it_is(tmp_path):
    declared = shop().with_alert(rejects_share=0.5, rejects=4)
    with simulate(declared, tmp_path / "data") as warehouse:
        warehouse.put("clicks", [NOT_A_NUMBER] * 4 + [{"n": 1}] * 96)
        assert warehouse.alerts == []
        warehouse.put("clicks", NOT_A_NUMBER)
        [began] = warehouse.alerts
        assert (began["data"]["value"], began["data"]["threshold"], began["data"]["unit"]) == (5, 4, "records")


def test_a_job_is_told_after_its_retries_and_over_when_the_hour_is_written(tmp_path):
    declared = Warehouse("w").with_batch_input_table(
        "sums", {"n": "int"}, needs_luck, "rate(1 hour)", {"hour": "string"}
    )
    with simulate(declared, tmp_path / "data") as warehouse:
        warehouse.advance("1h 2m 59s")
        assert [run.outcome for run in warehouse.runs()] == ["failed", "failed"]
        assert warehouse.alerts == []
        warehouse.advance("1s")
        [began] = warehouse.alerts
        assert began["data"]["alert"] == "failed_runs"
        assert "Job sums failed 3 times for the hour 2026/01/05/09." in began["data"]["cause"]
        assert r"It said: RuntimeError: no such luck\x1b[31m" in began["data"]["cause"]
        assert began["data"]["next_step"].endswith("dw run sums --at 2026-01-05T10:00:00Z")
        warehouse.advance("20m")
        assert len(warehouse.alerts) == 1
        lucky.append(True)
        warehouse.run("sums", at=datetime(2026, 1, 5, 10, tzinfo=UTC))
        warehouse.advance("10m")
        assert [each["type"] for each in warehouse.alerts] == ["alert.began", "alert.resolved"]


def test_the_disk_the_lag_and_a_plain_declaration(tmp_path):
    """A conversion that does not happen, on a disk that is almost full, with a clock that the test controls."""
    clock = TestClock(datetime(2026, 1, 5, 9, tzinfo=UTC))
    free = [2**20]
    means = Means(free_bytes=lambda folder: free[0])
    settings = resolve({"disk_free_bytes_min": 0})
    with OpenWarehouse(shop().with_alert(), tmp_path / "data", settings, clock, means) as opened:
        opened.put("clicks", {"n": 1})
        [full] = opened.alerting.evaluate()
        assert full["data"]["alert"] == "disk_free"
        assert (full["data"]["value"], full["data"]["threshold"], full["data"]["table"]) == (2**20, 2**30, None)
        clock.set_ms(clock.now_ms() + 300_000)
        assert opened.alerting.evaluate() == []
        clock.set_ms(clock.now_ms() + 1)
        free[0] = 2**31
        [late] = opened.alerting.evaluate()
        assert (late["data"]["alert"], late["data"]["table"], late["data"]["value"]) == ("lag", "clicks", 300.001)
        clock.set_ms(clock.now_ms() + 300_000)
        [over] = opened.alerting.evaluate()
        assert (over["type"], over["data"]["id"]) == ("alert.resolved", full["data"]["id"])
        on = [(each["alert"], each["table"]) for each in opened.status()["alerts"]]
        assert on == [("lag", "clicks")]


def test_a_cause_that_holds_for_two_declarations_is_shown_once(tmp_path):
    declared = shop().with_alert(rejects=0).with_alert(command=["true"], rejects_share=0.5, window_minutes=10)
    folder = tmp_path / "data"
    with open_warehouse(declared, folder) as opened:
        assert len(put(opened, "clicks", [NOT_A_NUMBER, NOT_JSON, NOT_A_NUMBER])) == 3  # both causes, one of them twice
        causes_on = [each["cause"] for each in opened.status()["alerts"]]
        assert len(causes_on) == 2 and sum("column n" in cause for cause in causes_on) == 1
    shown = command(tmp_path, "status").stdout  # without an owner, as the last one stored them
    assert shown.count("\nalert rejects since ") == 2


def test_records_that_are_refused_are_told_unless_they_could_never_be_taken(simulated):
    simulated.put("clicks", [{"n": 1}] * 198)
    simulated.flush()
    simulated.intake.refusals.records("clicks", "record_bytes_max", 100, "too large")
    simulated.intake.refusals.records("clicks", "shard_rate_limited", 2, "1,000 records a second")
    assert simulated.alerts == []  # 1 %
    simulated.intake.refusals.records("clicks", "shard_rate_limited", 1, "1,000 records a second")
    [told] = [each["data"] for each in simulated.alerts]
    assert (told["alert"], told["table"], told["value"], told["unit"]) == ("refused", "clicks", 3 / 201, "share")
    assert told["cause"].endswith("were refused in 5 min (shard_rate_limited: 3).")
    simulated.advance("9m")
    assert len(simulated.alerts) == 1
    simulated.advance("2m")
    assert [each["type"] for each in simulated.alerts] == ["alert.began", "alert.resolved"]


def test_a_damaged_file_is_told_and_over_when_it_is_no_longer_live(simulated):
    simulated.put("clicks", {"n": 1})
    simulated.flush()
    [file] = simulated.catalog.fresh_files("clicks")
    simulated.catalog.damage(file.path, "its digest is another one")
    [began] = simulated.alerts
    assert (began["data"]["alert"], began["data"]["table"]) == ("damage", None)
    assert began["data"]["cause"] == f"The file {file.path} of clicks is damaged: its digest is another one."
    simulated.catalog.expire("clicks", file.partition, simulated.clock.now_ms())
    simulated.catalog.mark_merged([file])
    simulated.catalog.expire("clicks", file.partition, simulated.clock.now_ms())
    simulated.advance("10m")
    assert [each["type"] for each in simulated.alerts] == ["alert.began", "alert.resolved"]


# -- the log


def test_the_log_has_the_default_alerts_without_a_declaration(simulated, caplog):
    caplog.set_level(logging.INFO, "datawarehouse.alerts")
    simulated.put("clicks", [NOT_A_NUMBER] * 1000)
    simulated.advance("1h")
    lines = [(record.levelname, record.getMessage()) for record in caplog.records if "alert " in record.getMessage()]
    assert lines == [
        (
            "WARNING",
            "alert rejects: 1,000 of 1,000 records of clicks (100.00%) were rejected in 5 min: column n "
            "(DataFormatConversion.MalformedData). Next: dw quarantine ls clicks",
        ),
        (
            "INFO",
            "alert rejects is over after 600 s, 1,000 records in all. It was: 1,000 of 1,000 records of clicks "
            "(100.00%) were rejected in 5 min: column n (DataFormatConversion.MalformedData).",
        ),
    ]


# -- the webhook


def test_a_million_rejects_of_two_causes_are_two_alerts_with_a_webhook_that_is_down(tmp_path, hurried):
    with receiver(listening=False) as hook:
        clock = TestClock(datetime.now(UTC))
        declared = shop().with_alert(webhook=hook.url)
        settings = resolve(SIGNED | {"stop_time_max_s": 60})
        with OpenWarehouse(declared, tmp_path / "data", settings, clock) as opened:
            opened.start(LocalExecutor)
            batch = [NOT_A_NUMBER, NOT_JSON] * 25_000
            for _ in range(20):
                opened.put("clicks", batch)
            opened.flush()
            opened.alerting.evaluate()
            totals = {each["cause"][-50:]: each["total"] for each in opened.status()["alerts"]}
            assert sorted(totals.values()) == [500_000, 500_000]
            until(lambda: opened.alerting.status()["alert_deliveries"][0]["failed"] > 2, "refused connections")
            clock.set_ms(clock.now_ms() + 300_000)
            opened.alerting.evaluate()
            clock.set_ms(clock.now_ms() + 300_000)
            opened.alerting.evaluate()
            hook.listen()
            until(lambda: len(hook.taken()) == 4, "all messages have arrived")
            until(lambda: opened.alerting.status()["alert_deliveries"][0]["waiting"] == 0, "none is sent again")
            assert opened.alerting.status()["alert_deliveries"][0]["delivered"] == 4
        ended = [(each["type"], each["data"]["table"], each["data"]["total"]) for each in hook.taken()]
        assert [kind for kind, _, _ in ended] == ["alert.began", "alert.began", "alert.resolved", "alert.resolved"]
        assert {total for kind, _, total in ended if kind == "alert.resolved"} == {500_000}
        assert len(hook.requests) == 4
        # Nothing of it grows with the records.
        assert (tmp_path / "data" / "_alerts.json").stat().st_size < 5000


def test_every_message_is_signed_and_keeps_its_id_when_it_is_sent_again(tmp_path, hurried):
    with receiver() as hook:
        hook.answers = [(500, {}), (301, {"location": "/elsewhere"}), ("hang", {}), (404, {})]
        declared = shop().with_alert(webhook=hook.url)
        with open_warehouse(declared, tmp_path / "data", SIGNED) as opened:
            put(opened, "clicks", [NOT_A_NUMBER])
            put(opened, "views", [NOT_A_NUMBER])
            until(lambda: len(hook.taken()) == 2, "both have arrived")
        assert [each["table"] for each in hook.began()] == ["clicks", "views"]
        ids = [request["headers"]["webhook-id"] for request in hook.requests]
        assert len(ids) == 6
        assert len(set(ids[:5])) == 1
        assert ids[5] != ids[0]
        for request in hook.requests:
            assert verified(request["headers"], request["body"])
            assert not verified(request["headers"], request["body"] + b" ")
            assert not verified(request["headers"], request["body"], b"another secret of 32 characters.")
            assert request["path"] == "/hooks/secret-path?key=1"
            assert request["headers"]["content-type"] == "application/json"


def test_two_secrets_sign_each_message_while_one_replaces_the_other(tmp_path):
    other = bytes(24)
    both = f"{SECRET} whsec_{'A' * 32}"
    with receiver() as hook:
        with open_warehouse(shop().with_alert(hook.url), tmp_path / "data", {"alert_webhook_secret": both}) as opened:
            put(opened, "clicks", [NOT_A_NUMBER])
            until(hook.taken, "it has arrived")
        [request] = hook.requests
        assert verified(request["headers"], request["body"])
        assert verified(request["headers"], request["body"], other)


def test_a_wrong_secret_is_refused_without_repeating_it(tmp_path):
    for wrong in ("hunter2hunter2", "whsec_AAAA", f"{SECRET} nonsense!"):
        with pytest.raises(BadRequest, match="alert_webhook_secret is not a secret of Standard Webhooks") as refused:
            open_warehouse(shop(), tmp_path / "data", {"alert_webhook_secret": wrong})
        assert wrong not in str(refused.value)
    open_warehouse(shop(), tmp_path / "data", SIGNED).close()


def test_without_a_secret_messages_are_not_signed_and_the_log_says_so(tmp_path, caplog):
    with receiver() as hook:
        with open_warehouse(shop().with_alert(hook.url), tmp_path / "data") as opened:
            put(opened, "clicks", [NOT_A_NUMBER])
            until(hook.taken, "it has arrived")
        assert "webhook-signature" not in hook.requests[0]["headers"]
    assert "alerts are sent without a signature" in caplog.text
    assert "secret-path" not in caplog.text


def test_an_answer_that_never_ends_is_none(tmp_path, hurried):
    with receiver() as hook:
        hook.answers = [("drip", {})]
        with open_warehouse(shop().with_alert(hook.url), tmp_path / "data") as opened:
            put(opened, "clicks", [NOT_A_NUMBER])
            until(hook.taken, "it has been sent again")


def test_a_message_that_nobody_took_for_three_days_is_given_up_and_the_next_one_comes(tmp_path, hurried, caplog):
    clock = TestClock(datetime.now(UTC))
    with receiver(listening=False) as hook:
        declared = shop().with_alert(hook.url)
        with OpenWarehouse(declared, tmp_path / "data", resolve({}), clock) as opened:
            opened.start(LocalExecutor)
            put(opened, "clicks", [NOT_A_NUMBER])
            until(lambda: opened.alerting.status()["alert_deliveries"][0]["failed"], "it was tried")
            clock.set_ms(clock.now_ms() + 3 * 86_400_000 + 1)
            until(lambda: "has not taken" in caplog.text, "it is given up")
            put(opened, "views", [NOT_A_NUMBER])
            hook.listen()
            until(lambda: [each["table"] for each in hook.began()] == ["views"], "the next one has come")


def test_a_certificate_is_checked(tmp_path, hurried, monkeypatch, caplog):
    with receiver(certified=True) as hook:
        with open_warehouse(shop().with_alert(hook.url), tmp_path / "data", SIGNED) as opened:
            put(opened, "clicks", [NOT_A_NUMBER])
            until(lambda: "CERTIFICATE_VERIFY_FAILED" in caplog.text, "it is refused")
        assert hook.requests == []
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))  # now it is one that this machine trusts
        with open_warehouse(shop().with_alert(hook.url), tmp_path / "data", SIGNED):
            until(hook.taken, "it has arrived")
        assert verified(hook.requests[0]["headers"], hook.requests[0]["body"])


@pytest.mark.parametrize("in_words", ["seconds", "date"])
def test_retry_after_is_kept(tmp_path, hurried, in_words):
    """A pause of at least a second and a half, where an attempt would else follow after 50 ms."""
    with receiver() as hook, open_warehouse(shop().with_alert(hook.url), tmp_path / "data") as opened:
        start = time.monotonic()
        at = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 3))
        hook.answers = [(429, {"retry-after": "2" if in_words == "seconds" else at})]
        put(opened, "clicks", [NOT_A_NUMBER])
        until(hook.taken, "it has arrived")
        assert time.monotonic() - start > 1.5


def test_what_could_not_be_sent_is_sent_by_the_next_owner_in_order_and_once(tmp_path, hurried):
    with receiver(listening=False) as hook:
        declared = shop().with_alert(webhook=hook.url)
        with open_warehouse(declared, tmp_path / "data", SIGNED) as opened:
            put(opened, "clicks", [NOT_A_NUMBER])
        with open_warehouse(declared, tmp_path / "data", SIGNED) as opened:
            put(opened, "clicks", [NOT_A_NUMBER])  # it is on already
            put(opened, "views", [NOT_A_NUMBER])
        assert hook.requests == []
        hook.listen()
        with open_warehouse(declared, tmp_path / "data", SIGNED):
            until(lambda: len(hook.taken()) == 2, "both have arrived")
        with open_warehouse(declared, tmp_path / "data", SIGNED):
            pass
        assert [each["table"] for each in hook.began()] == ["clicks", "views"]
        assert len(hook.requests) == 2


def test_an_owner_that_is_killed_while_it_sends_sends_the_same_message_again(tmp_path):
    """The receiver has seen it and cannot have told so: it comes once more, with the same id."""
    declared = f"""
from datawarehouse import Warehouse
warehouse = Warehouse("shop").with_streaming_input_table("clicks", {COLUMNS!r})
import os
warehouse.with_alert(webhook=os.environ["HOOK"])
"""
    with receiver() as hook:
        hook.answers = [("hang", {})]
        environment = {"HOOK": hook.url, "DW_ALERT_WEBHOOK_SECRET": SECRET}
        with running(tmp_path, declaration=declared, environment=environment) as up:
            up.events("clicks", NOT_A_NUMBER)
            until(lambda: hook.requests, "the first attempt has come")
            up.stop(signal.SIGKILL)
        with running(tmp_path, declaration=declared, environment=environment) as up:
            until(hook.taken, "it has come again")
            shown = json.loads(up.dw("status", "--output", "json").stdout)
            [on] = shown["alerts"]
            assert (on["alert"], on["table"], on["next_step"]) == ("rejects", "clicks", "dw quarantine ls clicks")
            assert {"name": "alert_webhook_secret", "value": "********", "unit": "secret", "source": "environment"} in (
                shown["settings"]
            )
            assert "next: dw quarantine ls clicks" in up.dw("status").stdout
            page = up.request("GET", "/metrics")[2].decode()
            port = hook.url.split(":")[2].split("/")[0]
            for line in (
                'dw_alert_active{alert="rejects",table="clicks"} 1.0',
                'dw_alert_active{alert="lag",table="clicks"} 0.0',
                'dw_alert_active{alert="disk_free",table=""} 0.0',
                f'dw_alert_deliveries_total{{to="webhook http://127.0.0.1:{port}"}} 1.0',
                f'dw_alert_delivery_failures_total{{to="webhook http://127.0.0.1:{port}"}} 0.0',
            ):
                assert line in page.splitlines()
        first, again = hook.requests
        assert first["headers"]["webhook-id"] == again["headers"]["webhook-id"]
        assert first["body"] == again["body"]
        stopped = json.loads(command(tmp_path, "status", "--output", "json").stdout)
        assert [each["id"] for each in stopped["alerts"]] == [on["id"]]


def test_closing_ends_while_the_webhook_hangs(tmp_path, caplog):
    with receiver() as hook:
        hook.answers = [("hang", {})] * 5
        declared = shop()
        for number in range(5):  # they are waited for at the same time
            declared.with_alert(f"{hook.url}&number={number}")
        opened = open_warehouse(declared, tmp_path / "data")
        put(opened, "clicks", [NOT_A_NUMBER])
        until(lambda: len(hook.requests) == 5, "the first attempts have come")
        closing = threading.Thread(target=opened.close)
        closing.start()
        closing.join(8)  # an attempt may take ten seconds
        assert not closing.is_alive()
        assert [each for each in threading.enumerate() if each.name.startswith("alerts")] == []
        said = [each.getMessage() for each in caplog.records if "did not take an alert" in each.getMessage()]
        assert len(said) == 5
        assert all("no whole answer" in each and "when the warehouse is opened" in each for each in said)
        assert "trying again in" not in caplog.text
        hook.released.set()
        with open_warehouse(declared, tmp_path / "data"):
            until(lambda: len(hook.taken()) == 5, "the next owner sends them")


def test_what_is_found_while_closing_is_sent_before_the_end(tmp_path):
    """A script that puts and closes within a second tells its alerts as well."""
    with receiver() as hook:
        with open_warehouse(shop().with_alert(hook.url), tmp_path / "data") as opened:
            opened.put("clicks", [NOT_A_NUMBER])
        assert [each["table"] for each in hook.began()] == ["clicks"]


def test_a_receiver_that_is_slow_does_not_delay_another(tmp_path):
    with receiver() as slow, receiver() as fast:
        slow.answers = [("hang", {})]
        declared = shop().with_alert(slow.url).with_alert(fast.url)
        with open_warehouse(declared, tmp_path / "data") as opened:
            assert len(put(opened, "clicks", [NOT_A_NUMBER])) == 1  # equal conditions are looked at once
            until(lambda: slow.requests and fast.taken(), "the fast one has it")
            slow.released.set()


def test_an_alert_whose_conditions_are_no_longer_declared_is_over(tmp_path):
    with receiver() as hook:
        with open_warehouse(shop().with_alert(hook.url), tmp_path / "data") as opened:
            put(opened, "clicks", [NOT_A_NUMBER])
            until(hook.taken, "it has arrived")
        with open_warehouse(shop().with_alert(hook.url, rejects_share=None), tmp_path / "data") as opened:
            until(lambda: len(hook.taken()) == 2, "its end has arrived")
            assert opened.status()["alerts"] == []
        began, resolved = hook.taken()
        assert (resolved["type"], resolved["data"]["id"]) == ("alert.resolved", began["data"]["id"])


# -- the command


def test_a_command_gets_the_document_on_its_standard_input(tmp_path, hurried):
    """It fails twice, and what it printed is in the log; then it has the document."""
    code = (
        "import sys, pathlib; seen = pathlib.Path('seen'); seen.write_text(seen.read_text() + 'x' if seen.exists() "
        "else 'x'); text = sys.stdin.read(); print('the pager is down'); "
        "sys.exit(3) if len(seen.read_text()) < 3 else pathlib.Path('got').write_text(text + sys.argv[1])"
    ).replace("'seen'", repr(str(tmp_path / "seen"))).replace("'got'", repr(str(tmp_path / "got")))  # fmt: skip
    declared = shop().with_alert(command=[sys.executable, "-c", code, "; $(not a shell)"])
    with open_warehouse(declared, tmp_path / "data") as opened:
        put(opened, "clicks", [NOT_A_NUMBER])
        until(lambda: opened.alerting.status()["alert_deliveries"][0]["delivered"], "the command has taken it")
        [counts] = opened.alerting.status()["alert_deliveries"]
        assert (counts["delivered"], counts["failed"], counts["waiting"]) == (1, 2, 0)
    text = (tmp_path / "got").read_text()
    assert text.endswith("}; $(not a shell)")
    assert json.loads(text.removesuffix("; $(not a shell)"))["data"]["table"] == "clicks"


def test_a_command_that_fails_is_in_the_log_with_what_it_printed(tmp_path, caplog):
    declared = shop().with_alert(command=[sys.executable, "-c", "print('the pager is down'); raise SystemExit(3)"])
    with open_warehouse(declared, tmp_path / "data") as opened:
        put(opened, "clicks", [NOT_A_NUMBER])
        until(lambda: "did not take an alert" in caplog.text, "it is in the log")
    assert "it ended with 3; it printed: the pager is down" in caplog.text


def test_a_command_that_cannot_be_started_is_in_the_log(tmp_path, caplog):
    with open_warehouse(shop().with_alert(command=["/no/such/pager"]), tmp_path / "data") as opened:
        put(opened, "clicks", [NOT_A_NUMBER])
        until(lambda: "could not be started" in caplog.text, "it is in the log")


def test_a_command_that_hangs_is_ended_with_all_that_it_started(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("datawarehouse.alerts.command.TIME_MAX_S", 0.5)
    pid = tmp_path / "pid"
    code = f"sleep 60 & echo $! > {pid}; while :; do echo still here; done"
    with open_warehouse(shop().with_alert(command=["sh", "-c", code]), tmp_path / "data") as opened:
        put(opened, "clicks", [NOT_A_NUMBER])
        until(lambda: "it took longer than" in caplog.text, "it was ended")
        assert len(caplog.text) < 20_000

    def is_gone():
        try:
            os.kill(int(pid.read_text()), 0)
        except ProcessLookupError:
            return True
        return not lives(Path("/proc") / pid.read_text().strip())

    until(is_gone, "what it started has ended")


def test_closing_ends_while_a_command_hangs(tmp_path):
    started = tmp_path / "started"
    opened = open_warehouse(shop().with_alert(command=["sh", "-c", f"touch {started}; sleep 60"]), tmp_path / "data")
    put(opened, "clicks", [NOT_A_NUMBER])
    until(started.exists, "the command runs")
    closing = threading.Thread(target=opened.close)
    closing.start()
    closing.join(10)
    assert not closing.is_alive()


# -- when something breaks


def test_a_file_that_is_not_ours_or_broken_stops_nothing(tmp_path, caplog):
    for content in (b"", b"{", b"[1]", b'{"watches": {"x": 1}}', b"\xff" * 100):
        (tmp_path / "data").mkdir(exist_ok=True)
        open_warehouse(shop(), tmp_path / "data").close()
        (tmp_path / "data" / "_alerts.json").write_bytes(content)
        with open_warehouse(shop(), tmp_path / "data") as opened:
            put(opened, "clicks", [NOT_A_NUMBER])
            assert len(opened.status()["alerts"]) == 1
    assert "alerts that were on begin anew" in caplog.text


def test_a_disk_that_refuses_the_file_keeps_no_alert_from_its_receiver(tmp_path, monkeypatch, caplog):
    rename = LOCAL_DISK.rename

    def refused(source, target):
        if target.name == "_alerts.json":
            raise OSError(28, "No space left on device")
        rename(source, target)

    monkeypatch.setattr(LOCAL_DISK, "rename", refused)
    with receiver() as hook, open_warehouse(shop().with_alert(hook.url), tmp_path / "data") as opened:
        put(opened, "clicks", [NOT_A_NUMBER])
        put(opened, "views", [NOT_A_NUMBER])
        until(lambda: len(hook.taken()) == 2, "both have arrived")
    assert caplog.text.count("could not be written") == 1


def test_a_fact_that_cannot_be_found_out_keeps_no_alert_from_its_receiver(tmp_path, monkeypatch, caplog):
    def fails(*arguments):
        raise sqlite3.OperationalError("disk I/O error")

    means = Means(free_bytes=fails)
    settings = resolve({"disk_free_bytes_min": 0})
    declared = shop().with_alert
    with receiver() as hook:
        with OpenWarehouse(declared(hook.url), tmp_path / "data", settings, WallClock(), means) as opened:
            monkeypatch.setattr(opened.intake.disk, "is_below_minimum", lambda: False)
            monkeypatch.setattr(opened.catalog.runs, "failing", fails)
            opened.start(LocalExecutor)
            put(opened, "clicks", [NOT_A_NUMBER])
            put(opened, "views", [NOT_A_NUMBER])
            until(lambda: len(hook.taken()) == 2, "both have arrived")
            assert caplog.text.count("which jobs fail could not be found out") == 1
            assert caplog.text.count("how much disk is free could not be found out") == 1
        assert opened.alerting.status()["alert_deliveries"][0]["delivered"] == 2
