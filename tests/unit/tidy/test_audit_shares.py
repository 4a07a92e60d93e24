"""In which share of an audit a file is."""

from collections import Counter

from datawarehouse.tidy.audit import in_share


def share_of(path, shares):
    [share] = [share for share in range(shares) if in_share(path, share, shares)]
    return share


def test_the_part_of_a_name_that_is_drawn_does_not_count():
    """So the same input reads the same files on the same days, and what a file is merged into stays in its share."""
    place = "clicks/2026/03/01/07/0000000000000042"
    names = [f"{place}-{token}.parquet" for token in ("00000000", "93da6dd1", "93da6dd1-0001", "ffffffff")]
    assert len({share_of(name, 30) for name in names}) == 1


def test_the_shares_are_about_equal():
    paths = [
        f"t/2026/03/{day:02d}/{hour:02d}/{n:016d}-0.parquet"
        for day in range(1, 29)
        for hour in range(24)
        for n in (0, 9)
    ]
    sizes = Counter(share_of(path, 30) for path in paths)
    assert len(sizes) == 30
    assert max(sizes.values()) < 2 * len(paths) / 30
