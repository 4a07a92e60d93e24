"""What Athena calls a statement: its type, its kind, and with that how a client reads the result."""

import pytest

from datawarehouse.server.athena_statements import kind_of


@pytest.mark.parametrize(
    ("sql", "type", "of", "suffix"),
    [
        ("select 1", "DML", "SELECT", ".csv"),
        ("(select 1)", "DML", "SELECT", ".csv"),
        ("/* drop */ -- table\n with t as (select 1) select * from t;", "DML", "SELECT", ".csv"),
        ("values 1", "DML", "SELECT", ".csv"),
        ("show tables", "UTILITY", "SHOW_TABLES", ".txt"),
        ("describe t", "UTILITY", "DESCRIBE_TABLE", ".txt"),
        ("explain select 1", "UTILITY", "EXPLAIN", ".txt"),
        ("prepare p from drop table t", "UTILITY", "PREPARE", ".txt"),
        ("insert into scratch.t select 1", "DML", "INSERT", None),
        ("delete from scratch.t", "DML", "DELETE", None),
        ("create table t as select 1 as a", "DDL", "CREATE_TABLE_AS_SELECT", None),
        ("create table if not exists t with (format = 'PARQUET') as (with a as (select 1) select * from a)", "DDL",
         "CREATE_TABLE_AS_SELECT", None),
        ("create table t as values 1", "DDL", "CREATE_TABLE_AS_SELECT", None),
        ("create table t (a int)", "DDL", "CREATE_TABLE", ".txt"),
        ("create table \"as select\" (a int comment 'as select')", "DDL", "CREATE_TABLE", ".txt"),
        ("create external table t (a int)", "DDL", "CREATE_TABLE", ".txt"),
        ("create or replace view v as select 1 as a", "DDL", "CREATE_VIEW", ".txt"),
        ("create view v as select 1 as a", "DDL", "CREATE_VIEW", ".txt"),
        ("create schema s", "DDL", "CREATE_DATABASE", ".txt"),
        ("drop table if exists t", "DDL", "DROP_TABLE", ".txt"),
        ("drop view v", "DDL", "DROP_VIEW", ".txt"),
        ("alter table t rename to u", "DDL", "ALTER_TABLE", ".txt"),
        ("execute immediate 'show tables'", "UTILITY", "SHOW_TABLES", ".txt"),
        ("EXECUTE IMMEDIATE 'insert into t select ''a'', ?' USING 1", "DML", "INSERT", None),
        ("", "DML", "SELECT", ".csv"),
    ],
)  # fmt: skip
def test_a_statement_has_athenas_name(sql, type, of, suffix):
    found = kind_of(sql)
    assert (found.type, found.of, found.suffix) == (type, of, suffix)
    assert found.has_names == (suffix == ".csv")
