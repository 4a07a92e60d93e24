import pytest

from datawarehouse.definition.partition import folder_of, partition_of, start_ms
from datawarehouse.errors import BadRequest


@pytest.mark.parametrize(
    ("instant_ms", "value"),
    [
        (0, "1970/01/01/00"),
        (3_599_999, "1970/01/01/00"),
        (3_600_000, "1970/01/01/01"),
        (1_795_417_200_000, "2026/11/23/07"),
        (1_709_164_800_000, "2024/02/29/00"),
        (-1, "1969/12/31/23"),
    ],
)
def test_an_instant_lies_in_its_hour(instant_ms, value):
    assert partition_of(instant_ms) == value
    assert 0 <= instant_ms - start_ms(value) < 3_600_000


@pytest.mark.parametrize(
    "value", ["", "2026/11/23", "2026/11/23/24", "2026/02/30/00", "2026-11-23-07", "2026/1/1/1", "x"]
)
def test_what_is_no_hour(value):
    with pytest.raises(BadRequest, match="valid is the UTC hour as YYYY/MM/DD/HH"):
        start_ms(value)


def test_folders_are_the_same_on_both_hosts():
    assert folder_of("clicks", "2026/11/23/07") == "clicks/2026/11/23/07"
