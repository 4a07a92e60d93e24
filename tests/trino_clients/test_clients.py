"""Clients of Trino, unmodified: each prints what it did, and the reference tells no more and no less."""

import csv
import json
import shutil

import pytest
from clients_there import INSTALLED, PROGRAMS, installed

PYTHON = INSTALLED / "bin" / "python"


@pytest.mark.parametrize(
    ("client", "program"), [("SQLAlchemy", "sqlalchemy_read.py"), ("ibis", "ibis_read.py")], ids=lambda value: value
)
def test_a_client_in_python(ran, port, documented, client, program):
    installed("bin/python", client)
    documented(client, ran(PYTHON, PROGRAMS / program, port).splitlines())


def test_the_client_of_npm(ran, port, documented, tmp_path):
    modules = installed("node_modules/trino-client", "trino-client of npm").parent
    (tmp_path / "node_modules").symlink_to(modules)
    shutil.copy(PROGRAMS / "node_read.mjs", tmp_path)
    documented("trino-client (npm)", ran("node", "node_read.mjs", port).splitlines())


def test_the_driver_of_java(ran, port, documented):
    needs_java()
    [jar] = installed("jars", "the driver of Java").glob("trino-jdbc-*.jar")
    documented("Trino JDBC", ran("java", "-cp", jar, PROGRAMS / "Read.java", port).splitlines())


def needs_java():
    if not shutil.which("java"):
        pytest.skip("Java is not installed")


@pytest.fixture
def cli(ran, port):
    needs_java()
    [jar] = installed("jars", "Trino's command").glob("trino-cli-*-executable.jar")

    def run(sql, *options):
        server = ("--server", f"http://127.0.0.1:{port}", "--catalog", "awsdatacatalog", "--schema", "shop")
        return ran("java", "-jar", jar, *server, *options, "--execute", sql)

    return run


def test_trinos_own_command(cli, documented):
    done = []
    every = "select *, X'6869' as octets from every where id = '{}'"
    [names, values] = csv.reader(cli(every.format("full"), "--output-format", "CSV_HEADER").splitlines())
    assert dict(zip(names[:-2], values, strict=False)) == {
        "id": "full", "tiny": "-128", "small": "32767", "n": "-5", "big": str(2**62), "share": "0.1", "x": "2.5E300",
        "price": "1.5000", "large": "12345.0625000000", "ok": "true", "day": "2026-01-31",
        "at": "2026-01-31 12:00:00.500", "code": "abc", "raw": "", "tags": "[x, NULL]", "m": "{k=1}",
        "device": "{os=ios, width=320}", "deep": "[{k=a, v=[0.5, NULL]}]",
    }  # fmt: skip
    assert values[-1].strip() == "68 69"
    done.append("reads every type of a column")
    [values] = csv.reader(cli(every.format("empty")).splitlines())
    assert values[0] == "empty" and set(values[1:18]) == {""}
    done.append("reads NULL of every type")
    assert cli("show schemas; use shop; show tables like 'o%'").splitlines() == [
        '"information_schema"', '"scratch"', '"shop"', '"orders"', '"orders_quarantine"',
    ]  # fmt: skip
    assert '"amount","double","",""' in cli("describe orders")
    done.append("several statements, USE, SHOW, DESCRIBE")
    assert cli("prepare p from select count(*) from orders where amount > ?; execute p using 15e0") == '"89"\n'
    done.append("PREPARE and EXECUTE")
    assert cli("select count(*) from tpch.tiny.lineitem", "--progress").strip() == '"60175"'
    done.append("TPC-H, with progress")
    documented("Trino CLI", done)


def test_dbt(ran, port, documented, tmp_path):
    """Three models, of which one is a view, in one's own scratch."""
    dbt = installed("bin/dbt", "dbt-trino")
    shutil.copytree(PROGRAMS.with_name("dbt"), tmp_path / "dbt")
    folder, done = tmp_path / "dbt", []
    environment = {"DW_PORT": port, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DBT_PROFILES_DIR": str(folder)}
    for arguments, what in (
        (("debug",), "debug"),
        (("run",), "run: a view and two tables"),
        (("run",), "run again, in the place of what is there"),
        (("test",), "test: unique, not_null, relationships"),
        (("docs", "generate"), "docs generate"),
    ):
        ran(dbt, "--no-use-colors", *arguments, folder=folder, **environment)
        done.append(what)
    results = json.loads((folder / "target" / "catalog.json").read_text())
    assert {name.rpartition(".")[2]: len(found["columns"]) for name, found in results["nodes"].items()} == {
        "stg_orders": 4, "customers": 4, "best_customers": 3,
    }  # fmt: skip
    documented("dbt-trino", done)
