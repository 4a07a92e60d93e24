"""The pauses between attempts to deliver an alert."""

import random

import pytest

from datawarehouse.alerts.delivery import pause_after


@pytest.mark.parametrize(
    ("failures", "asked_s", "least", "most"),
    [
        (0, 0, 0.5, 1),
        (3, 0, 4, 8),
        (8, 0, 128, 256),
        (9, 0, 150, 300),
        (5_000, 0, 150, 300),
        (0, 60, 60, 90),
        (9, 1, 150, 300),
    ],
)
def test_pauses_grow_up_to_a_bound_and_no_two_warehouses_try_again_together(failures, asked_s, least, most):
    pauses = [pause_after(failures, asked_s, random.Random(seed)) for seed in range(200)]
    assert least <= min(pauses) <= max(pauses) <= most
    assert len(set(pauses)) == 200
    assert max(pauses) - min(pauses) > (most - least) * 0.8
