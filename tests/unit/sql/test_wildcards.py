"""Patterns match as LIKE does, and none takes long."""

import re
from random import Random

import pytest

from datawarehouse.sql.wildcards import hive, like, matches


@pytest.mark.seeds(fixed=400, random=100)
def test_a_pattern_matches_what_its_regular_expression_matches(seed):
    chance = Random(seed)
    text = "".join(chance.choices("ab", k=chance.randrange(8)))
    pattern = "".join(chance.choices("ab%_!", k=chance.randrange(8)))
    parts = tuple(like(pattern, "!"))
    signs = {(True, "%"): ".*", (True, "_"): "."}
    expected = re.fullmatch("".join(signs.get(part) or re.escape(part[1]) for part in parts), text)
    assert matches(text, parts) == bool(expected)


def test_an_escape_makes_a_wildcard_an_ordinary_character():
    assert matches("a%b", tuple(like("a!%b", "!")))
    assert not matches("axb", tuple(like("a!%b", "!")))
    assert matches("a!xb", tuple(like("a!%b")))


def test_a_pattern_of_hive_has_only_the_asterisk():
    assert matches("events", tuple(hive("ev*s")))
    assert not matches("axb", tuple(hive("a_b")))
    assert not matches("axb", tuple(hive("a%b")))


@pytest.mark.timeout(20)
@pytest.mark.parametrize("pattern", ["%" * 5_000 + "b", "%a" * 5_000 + "b", "a%" * 40 + "b", "_%" * 5_000])
def test_no_pattern_explodes(pattern):
    assert not matches("a" * 200, tuple(like(pattern)))
