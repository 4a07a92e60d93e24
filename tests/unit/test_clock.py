"""The guarded clock, driven by two clocks that the test sets."""

import logging
from datetime import timedelta

import pytest

from datawarehouse.clock import GuardedClock, SteadyClock, machine_clock
from datawarehouse.testing.clock import START, TestClock

SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


class Driven:
    """A guarded clock with a limit of 60 s, and how the test moves what it looks at."""

    def __init__(self):
        self.wall, self.steady = TestClock(START), TestClock(START - timedelta(days=20_000))
        self.clock = GuardedClock(self.wall, self.steady, 60_000)

    def jump(self, by):
        """Somebody sets the wall clock."""
        self.wall.set_ms(self.wall.now_ms() + round(by / SECOND * 1000))

    def wait(self, duration):
        """Time passes; the machine may sleep meanwhile. The clock is read once an hour and at the end."""
        while duration:
            step = min(duration, HOUR)
            for clock in (self.wall, self.steady):
                clock.set_ms(clock.now_ms() + round(step / SECOND * 1000))
            self.clock.now_ms()
            duration -= step

    @property
    def passed(self):
        """How much later than START it is by the guarded clock."""
        return timedelta(milliseconds=self.clock.now_ms()) - timedelta(seconds=START.timestamp())


@pytest.fixture
def driven(caplog):
    caplog.set_level(logging.INFO, "datawarehouse")
    return Driven()


def test_the_wall_clock_counts_while_the_two_agree(driven, caplog):
    driven.wait(10 * SECOND)
    driven.jump(timedelta(seconds=59))
    assert driven.passed == timedelta(seconds=69)
    driven.jump(timedelta(seconds=-100))
    assert driven.passed == timedelta(seconds=-31), "a caller that needs order keeps its own maximum"
    assert not driven.clock.is_guarding
    assert not caplog.messages


@pytest.mark.parametrize("by", [timedelta(seconds=61), timedelta(hours=2), timedelta(days=40), timedelta(days=10**6)])
def test_a_wall_clock_that_jumps_ahead_does_not_count(driven, caplog, by):
    driven.wait(10 * SECOND)
    driven.jump(by)
    driven.wait(20 * SECOND)
    assert driven.passed == 30 * SECOND
    assert (driven.clock.is_guarding, driven.clock.ahead_ms) == (True, by / SECOND * 1000)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "2026-01-05T09:00:30Z for the warehouse" in caplog.text


def test_a_wall_clock_that_comes_back_counts_again(driven, caplog):
    driven.jump(timedelta(days=40))
    driven.wait(3 * HOUR)
    driven.jump(timedelta(days=-40))
    driven.wait(10 * SECOND)
    assert driven.passed == 3 * HOUR + 10 * SECOND
    assert not driven.clock.is_guarding
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 3 + ["INFO"], "said once an hour"


def test_a_wall_clock_that_jumps_back_counts_and_is_said(driven, caplog):
    driven.wait(10 * SECOND)
    driven.jump(timedelta(hours=-2))
    assert driven.passed == timedelta(hours=-2, seconds=10)
    assert driven.clock.ahead_ms == -7_200_000
    driven.jump(timedelta(hours=2))
    assert driven.passed == 10 * SECOND, "it was right before: coming back is no jump ahead"
    assert not driven.clock.is_guarding
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_a_wall_clock_that_stays_behind_is_believed_after_an_hour(driven):
    driven.jump(timedelta(days=-40))
    driven.wait(2 * HOUR)
    assert driven.clock.ahead_ms == 0
    driven.jump(timedelta(days=40))
    assert driven.clock.is_guarding, "the same jump ahead once more"


def test_sleep_is_time_that_has_passed(driven, caplog):
    for clock in (driven.wall, driven.steady):
        clock.set_ms(clock.now_ms() + 5 * 24 * 3_600_000)
    assert driven.passed == timedelta(days=5)
    assert not caplog.messages


def test_small_differences_do_not_add_up(driven, caplog):
    for _ in range(100):
        driven.jump(timedelta(seconds=30))
        driven.wait(HOUR)
    assert driven.passed == 100 * HOUR + timedelta(seconds=3000)
    assert not caplog.messages


def test_many_small_jumps_within_an_hour_are_one_large_one(driven):
    for _ in range(100):
        driven.jump(timedelta(seconds=30))
        driven.wait(SECOND)
    assert driven.passed <= timedelta(seconds=100)
    assert driven.clock.is_guarding


def test_an_operator_can_confirm_a_wall_clock_that_jumped(driven):
    driven.jump(timedelta(days=40))
    driven.wait(10 * SECOND)
    assert driven.clock.accept() == 40 * 24 * 3_600_000
    assert driven.passed == timedelta(days=40, seconds=10)
    assert not driven.clock.is_guarding


def test_the_clocks_of_this_machine_agree():
    clock = machine_clock(60)
    assert abs(clock.ahead_ms) < 5000
    assert 0 <= SteadyClock().now_ms() - SteadyClock().now_ms() + 1 <= 1
