"""Which hour is the oldest that stays: an hour goes `retention_days` after its end, to the millisecond."""

from datetime import UTC, datetime

import pytest

from datawarehouse.definition.partition import HOUR_MS, start_ms
from datawarehouse.tidy.expiry import DAY_MS, first_kept


@pytest.mark.parametrize(
    ("now", "days", "kept"),
    [
        ("2026-03-02T08:00:00.000", 1, "2026/03/01/08"),  # the hour from 7 to 8 ended a day ago
        ("2026-03-02T07:59:59.999", 1, "2026/03/01/07"),
        ("2026-03-02T08:59:59.999", 1, "2026/03/01/08"),
        ("2026-03-01T00:00:00.000", 1, "2026/02/28/00"),
        ("2024-03-01T00:00:00.000", 1, "2024/02/29/00"),
        ("2026-01-01T00:30:00.000", 365, "2025/01/01/00"),
        ("2026-03-02T08:00:00.000", 36_500, "1926/03/27/08"),
    ],
)
def test_the_oldest_hour_that_stays(now, days, kept):
    now_ms = round(datetime.fromisoformat(now).replace(tzinfo=UTC).timestamp() * 1000)
    assert first_kept(now_ms, days) == kept


@pytest.mark.parametrize("partition", ["2026/03/01/07", "2026/12/31/23", "2024/02/29/00"])
@pytest.mark.parametrize("days", [1, 30, 400])
def test_an_hour_goes_in_the_millisecond_in_which_its_days_are_over(partition, days):
    end = start_ms(partition) + HOUR_MS
    assert not partition < first_kept(end + days * DAY_MS - 1, days)
    assert partition < first_kept(end + days * DAY_MS, days)
