"""Both hosts of a job make the same of any value, and keep each digit."""

import json
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from both_hosts import COLUMNS, WRITER, same

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.binary(max_size=4),
    st.decimals(allow_nan=False, allow_infinity=False, places=3),
    st.decimals(),
    st.dates(),
    st.datetimes(),
    st.datetimes().map(lambda value: value.replace(microsecond=value.microsecond // 1000 * 1000)),
    st.datetimes(timezones=st.timezones()),
    st.uuids(),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.text(max_size=3) | st.integers() | st.floats() | st.dates(), inner, max_size=3),
        st.fixed_dictionaries({}, optional={"x": inner, "Y": inner, "z": inner}),
    ),
    max_leaves=6,
)


@settings(max_examples=1000, deadline=None)
@given(st.sampled_from(sorted(COLUMNS)), VALUES)
def test_any_value_becomes_the_same_on_both_hosts(column, value):
    same({column: value})


@settings(max_examples=300, deadline=None)
@given(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False), st.datetimes())
def test_numbers_and_instants_keep_every_digit(number, floating, instant):
    instant = instant.replace(microsecond=instant.microsecond // 1000 * 1000)
    row = {"n": number, "d": floating, "t": instant, "s": floating, "dec": Decimal(number % 10**9).scaleb(-3)}
    same(row)
    line = json.loads(WRITER.line(0, row), parse_float=str, parse_int=str)
    assert (int(line["n"]), float(line["d"]), line["dec"]) == (number, floating, f"{row['dec']:f}")
    assert line["t"] == instant.isoformat(" ", "milliseconds")
