"""SQL in files: `dw query -f`, `dw lint-sql` and `dw translate`, and what they do with files that are none."""

import pytest
from running import command as dw

from datawarehouse import Warehouse, open_warehouse

DECLARATION = """
from datawarehouse import Warehouse

warehouse = Warehouse("shop").with_streaming_input_table(
    "clicks", {"id": "bigint", "name": "string", "at": "timestamp"}, event_time="at"
)
"""
REDSHIFT = """\
-- the visits of a week
select nvl(name, '?') as who, count(*)
from public.clicks where at >= '2026-11-10 07:30:00' group by who;

create table t (id int) distkey(id);
select top 1 id from clicks where at::varchar = 'x';
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "warehouse.py").write_text(DECLARATION)
    return tmp_path


# -- dw query -f FILE, and standard input


@pytest.fixture
def stored(project):
    declared = Warehouse("shop").with_streaming_input_table("clicks", {"id": "bigint", "name": "string"})
    with open_warehouse(declared, project / "data") as warehouse:
        warehouse.put("clicks", ['{"id": 1, "name": "ann"}', '{"id": 2, "name": "bob"}'])
        warehouse.flush()
    (project / "one.sql").write_text("-- who\nselect name from clicks\nwhere id = cast(? as bigint);\n")
    return project


def test_a_query_from_a_file_or_standard_input_is_the_same_query(stored):
    sql = (stored / "one.sql").read_text()
    for arguments, stdin in ((("-f", "one.sql"), None), (("--file", "-"), sql), (("-",), sql), ((sql,), None)):
        done = dw(stored, "query", *arguments, "--param", "2", "--output", "csv", stdin=stdin)
        assert (done.returncode, done.stdout.split()) == (0, ['"name"', '"bob"'])


def test_an_error_in_a_file_has_its_place_in_the_file(stored):
    (stored / "wrong.sql").write_text("-- first\n\nselect nme from clicks")
    done = dw(stored, "query", "-f", "wrong.sql")
    assert done.returncode == 1
    assert "line 3:8" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("-f", "two.sql"), 10, "two.sql has 2 statements"),
        (("-f", "none.sql"), 2, "none.sql cannot be read"),
        (("-f", "empty.sql"), 2, "The statement is empty"),
        (("-f", "latin.sql"), 2, "latin.sql is not UTF-8 at byte 8"),
        (("-f", "two.sql", "select 1"), 2, "Give one statement"),
        ((), 2, "Give one statement"),
    ],
)
def test_what_is_not_one_statement_is_refused_before_anything_runs(stored, arguments, code, says):
    (stored / "two.sql").write_text("select 1; select 2;")
    (stored / "empty.sql").write_text("-- nothing\n")
    (stored / "latin.sql").write_bytes("select 'é'".encode("latin-1"))
    done = dw(stored, "query", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr


# -- dw lint-sql


def test_lint_prints_each_problem_with_its_place_and_statement(project):
    (project / "a.sql").write_text("select id from clicks;\n\nselect id,\n  nme from clicks;\ninsert into t values (1)")
    (project / "b.sql").write_text("select 'it''s; one'")
    done = dw(project, "lint-sql", "a.sql", "b.sql")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("a.sql:4:3: refused by Athena: ") and "nme" in lines[0]
    assert lines[1] == "    select id, nme from clicks"
    assert lines[2].startswith("a.sql:5:1: not answered here: INSERT statements are not allowed")
    assert done.stderr == "4 statements, 2 problems\n"
    assert done.returncode == 1  # that of the first problem


def test_lint_of_right_statements_is_silent(project):
    done = dw(project, "lint-sql", "-", stdin="\ufeffselect id from clicks where name = ?; show tables;")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "2 statements, 0 problems\n")


def test_lint_without_a_declaration_says_what_it_did_not_check(tmp_path):
    done = dw(tmp_path, "lint-sql", "-", stdin="select nme from nowhere")
    assert done.returncode == 0
    assert "Not checked: tables, columns" in done.stderr
    named = dw(tmp_path, "lint-sql", "-", "--warehouse", "nowhere.py", stdin="select 1")
    assert named.returncode == 2 and "There is no declaration nowhere.py" in named.stderr


# -- dw translate


def test_what_is_translated_is_a_file_of_sql_that_can_be_run(project):
    (project / "old.sql").write_text(REDSHIFT)
    done = dw(project, "translate", "--from", "redshift", "old.sql")
    assert done.returncode == 10
    assert done.stderr == "3 statements: 2 needs a person, 1 translated\n"
    assert done.stdout.startswith(
        "-- 1, line 2: translated\n"
        "SELECT coalesce(name, '?') AS who, count(*)\n"
        "FROM clicks\n"
        "WHERE at >= TIMESTAMP '2026-11-10 07:30:00'\n"
        "GROUP BY 1;\n"
        "-- Note: public.clicks was taken for the declared table clicks.\n"
    )
    assert "--   WHERE inserted_at >= '2026/11/10/06' and at >= TIMESTAMP '2026-11-10 07:30:00'\n" in done.stdout
    assert "-- 2, line 5: needs a person\n" in done.stdout
    assert "-- Why: DISTKEY and DISTSTYLE have nothing in their place" in done.stdout
    assert "--   create table t (id int) distkey(id)\n" in done.stdout
    assert "-- Why: line 6:35: a timestamp as text" in done.stdout

    (project / "new.sql").write_text(done.stdout)
    linted = dw(project, "lint-sql", "new.sql")
    assert (linted.returncode, linted.stderr) == (0, "1 statement, 0 problems\n")


def test_translate_without_a_declaration_says_so_at_each_statement(tmp_path):
    done = dw(tmp_path, "translate", "--from", "redshift", "-", stdin="select id from clicks; select 7 / 2")
    assert done.returncode == 0
    assert "-- 1, line 1: translated, not all of it checked\n" in done.stdout
    assert "-- Not checked: the tables and columns of clicks: there is no declaration.\n" in done.stdout
    assert "-- 2, line 1: translated\nSELECT 7 / 2;\n" in done.stdout


def test_translate_shows_the_query_inside_of_a_statement(project):
    sql = "unload ('select nvl(name, ''x'') from clicks') to 's3://b/p' iam_role default;"
    done = dw(project, "translate", "--from", "redshift", "-", stdin=sql)
    assert "-- The query in it:\n--   SELECT coalesce(name, 'x') FROM clicks;\n" in done.stdout


def test_what_is_quoted_in_a_reason_stays_in_its_comment(project):
    long = (
        "create table t as select id, name, at from clicks where name = 'x' and at > '2026-11-01' and id in (1, 2, 3);"
    )
    sql = long + "\nselect id from clicks where id = 'a\n; select 2; --' or name like name || 'b\nc';"
    done = dw(project, "translate", "--from", "redshift", "-", stdin=sql)
    assert done.returncode == 10
    assert [line for line in done.stdout.splitlines() if line and not line.startswith("--")] == []
    assert "--   FROM clicks\n--   WHERE name = 'x' AND" in done.stdout
    assert "-- Why: line 2:29: 'a ; select 2; --' is converted to bigint by Redshift itself" in done.stdout
