"""What a user is told of an error that only the engine finds."""

import pytest

from datawarehouse import Warehouse
from datawarehouse.errors import QueryFailed
from datawarehouse.testing import simulate


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    declared = Warehouse("shop").with_streaming_input_table("patterns", {"p": "string"})
    with simulate(declared, tmp_path_factory.mktemp("shop")) as opened:
        opened.put("patterns", [{"p": pattern} for pattern in ("(", "[a", "a**", "(?<year>a)", "\\y")])
        yield opened


@pytest.mark.parametrize(
    ("like", "says"),
    [
        ("(", "INVALID_FUNCTION_ARGUMENT: The pattern cannot be read at '('"),
        ("[%", "INVALID_FUNCTION_ARGUMENT: The pattern cannot be read at '[a'"),
        ("a%", "INVALID_FUNCTION_ARGUMENT: The pattern cannot be read at '**'"),
        ("(?%", "NOT_SUPPORTED: A pattern that is a value of the row cannot have (?<"),
        ("\\%", "INVALID_FUNCTION_ARGUMENT: The pattern cannot be read at '\\y'"),
    ],
)
def test_a_pattern_in_a_row_that_is_none(shop, like, says):
    with pytest.raises(QueryFailed) as raised:
        shop.query(f"select regexp_like('a', p) from patterns where p like '{like}'")
    assert str(raised.value).startswith(says)
