"""Long texts of strangers, which a pattern that can be read in two ways takes hours to refuse: in the one thread that
also takes events. Each of these is answered at once, or the limit of time of a test ends it."""

import pytest

from datawarehouse.errors import BadRequest, QueryFailed, QueryRefused
from datawarehouse.server.athena_statements import checked, kind_of
from datawarehouse.server.aws_services import service_of
from datawarehouse.server.http import Request
from datawarehouse.server.trino_session import Chosen, Done, Kill, Session, understood

LENGTH = 250_000
SESSION = Session(Chosen(), "shop", {}, {})


@pytest.mark.parametrize(
    "parameter",
    [
        "array[" + ",".join(["'a'"] * 60) + "!",
        "array[" + ",".join(["date 'a'"] * 60) + "!",
        "array[" + "''," * LENGTH,
        "cast('1' as a" + " " * LENGTH + "!",
        "cast('1' as a" + " a" * LENGTH + "!",
        "cast('1' as a" + "(1)" + " " * LENGTH + "!",
        "a" * LENGTH + " " * LENGTH,
        "'" * (LENGTH + 1),
    ],
)
def test_a_parameter_that_is_nearly_a_literal(parameter):
    with pytest.raises(BadRequest, match="not a literal"):
        checked(parameter)


@pytest.mark.parametrize(
    "parameter",
    [
        "cast('1' as bigint)",
        "CAST( '1.50' AS decimal (10, 2) )",
        "cast(1 as double  precision )",
        "array['a', 'it''s', date '2026-01-31', -1.5e3, null]",
        "timestamp with '2026'",
        "array[]",
        "''''",
    ],
)
def test_a_parameter_that_is_a_literal(parameter):
    assert checked(parameter) == parameter


@pytest.mark.parametrize("between", [" " * LENGTH, " (" + " " * LENGTH, " as" * LENGTH])
def test_a_statement_that_is_nearly_a_table_of_a_query(between):
    assert kind_of(f"create table t as{between}!").of == "CREATE_TABLE"
    assert kind_of("create table t as ( select 1)").of == "CREATE_TABLE_AS_SELECT"


@pytest.mark.parametrize("arguments", ["a" * LENGTH, '"' * LENGTH, "'a' " * LENGTH, "query_id" + " " * LENGTH + "!"])
def test_a_call_that_is_nearly_one_that_kills_a_query(arguments):
    with pytest.raises(QueryFailed, match="kill_query needs"):
        understood(f"call system.runtime.kill_query({arguments})", SESSION)


def test_a_call_that_kills_a_query():
    for arguments in ("'q1', 'it''s slow'", "message => 'it''s slow' , query_id=>'q1'"):
        assert understood(f"call runtime.kill_query({arguments})", SESSION) == Kill("q1", "it's slow")


@pytest.mark.parametrize("text", ["Credential=" * LENGTH, "Credential=a/" * LENGTH, "Credential=a/a/a/" + "a" * LENGTH])
def test_a_header_that_is_nearly_a_signature(text):
    given = {b"authorization": b"AWS4-HMAC-SHA256 " + text.encode()}
    assert service_of(Request("GET", "/", "", given, None)) == ""
    assert service_of(Request("GET", "/", f"X-Amz-Credential={text}", {}, None)) == ""


@pytest.mark.parametrize(
    "sql",
    [
        'use "a\r\nset-cookie: b"',
        'use "a\0"."b"',
        "set session \"a\nb\" = 'c'",
        'reset session "a\nb"',
        'set role none in "a\nb"',
    ],
)
def test_what_a_session_keeps_is_no_header_of_its_own(sql):
    with pytest.raises(QueryRefused, match="no control characters"):
        understood(sql, SESSION)


@pytest.mark.parametrize("sql", ["prepare p from select '{}'", "use {}", "set session a = '{}'"])
def test_what_a_client_could_not_send_back_is_refused(sql):
    with pytest.raises(QueryRefused, match="valid are up to 32768"):
        understood(sql.format("x" * 33_000), SESSION)


def test_a_text_with_line_ends_is_kept():
    prepared = understood("prepare p from select 1,\r\n2", SESSION)
    assert prepared == Done("PREPARE", [(b"x-trino-added-prepare", b"p=select+1%2C%0D%0A2")])
