"""The grammar of column types (Athena user guide, "Data types in Amazon Athena")."""

import pytest

from datawarehouse.definition.types import NESTING_LEVELS_MAX, TYPE_CHARACTERS_MAX, parse_type
from datawarehouse.errors import DeclarationError


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        *(
            (name, name)
            for name in "boolean tinyint smallint int bigint float double string binary date timestamp".split()
        ),
        ("decimal", "decimal(10,0)"),
        ("decimal(5)", "decimal(5,0)"),
        ("decimal(38,38)", "decimal(38,38)"),
        ("decimal( 9 , 2 )", "decimal(9,2)"),
        ("char(255)", "char(255)"),
        ("varchar(65535)", "varchar(65535)"),
        ("array<int>", "array<int>"),
        (" array < array < decimal(3,1) > > ", "array<array<decimal(3,1)>>"),
        ("map<string,array<double>>", "map<string,array<double>>"),
        ("map<decimal(3,1),varchar(2)>", "map<decimal(3,1),varchar(2)>"),
        ("struct<a:int>", "struct<a:int>"),
        ("struct<a:int, b_2:struct<_c:map<string,date>>>", "struct<a:int,b_2:struct<_c:map<string,date>>>"),
        ("struct<int:int,array:array<string>>", "struct<int:int,array:array<string>>"),
    ],
)
def test_types_are_read_and_written(text, canonical):
    assert str(parse_type(text)) == canonical
    assert parse_type(canonical) == parse_type(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "found the end"),
        ("integer", "Glue calls it 'int'"),
        ("json", "Glue calls it 'string'"),
        ("list", r"Glue calls it 'array<...>'"),
        ("INT", "type names are lower case: 'int'"),
        ("uniontype<int>", "valid types are boolean, tinyint"),
        ("int int", "nothing may follow int"),
        ("int>", "nothing may follow int"),
        ("decimal(0)", "precision of a decimal is a whole number from 1 to 38"),
        ("decimal(39)", "from 1 to 38"),
        ("decimal(5,6)", "scale of a decimal is a whole number from 0 to 5"),
        ("decimal(5,2", r"expected '\)' here"),
        ("decimal(x)", "whole number"),
        ("char", r"char needs its length, char\(1..255\)"),
        ("char(256)", "from 1 to 255"),
        ("varchar(0)", "from 1 to 65535"),
        ("array", "expected '<' here"),
        ("array<>", "valid types are"),
        ("array<int", "expected '>' here"),
        ("map<int>", "expected ',' here"),
        ("map<array<int>,int>", "the key of a map is not a nested type"),
        ("struct<>", "the name of a struct's field"),
        ("struct<a>", "expected ':' here"),
        ("struct<a:int,a:int>", "two fields named 'a'"),
        ("struct<A:int>", "lower-case letters"),
        ("struct<1:int>", "lower-case letters"),
        ("array<int>;drop", "nothing may follow"),
        ("ïnt", "found 'ïnt'"),
        ("array<" * (NESTING_LEVELS_MAX + 1) + "int" + ">" * (NESTING_LEVELS_MAX + 1), "nest at most"),
        ("struct<" + ",".join(f"a{n}:int" for n in range(20000)) + ">", f"at most {TYPE_CHARACTERS_MAX} characters"),
        (None, "a column type is a string such as 'bigint'".capitalize()),
    ],
)
def test_a_malformed_type_says_what_is_valid(text, says):
    with pytest.raises(DeclarationError, match=says):
        parse_type(text)
