"""`dw query --on aws`, as a process, against a deployed warehouse."""

import json
import signal

import pyarrow.parquet as pq
import pytest
from athena_endpoint import emulator_with_athena
from deployed import Deployed

from patience import patient

CLICK = b'{"id": "c%d", "price": "0.5200"}'
SLOW = f"select count(*) from {', '.join(f'facts f{n}' for n in range(40))} where length(f0.thing) > 1000"


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    with emulator_with_athena() as aws:
        made = Deployed(aws, tmp_path_factory.mktemp("operate"))
        facts = b'{"thing": "bag", "tags": ["a", "b, c"]}\n' + b'{"thing": "hat"}\n' * 9
        aws.client("s3").put_object(Bucket=made.at["data_bucket"], Key="facts/facts.json", Body=facts)
        made.put("clicks", *(CLICK % number for number in range(3)))
        made.until(lambda: len(made.keys("clicks/")) == 3)
        yield made


def test_the_answer_and_what_it_costs(deployed):
    out, err = deployed.dw("query", "select id, price from clicks where id <> ? order by id", "--param", "c1")
    assert out.split("\n")[0].split() == ["id", "price"]
    assert [line.split() for line in out.splitlines()[2:]] == [["c0", "0.5200"], ["c2", "0.5200"]]
    assert "2 rows in " in err and "Athena took 0.00 s and scanned " in err
    assert "$0.000050 (at $5.00 per TB)" in err  # 10 MB, the least that is billed


def test_every_format(deployed, tmp_path):
    sql = "select thing, 1.5e0 as half, cast(null as varchar) as nothing from facts order by 1 limit 1"
    as_json = json.loads(deployed.dw("query", sql, "--output", "json")[0])
    assert json.loads(deployed.dw("query", sql, "--output", "ndjson")[0]) == as_json[0]
    assert deployed.dw("query", sql, "--output", "csv")[0].splitlines()[0] == '"thing","half","nothing"'
    process = deployed.start("query", sql, "--output", "parquet")
    (tmp_path / "answer.parquet").write_bytes(process.stdout.buffer.read())
    process.communicate()
    assert pq.read_table(tmp_path / "answer.parquet").to_pylist() == as_json


def test_nested_values_are_athenas_text(deployed):
    out, err = deployed.dw("query", "select tags from facts where thing = 'bag'", "--output", "json")
    assert json.loads(out) == [{"tags": "[a, b, c]"}]
    assert "tags: Athena's text of arrays, maps and the like does not say where a value ends" in err


def test_statements_that_cannot_be_answered(deployed):
    _, err = deployed.dw("query", "selectt 1", code=2)
    assert err.startswith("dw query: Athena refused the statement: ")
    _, err = deployed.dw("query", "select nothing from clicks", code=1)
    assert err.startswith("dw query: Athena query ") and "failed" in err
    _, err = deployed.dw("query", "select 1", "--data", "d", code=2)
    assert err.startswith("dw query: --data is of the embedded warehouse")


def test_ctrl_c_stops_the_statement_in_athena(deployed):
    athena = deployed.aws.client("athena")

    def executions():
        ids = athena.list_query_executions()["QueryExecutionIds"]
        found = [athena.get_query_execution(QueryExecutionId=id)["QueryExecution"] for id in ids]
        return [one["Status"]["State"] for one in found if one["Query"] == SLOW]

    process = deployed.start("query", SLOW)
    deployed.until(lambda: executions() == ["RUNNING"])
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=patient(30))
    assert (process.returncode, out, err) == (130, "", "")
    assert executions() == ["CANCELLED"]
