"""Which files of older runs go."""

from datetime import UTC, datetime, timedelta

from datawarehouse.functions.publish import stale

HOME = "t/2026/11/23/06/"
NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


def at(minutes_ago):
    return NOW - timedelta(minutes=minutes_ago)


def test_a_run_goes_an_hour_after_the_one_that_followed_it():
    objects = [
        (f"{HOME}1/a", at(300)),
        (f"{HOME}1/b", at(300)),
        (f"{HOME}2/a", at(61)),
        (f"{HOME}3/a", at(30)),
        (f"{HOME}4/a", at(0)),
    ]
    assert stale(objects, HOME, {f"{HOME}4/"}, at(60)) == [f"{HOME}1/a", f"{HOME}1/b"]


def test_a_run_that_ends_while_it_follows_has_followed_when_its_first_file_was_written():
    objects = [(f"{HOME}1/a", at(300)), (f"{HOME}2/a", at(59)), (f"{HOME}2/b", at(61))]
    assert stale(objects, HOME, (), at(60)) == [f"{HOME}1/a"]


def test_what_a_partition_points_to_and_the_newest_run_stay():
    objects = [(f"{HOME}{run}/a", at(300)) for run in (1, 2, 3, 4)]
    assert stale(objects, HOME, {f"{HOME}2/"}, at(60)) == [f"{HOME}1/a", f"{HOME}3/a"]


def test_a_file_that_is_no_runs_stays():
    objects = [(f"{HOME}rows.json", at(300)), (f"{HOME}1/a", at(300)), (f"{HOME}2/a", at(300))]
    assert stale(objects, HOME, (), at(60)) == [f"{HOME}1/a"]
