"""Which statements, tables and functions are let through, and what is said to the others."""

# ruff: noqa: E501 - a statement stands on one line with what is expected of it

import contextlib
import re

import pytest

from datawarehouse.errors import BadRequest, QueryError, QueryFailed, QueryRefused, SqlSyntaxError
from datawarehouse.sql import grammar
from datawarehouse.sql.plan import plan
from datawarehouse.sql.translate import calls, functions, functions_of_bytes, rules, signatures, summaries
from datawarehouse.sql.wildcards import matches

ALLOWED = [
    "select 1",
    "SELECT 1;",
    " select 1 ; ; ",
    "-- a comment; drop table events\nselect 1 -- another",
    '/* {"app": "dbt"} */ select 1 /* ; */',
    "-- /* {} */\n\n-- x\nselect 1",
    "with a as (select 1 as x) select * from a",
    "(select 1) union (select 2)",
    "values 1",
    "table events",
    "select * from events",
    "select * from db.events",
    "select * from awsdatacatalog.db.events",
    'select * from "AwsDataCatalog"."DB"."Events"',
    "select * from (select * from events) as x",
    "select ';' as \"drop table events;\"",
    "select '-- no comment', '/* nor this */' from events where name = 'a''; drop table events; --'",
]


@pytest.mark.parametrize("sql", ALLOWED)
def test_a_query_is_planned(tables, sql):
    assert plan(sql, tables, "db").kind == "select"


@pytest.mark.parametrize(
    ("sql", "kind", "table", "names"),
    [
        ("show tables", "show_tables", None, None),
        ("SHOW TABLES IN db;", "show_tables", None, None),
        ("show tables from `db` 'ev*|us*'", "show_tables", None, "events ev ev_s evs users"),
        ("show tables like 'ev%_s'", "show_tables", None, "events ev_s"),
        ("show tables 'a.b'", "show_tables", None, "a.b"),
        ("describe events", "describe", "events", None),
        ("DESCRIBE `db`.`events`", "describe", "events", None),
        ("desc db.events", "describe", "events", None),
        ("describe formatted Events", "describe", "events", None),
        ("-- why\nshow columns in events", "select", None, None),
        ("show columns from events in db", "select", None, None),
        ('show columns in db."events"', "select", None, None),
        ("show partitions events", "show_partitions", "events", None),
        ("show partitions `db`.`events`;", "show_partitions", "events", None),
        ("explain select * from events", "explain", None, None),
        ("explain\nwith a as (select 1) select * from a", "explain", None, None),
    ],
)
def test_a_statement_about_tables_is_planned(tables, sql, kind, table, names):
    found = plan(sql, tables, "db")
    assert (found.kind, found.table, found.pattern is None) == (kind, table, names is None)
    known = ["events", "ev", "ev_s", "evs", "users", "a.b", "axb", "xev"]
    if names:
        assert " ".join(name for name in known if any(matches(name, each) for each in found.pattern)) == names


def test_explain_has_the_scans_of_the_query(tables):
    [scan] = plan("explain select * from events where inserted_at = 'x'", tables, "db").scans
    assert str(scan.predicate) == "inserted_at = 'x'"


# Statements by the piece of the message that they must get.
REFUSED = {
    "INSERT statements are not allowed. Allowed are SELECT": ["insert into events values (1)", "INSERT INTO events (id)\n(select 1)"],
    "UPDATE statements": ["update events set id = 1"],
    "DELETE statements": ["delete from events"],
    "MERGE statements": ["merge into events using users on true when matched then delete"],
    "TRUNCATE statements": ["truncate table events"],
    "CREATE TABLE statements": ["create table x as select 1", "create table x with (format = 'parquet') as select 1"],
    "CREATE EXTERNAL statements": ["create external table x (a int) location 's3://x/'"],
    "CREATE VIEW statements": ["create view x as select 1"],
    "CREATE OR statements": ["create or replace macro lower(x) as x"],
    "CREATE SECRET statements": ["create secret (type s3)"],
    "DROP TABLE statements": ["drop table events", "/* select */ drop table events"],
    "ALTER TABLE statements": ["alter table events add partition (inserted_at = 'x')"],
    "MSCK REPAIR statements": ["msck repair table events"],
    "COPY statements": ["copy events to '/tmp/x'", "copy (select 1) to '/tmp/x.csv'", "explain copy events to 'x'"],
    "EXPORT statements": ["export database '/tmp/x'"],
    "IMPORT statements": ["import database '/tmp/x'"],
    "ATTACH statements": ["attach '/tmp/x.db'"],
    "DETACH statements": ["detach x"],
    "INSTALL statements": ["install httpfs"],
    "LOAD statements": ["load httpfs"],
    "FORCE statements": ["force install httpfs"],
    "SET statements": ["set threads = 1", "set session x = 1"],
    "RESET statements": ["reset threads"],
    "PRAGMA statements": ["pragma database_list"],
    "CALL statements": ["call pragma_version()"],
    "USE statements": ["use x"],
    "PREPARE statements": ["prepare p from select 1"],
    "EXECUTE statements": ["execute p", "execute immediate name"],
    "DEALLOCATE statements": ["deallocate prepare p"],
    "UNLOAD statements": ["unload (select 1) to 's3://x' with (format = 'parquet')", "UNLOAD\n(\n\tselect 1) to 's3://x'"],
    "OPTIMIZE statements": ["optimize events rewrite data using bin_pack"],
    "VACUUM statements": ["vacuum events"],
    "CHECKPOINT statements": ["checkpoint"],
    "START statements": ["start transaction"],
    "GRANT statements": ["grant select on events to x"],
    "ANALYZE statements": ["analyze events"],
    "SUMMARIZE statements": ["summarize events"],
    "PIVOT statements": ["pivot events on name using sum(id)"],
    "FROM statements": ["from events", "from events select id", "from 'x.csv'"],
    "write EXPLAIN SELECT": ["explain (type io, format text) select 1", "explain (format graphviz) select 1"],
    "has 2 statements; send one at a time": [
        "select 1; select 2",
        "select 1; drop table events",
        "select 1;; drop table events",
        "select 1 /* ; */ ; drop table events",
    ],
    "Not understood: ": [
        "show grants",
        "show create schema db",
        "show tables; drop table events",
        "show tables like 'x' or 1 = 1",
        "describe select 1",
        "describe 'file.parquet'",
        "describe events; drop table events",
        "show partitions events where inserted_at = 'x'",
    ],
    "INSERT cannot stand where a query is needed": ["with x as (insert into events values (1)) select * from x"],
    "DELETE cannot stand where a query is needed": ["with x as (delete from events) select 1"],
    "(...) in a FROM is not supported; the only functions there are UNNEST and VALUES": [
        f"select * from {call}"
        for call in (
            "read_csv('/etc/passwd')",
            "read_parquet('x.parquet')",
            "read_text('/etc/passwd')",
            "read_blob('/etc/passwd')",
            "read_json_auto('x')",
            "parquet_scan('x')",
            "glob('/*')",
            "range(10)",
            "generate_series(1, 10)",
            "sequence(1, 10)",
            "duckdb_settings()",
            "duckdb_secrets()",
            "pragma_database_list()",
            "query('select 1')",
            "query_table('events')",
            "sqlite_scan('a', 'b')",
            "postgres_scan('a', 'b', 'c')",
            "repeat_row(1, num_rows => 3)",
            "table(sequence(1, 2))",
            "events join read_csv('x') on true",
            "(select * from read_csv('x'))",
            "events, lateral (select * from read_csv('x'))",
            'db."read_csv"(\'x\')',
        )
    ],
    "Function getenv is not supported here": [
        f"select {place}"
        for place in (
            "getenv('HOME')",
            "GetEnv('HOME')",
            "\"getenv\"('HOME')",
            "1 from events where getenv('X') = 'a'",
            "1 from events order by getenv('X')",
            "1 from events group by getenv('X')",
            "1 from events e join users u on getenv('X') = 'a'",
            "1 from events cross join unnest(array[getenv('X')]) as t(x)",
            "sum(length(getenv('X'))) over ()",
            "count(*) filter (where getenv('X') = 'a')",
            "row_number() over (partition by getenv('X'))",
            "row_number() over (order by getenv('X'))",
            "array_agg(1 order by getenv('X'))",
            "exists (select getenv('X'))",
            "'a' in (select getenv('X'))",
            "'a' in (getenv('X'))",
            "case when getenv('X') = '' then 1 end",
            "cast(getenv('X') as varchar)",
            "try(getenv('X'))",
            "array[getenv('X')]",
            "(getenv('X'), 1)",
            "array['a'][length(getenv('X'))]",
            "transform(array['HOME'], x -> getenv(x))",
            "reduce(array['a'], '', (s, x) -> s || getenv(x), s -> s)",
            "x from (values (getenv('X'))) as t(x)",
            "* from (with x as (select getenv('X')) select * from x)",
            "1 union select getenv('X')",
            "(select getenv('X'))",
            "extract(day from getenv('X'))",
            "trim(both getenv('X') from 'a')",
            "'a' like getenv('X')",
            "getenv('X') between 'a' and 'b'",
            "-getenv('X')",
            "getenv('X') at time zone 'UTC'",
            "date_format(now(), getenv('X'))",
        )
    ],
    "is not supported here": [
        f"select {call}"
        for call in (
            "current_setting('threads')",
            "read_text('/etc/passwd')",
            "getvariable('x')",
            "txid_current()",
            "pg_sleep(10)",
            "sleep_ms(1000)",
            "nextval('s')",
            "current_database()",
            "error('x')",
            "eval('1')",
            "query('select 1')",
            "hash('x')",
            "txid_current()",
            "columns('.*')",
            "columns(*)",
            "struct_pack(a)",
            "list_value(1)",
            "strftime(now(), '%Y')",
            "date_part('day', now())",
            "trino_split('a', 'b')",
            "checksum('a')",
            "numeric_histogram(2, 1)",
            "word_stem('a')",
        )
    ],
    "Did you mean current_timezone?": ["select current_timezon()"],
    "A function is not called with a dot": [
        "select 'x'.read_text()",
        "select ('x').upper()",
        "select name.upper() from events",
        "select main.lower('x')",
        "select system.main.lower('x')",
        "select events.name.getenv() from events",
    ],
    "TABLE_NOT_FOUND": [
        f"select * from {table}"
        for table in (
            "'/etc/passwd'",
            '"/etc/passwd"',
            '"file.parquet"',
            "'s3://bucket/x.parquet'",
            "information_schema.key_column_usage",
            "sqlite_master",
            "duckdb_tables",
            "pg_catalog.pg_class",
            "main.events",
            "temp.events",
            "memory.main.events",
            "system.information_schema.tables",
            "awsdatacatalog.other.events",
            "other.db.events",
            "awsdatacatalog.events",
            '"events$files"',
            "tables",
        )
    ],
    "Did you mean db.events? The tables of database 'db' are events, users": ["select * from evnts"],
    "Did you mean 'price'?": ["select pric from events"],
    "Column 'id' is ambiguous": ["select id from events, users"],
    "with PIVOTS is not supported": [
        "select * from events pivot (sum(id) for name in ('a'))",
        "select * from events unpivot (x for y in (id))",
    ],
    "STAR with EXCEPT is not supported": ["select * exclude (id) from events", "select * except (id) from events"],
    "STAR with REPLACE is not supported": ["select * replace (1 as id) from events"],
    "STAR with RENAME is not supported": ["select * rename (id as x) from events"],
    "JOIN with METHOD is not supported": ["select * from events asof join users on true", "select * from events natural join users"],
    "JOIN is not supported; valid are INNER": [
        "select * from events semi join users using (id)",
        "select * from events outer join users using (id)",
        "select * from events anti join users using (id)",
    ],
    "CROSS JOIN takes no condition": ["select * from events cross join users on true"],
    "A join needs ON or USING": ["select * from events positional join users", "select * from events left join users"],
    "TABLE with VERSION is not supported": [
        "select * from events for timestamp as of now()",
        "select * from events for version as of 1",
    ],
    "TABLE with WHEN is not supported": ["select * from events at (version => 1)"],
    "Sampling is written": [
        "select * from events tablesample reservoir (10 rows)",
        "select * from events tablesample 10 percent",
        "select * from events tablesample bernoulli ('x')",
        "select * from events tablesample bernoulli (10) repeatable (1)",
    ],
    "with ON is not supported": ["select distinct on (id) * from events"],
    "SELECT with INTO is not supported": ["select * into x from events"],
    "with BY NAME is not supported": ["select id from events union all by name select id from users"],
    "GROUP with ALL is not supported": ["select id from events group by all"],
    "Column 'all' cannot be resolved": ["select id from events order by all"],
    "with WITH TIES is not supported": [
        "select id from events union select 1 order by 1 fetch first 1 row with ties"
    ],
    "is not supported; docs/reference/sql.md": [
        "select {'a': 1}",
        "select map {'a': 1}",
        "select [x for x in array[1]]",
        "select tags[1:2] from events",
        "select 'a' ilike 'b'",
        "select 'a' similar to 'b'",
        "select 'a' glob 'b'",
        "select name collate nocase from events",
        "select 5 & 3",
        "select 5 << 1",
        "select id from events limit 10 percent",
        "select id from events limit 1 by id",
        "select sum(id) over (order by id rows between 1 preceding and current row exclude current row) from events",
        "select {{ 1 }}",
    ],
    "No cast to": [
        "select cast(1 as hugeint)",
        "select cast('x' as inet)",
        "select cast('x' as regclass)",
        "select cast(1 as union(a int))",
        "select cast('x' as enum('x'))",
        "select cast('x' as \"enum\")",
    ],
    "not a statement of Athena SQL": [
        "selec 1 from",
        "select 1 +",
        "select * from (from events)",
        "select $tag$ a $tag$",
        "select :x",
        "select @x",
        "select @@version",
        "select 1::int",
        "select payload -> 'a' from events",
        "select payload ->> 'a' from events",
        "select payload:a from events",
        "select 'a' ~ 'b'",
        "select 1 == 1",
        "select 1 <=> 1",
        "select 2 ** 3",
        "select id from events qualify row_number() over () = 1",
        "select * from events using sample 10",
        "select * from events for update",
        "select top 5 * from events",
        "with function f(x bigint) returns bigint return x select f(1)",
        "select list_transform(array[1], lambda x: x)",
        "select e'\\n'",
        "{{ select 1 }}",
    ],
    "Column '$1' cannot be resolved": ["select $1"],
    "A blank is missing before the name": ["select 1_000", "select 0b1"],
    "0x10 is not supported": ["select 0x10"],
    "a quote or a comment is left open": ["select 'a", 'select "a', "select 1 /* a"],
    "The statement is empty": ["", " ;", "-- nothing\n"],
    "has a NUL character": ["select '\0scan1\0'"],
    "LIMIT takes a whole number": ["select * from events limit (select 1)", "select * from events limit getenv('X')"],
    "cannot contain aggregates": ["select 1 from events where count(*) > 1", "select 1 from events where row_number() over () = 1"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("sql", "message"), [pytest.param(sql, message, id=sql) for message, cases in REFUSED.items() for sql in cases]
)
def test_anything_else_is_refused_by_name(tables, sql, message):
    with pytest.raises(QueryError) as raised:
        plan(sql, tables, "db")
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("select 1 +", SqlSyntaxError),
        ("drop table events", QueryRefused),
        ("select getenv('x')", QueryRefused),
        ("select x from events", QueryFailed),
        ("select * from nothing", QueryFailed),
        ("describe nothing", QueryFailed),
        ("show tables in other", QueryFailed),
        ("select lower(1)", QueryFailed),
    ],
)
def test_the_kind_of_error_says_whose_fault_it_is(tables, sql, kind):
    with pytest.raises(kind):
        plan(sql, tables, "db")


def test_a_message_about_an_explained_query_says_where_too(tables):
    with pytest.raises(QueryFailed, match="line 2:16: Column 'x' cannot be resolved"):
        plan("-- why\nexplain select x from events", tables, "db")
    found = plan("explain select decimal '1.50', timestamp '2026-01-01 00:00:00 UTC'", tables, "db")
    assert found.column_types == ("decimal(3,2)", "timestamp(3) with time zone")


def test_a_message_says_where(tables):
    with pytest.raises(QueryFailed, match=re.escape("COLUMN_NOT_FOUND: line 2:8: Column 'x.y' cannot be resolved.")):
        plan("select id,\n       x.y from events", tables, "db")


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [("select ?", []), ("select 1", [1]), ("select ?, ?", [1]), ("show tables", [1]), ("select ?", [object()])],
)
def test_parameters_that_do_not_fit_are_a_bad_request(tables, sql, parameters):
    with pytest.raises(BadRequest, match=r"valid are|value\(s\) came|Incorrect number of parameters"):
        plan(sql, tables, "db", parameters)


@pytest.mark.parametrize("length", [64, 1000, 30_000])
@pytest.mark.parametrize(
    ("opening", "closing"), [("(", ")"), ("array[", "]"), ("abs(", ")"), ("(select ", ")"), ("not ", ""), ("- ", "")]
)
def test_deep_nesting_ends_soon(tables, opening, closing, length):
    """It is planned or refused; it neither takes the parser's time without end nor breaks the stack."""
    with contextlib.suppress(QueryError):
        plan(f"select {opening * length}1{closing * length}", tables, "db")


@pytest.mark.parametrize("word", ["and", "or"])
def test_a_long_chain_of_conditions_is_planned(tables, word):
    chain = f" {word} ".join(f"id = {n}" for n in range(3000))
    [scan] = plan(f"select 1 from events where {chain}", tables, "db").scans
    assert str(scan.predicate) == "everything"


def test_a_statement_longer_than_athena_takes_is_refused(tables):
    with pytest.raises(QueryRefused, match=f"at most {grammar.QUERY_BYTES_MAX}"):
        plan(f"select '{'x' * grammar.QUERY_BYTES_MAX}'", tables, "db")


@pytest.mark.parametrize(
    "text", ["'; drop table x; --", '"', "\\", "$p1", "$1", "?", "{0}", "%s", "🙂", "\n", "--", "/*", "$$"]
)
def test_a_users_text_comes_back_as_it_was(answer, text):
    """Quoting: as a literal, as a parameter, as a name, as a pattern."""
    literal, name = text.replace("'", "''"), text.replace('"', '""')
    found = answer(f"select '{literal}', ?, 1 as \"{name}\", length('{literal}') as \"{name}\"", text)
    assert found.rows == [(text, text, 1, len(text))]
    assert found.plan.column_names == ("_col0", "_col1", text, text)
    assert answer(f'select "{name}" from (select 5 as "{name}") as "{name}"').rows == [(5,)]
    assert answer(f'with "{name}" as (select 6 as x) select "{name}".x from "{name}"').rows == [(6,)]
    assert answer(
        f"select '{literal}' in ('{literal}'), transform(array['{literal}'], \"{name}\" -> \"{name}\")"
    ).rows == [(True, [text])]


def test_a_nul_character_in_a_parameter_does_not_reach_the_text(answer, tables):
    """A scan's place in the text is marked with it."""
    assert answer("select ?", "\0scan1\0").rows == [("\0scan1\0",)]
    with pytest.raises(BadRequest, match="NUL"):
        plan("select date_format(now(), ?) from events", tables, "db", ["\0scan1\0"])


def test_every_signature_is_understood():
    for table in (functions.SCALARS, functions.AGGREGATES, functions.WINDOWS):
        for name, lines in signatures.signatures(table).items():
            for line in lines:
                signature = signatures.read(line)
                assert signature.text.startswith(f"{name}(")
                places = [int(place) for place in re.findall(r"\$([1-9])", signature.template)]
                assert max(places, default=0) <= len(signature.parameters), line


def test_no_function_of_the_allow_list_is_also_special_and_therefore_dead():
    dead = {"round", "ceil", "ceiling", "floor", "truncate", "sum", "avg"}  # special for decimals only
    dead |= {"array_sort"}  # special with a comparator only
    dead |= {"count"}  # special for rows that a summary counts
    dead |= {"contains", "array_remove", "map"}  # special for arrays, maps and rows inside only
    dead |= {"regexp_extract", "regexp_extract_all"}  # special for a group that the pattern does not have
    listed = {
        name
        for table in (functions.SCALARS, functions_of_bytes.BYTES, functions.AGGREGATES, functions.WINDOWS)
        for name in signatures.signatures(table)
    }
    assert listed & set(calls.SPECIALS) == dead


def test_a_count_of_rows_is_refused_like_any_other(tables):
    for sql in ("select count(DATE 'x') from events", f"select count({'9' * 50}) from events"):
        with pytest.raises(QueryError):
            plan(sql, tables, "db")


def test_functions_that_differ_from_row_to_row_are_known():
    texts = {name: " ".join(lines) for name, lines in signatures.signatures(functions.SCALARS).items()}
    assert {name for name, text in texts.items() if re.search(r"\b(random|uuid)\(\)", text)} == summaries.VOLATILE


def test_nodes_that_are_not_in_the_rules_do_not_pass():
    """The allow-list is short and has no statement, no table function and no node that sqlglot made from a function's name."""
    assert len(rules.RULES) < 70
    assert not [
        kind
        for kind in rules.RULES
        if kind.__name__ in ("Command", "Create", "Insert", "Pragma", "Set", "Use", "Struct")
    ]


@pytest.mark.parametrize("call", ["substr(null, 1, 1)", "reverse(null)", "lpad(null, 2, 'x')"])
def test_a_null_without_a_type_is_a_text_where_a_text_may_be(tables, call):
    assert plan(f"select {call} = 'a'", tables, "db").sql
