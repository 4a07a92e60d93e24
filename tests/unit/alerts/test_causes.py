"""Which causes hold, from facts alone, and how they are followed in time."""

from itertools import pairwise

import pytest

from datawarehouse.alerts.causes import MANY, REJECT_CAUSES_MAX, Facts, FailingJob, Key, conditions
from datawarehouse.alerts.counts import CAUSES_MAX, OTHER, Counted, Inflow, Window
from datawarehouse.alerts.watch import Stored, Watch
from datawarehouse.cli.main import VERBS
from datawarehouse.definition.alerts import Conditions
from datawarehouse.definition.rejects import DAMAGED, MALFORMED_DATA, Reason, counted_causes

MINUTE_MS = 60_000
NONE = Conditions(None, None, None, None, None, None, None, False, None, None)
AT = 1_767_606_300_000  # 2026-01-05T09:45:00Z

EVERYTHING = Facts(
    counted={
        "clicks": Counted(100, {f"{MALFORMED_DATA} n": 2, DAMAGED: 1}, {"queue_bytes_max": 20, "journal_bytes_max": 5})
    },
    failing=[FailingJob("sums", 3, AT, 2, "Traceback:\nValueError: no\n")],
    lag_s={"clicks": 301.0},
    disk_free_bytes=2**30 - 1,
    damage=["File a of clicks is damaged.", "File b of clicks is damaged."],
    backup_age_s=36 * 3600 + 1,
    clock_ahead_ms=60_001,
)
HEALTHY = Facts(
    counted={"clicks": Counted(99, {}, {"queue_bytes_max": 1}), "views": Counted(100, {f"{MALFORMED_DATA} n": 1})},
    failing=[FailingJob("sums", 2, AT, 1, "")],
    lag_s={"clicks": 300.0},
    disk_free_bytes=2**30,
    backup_age_s=36 * 3600,
    clock_ahead_ms=60_000,
)


def test_each_condition_has_a_cause_in_words_and_a_next_step_that_exists():
    found = conditions(EVERYTHING, Conditions())
    assert [(*cause.key[:2], cause.value, cause.threshold, cause.unit) for cause in found] == [
        ("rejects", "clicks", 0.02, 0.01, "share"),
        ("damage", "clicks", 1, 0, "records"),
        ("refused", "clicks", 0.2, 0.01, "share"),
        ("failed_runs", "sums", 3, 3, "runs"),
        ("lag", "clicks", 301.0, 300, "s"),
        ("disk_free", "", 2**30 - 1, 2**30, "bytes"),
        ("damage", "", 2, 0, "damages"),
        ("backup_age", "", 36.0, 36, "hours"),
        ("clock_ahead", "", 60.001, 60, "s"),
    ]
    for cause in found:
        words = cause.next_step.replace(",", "").split()
        assert all(after in VERBS for word, after in pairwise(words) if word == "dw")
    assert found[2].text == (
        "25 of 125 records that were sent to clicks (20.00%) were refused in 5 min (journal_bytes_max: 5, "
        "queue_bytes_max: 20)."
    )
    assert found[3].text == (
        "Job sums failed 3 times for the hour 2026/01/05/08. 1 other hours are not written either. "
        "It said: ValueError: no."
    )


def test_at_the_threshold_nothing_holds():
    assert conditions(HEALTHY, Conditions()) == []


@pytest.mark.parametrize("facts", [EVERYTHING, Facts()])
def test_what_is_left_out_or_not_known_is_no_cause(facts):
    assert conditions(facts, NONE if facts is EVERYTHING else Conditions()) == []


def test_causes_that_are_on_stay_themselves_when_many_come():
    rejects = {f"{MALFORMED_DATA} c{number}": 10 for number in range(REJECT_CAUSES_MAX + 1)}
    facts = Facts(counted={"t": Counted(200, rejects)})
    assert [cause.key.what for cause in conditions(facts, Conditions())] == [MANY]
    on = {Key("rejects", "t", f"{MALFORMED_DATA} c3")}
    found = [cause.key.what for cause in conditions(facts, Conditions(), on)]
    assert found == [f"{MALFORMED_DATA} c3", MANY]
    del rejects[f"{MALFORMED_DATA} c0"]
    assert len(conditions(facts, Conditions())) == REJECT_CAUSES_MAX


def test_counts_do_not_grow_with_causes():
    inflow, window = Inflow(), Window(MINUTE_MS, [])
    for number in range(100_000):
        inflow.add("t", 2, {f"{MALFORMED_DATA} c{number}": 1})
    taken = inflow.take()
    assert (len(taken["t"].rejects), taken["t"].received) == (CAUSES_MAX + 1, 200_000)
    assert taken["t"].rejects[OTHER] == 100_000 - CAUSES_MAX
    assert inflow.take() == {}
    for second in range(1000):
        window.add(second * 1000, taken)
    assert len(window.steps) <= 31
    assert sum(window.sums()["t"].rejects.values()) == 60 * 100_000


def test_keys_of_maps_are_no_part_of_a_cause():
    columns = ("m['a'].b", "m['b]'].b", "m['c'].c", "device.width")
    reasons = [Reason(MALFORMED_DATA, "", "", column) for column in columns]
    assert counted_causes([*reasons, Reason(DAMAGED, "", "")]) == {
        f"{MALFORMED_DATA} m[]": 3,
        f"{MALFORMED_DATA} device.width": 1,
        DAMAGED: 1,
    }


def test_a_clock_that_is_set_back_neither_ends_nor_keeps_an_alert():
    watch = Watch(Conditions(), "w", Stored())
    late = Facts(lag_s={"clicks": 400.0})
    [began] = watch.step(AT, {}, late)
    back = AT - 3_600_000
    assert watch.step(back, {}, Facts()) == []
    assert watch.step(back + 299_999, {}, Facts()) == []
    [over] = watch.step(back + 300_000, {}, Facts())
    assert (over.kind, over.on.id) == ("alert.resolved", began.on.id)
    assert over.on.began_ms <= over.at_ms
    counts = {"t": Counted(1, {MALFORMED_DATA: 1})}
    watch = Watch(Conditions(), "w", Stored())
    watch.step(AT, counts, Facts())
    notices = [notice for minute in range(11) for notice in watch.step(back + minute * MINUTE_MS, {}, Facts())]
    assert [notice.kind for notice in notices] == ["alert.resolved"]


def test_what_is_stored_goes_on_where_it_was():
    counts = {"t": Counted(1, {MALFORMED_DATA: 1})}
    watch = Watch(Conditions(), "w", Stored())
    [began] = watch.step(AT, counts, Facts())
    again = Watch(Conditions(), "w", watch.stored([]))
    assert again.step(AT + MINUTE_MS, counts, Facts()) == []
    assert [(on.id, on.total) for on in again.on] == [(began.on.id, 2)]
