"""`dw query --on aws` in a guarded workgroup, through the deployed function; and who else may start queries there."""

import json
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import policies
import pytest
from athena_endpoint import emulator_with_athena
from declared import compacted, in_iceberg
from deployed import DECLARATION, Deployed
from graph import ACCOUNT, PARTITION, REGION
from lossy import lossy
from recorder import deploy
from running import DW

from datawarehouse import Warehouse
from datawarehouse.aws import ServerlessDataWarehouse
from datawarehouse.definition.workgroups import DEFAULTS
from patience import patient

WORKGROUPS = """
    .with_streaming_input_table("taps", columns={"id": "string", "at": "timestamp"}, event_time="at")
    .with_workgroup("adhoc", require_partition_filter=True, partitions_max=744)
    .with_workgroup("free", partitions_max=24, allow_full_scan=True)
)
"""
GUARDED = DECLARATION.rstrip().removesuffix("\n)") + WORKGROUPS
CLICK = b'{"id": "c%d", "price": "0.5200"}'
BOUNDED = "select id from clicks where inserted_at >= date_format(now() - interval '2' hour, '%Y/%m/%d/%H') order by id"


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    with emulator_with_athena() as aws:
        made = Deployed(aws, tmp_path_factory.mktemp("gateway"), GUARDED)
        made.put("clicks", *(CLICK % number for number in range(3)))
        made.until(lambda: len(made.keys("clicks/")) == 3)
        yield made


def queries(deployed):
    """The texts of all statements that were started in Athena, but for those of jobs, which the emulator runs when they
    are due."""
    athena = deployed.aws.client("athena")
    ids = athena.list_query_executions()["QueryExecutionIds"]
    texts = [athena.get_query_execution(QueryExecutionId=id)["QueryExecution"]["Query"] for id in ids]
    return [text for text in texts if not text.startswith("UNLOAD")]


def embedded(tmp_path, *arguments):
    """(exit code, stdout, stderr) of the same command on an embedded warehouse without an event."""
    (tmp_path / "warehouse.py").write_text(GUARDED)
    (tmp_path / "start.py").write_text("from warehouse import warehouse\nfrom datawarehouse import open_warehouse\n"
                                       "open_warehouse(warehouse, 'data').close()\n")  # fmt: skip
    subprocess.run([sys.executable, "start.py"], cwd=tmp_path, check=True)
    done = subprocess.run([DW, "query", *arguments], cwd=tmp_path, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def test_a_statement_that_is_refused_has_the_embedded_hosts_answer(deployed, tmp_path):
    """Of a table without rows the sizes are the same as well."""
    sql = "select n from counts c where n > 5 or hour = '2026/11/23/07'"
    before = queries(deployed)
    out, err = deployed.dw("query", "--workgroup", "adhoc", sql, code=11)
    assert (11, out, err) == embedded(tmp_path, "--workgroup", "adhoc", sql)
    assert "requires a range of hours for each table, and nothing bounds hour of counts from below" in err
    assert "This statement may run:\nselect n from counts c where" in err
    out, err = deployed.dw("query", "--workgroup", "adhoc", "--dry-run", sql, code=11)
    assert (11, out) == embedded(tmp_path, "--workgroup", "adhoc", "--dry-run", sql)[:2]
    assert queries(deployed) == before


def test_a_statement_that_bounds_only_event_time_is_told_where_to_begin(deployed):
    """The gateway alone would propose the last hours, in which those events are not."""
    first = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=60)
    sql = f"select count(*) as n from taps where at < timestamp '{first:%Y-%m-%d %H}:30:00' and at >= timestamp '{first:%Y-%m-%d %H}:00:00'"  # noqa: E501
    out, err = deployed.dw("query", sql, code=11)
    assert out == "" and "How late its events arrive is not known" in err
    rewritten = err.rstrip().splitlines()[-1]
    assert rewritten == sql.replace("where", f"where inserted_at >= '{first - timedelta(hours=1):%Y/%m/%d/%H}' and")
    assert json.loads(deployed.dw("query", rewritten, "--output", "json")[0]) == [{"n": 0}]
    assert [text for text in queries(deployed) if "taps_lateness" in text], "asked through the gateway"
    out, _ = deployed.dw("lateness", "taps")
    assert out.splitlines()[2].split()[:3] == ["all", "0", "hours"]


def test_a_statement_that_is_permitted_is_answered(deployed):
    out, err = deployed.dw("query", BOUNDED, "--output", "json")  # people's workgroup, without naming it
    assert json.loads(out) == [{"id": f"c{number}"} for number in range(3)]
    assert "3 rows in " in err and "Athena took" in err
    out, _ = deployed.dw("query", BOUNDED.replace("order", "and id <> ? order"), "--param", "c1", "--output", "csv")
    assert out.splitlines() == ['"id"', '"c0"', '"c2"']
    decided = json.loads(deployed.dw("query", "--dry-run", BOUNDED, "--output", "json")[0])
    assert decided["allowed"] and decided["estimate"]["files"] == 3
    sql = "select id from clicks"
    deployed.dw("query", sql, "--workgroup", "free", code=11)
    out, _ = deployed.dw("query", sql, "--workgroup", "free", "--allow-full-scan", "--output", "csv")
    assert len(out.splitlines()) == 4


def test_other_workgroups_are_asked_directly_and_unknown_ones_refused(deployed):
    out, _ = deployed.dw("query", "select count(*) as n from clicks", "--workgroup", "production", "--output", "json")
    assert json.loads(out) == [{"n": 3}]
    _, err = deployed.dw("query", "select 1", "--workgroup", "production", "--dry-run", code=2)
    assert "On AWS nothing guards the workgroup 'production'; guarded are adhoc, free." in err
    _, err = deployed.dw("query", "select 1", "--workgroup", "none", code=2)
    assert "The deployment has no workgroup 'none'; it has adhoc, batch, free, production." in err


def test_errors_of_statements_keep_their_exit_codes(deployed):
    _, err = deployed.dw("query", "selectt 1", code=2)
    assert err.startswith("dw query: line 1:1: not a statement of Athena SQL")
    deployed.dw("query", "drop table clicks", code=10)
    _, err = deployed.dw("query", "select thing + 1 as x from facts", code=1)
    assert err.startswith("dw query: TYPE_MISMATCH")
    _, err = deployed.dw("query", "select cast(thing as int) as n from (values 'x') t(thing)", code=1)
    assert "Athena query " in err and "failed" in err


def test_an_answer_that_is_lost_is_asked_for_again_and_starts_nothing_twice(deployed):
    """The way to Lambda breaks once, after the function has answered."""
    sql = f"{BOUNDED} -- lost"
    with lossy(deployed.aws.url, lambda number: number == 1) as proxy:
        out, _ = deployed.dw("query", sql, "--output", "csv", AWS_ENDPOINT_URL_LAMBDA=proxy.url)
        assert (proxy.requests, proxy.lost) == (2, 1)
    assert len(out.splitlines()) == 4
    assert queries(deployed).count(sql) == 1


def test_what_is_pushed_is_counted_in_a_workgroup_where_that_may_start(deployed, tmp_path):
    """Whoever pushes has rights of their own, and no gateway starts what they count."""
    folder = tmp_path / "pushing"
    folder.mkdir()
    (folder / "warehouse.py").write_text(GUARDED)
    (folder / "dw.toml").write_text(f'[aws]\noutputs = "{deployed.folder / "outputs.json"}"\n')
    (folder / "facts.py").write_text(
        "from warehouse import warehouse\nfrom datawarehouse import open_warehouse\n"
        "with open_warehouse(warehouse, 'data') as here:\n"
        "    (here.folder / 'facts').mkdir()\n"
        """    (here.folder / 'facts' / 'pushed.json').write_text('{"thing": "cap"}\\n')\n"""
    )
    subprocess.run([sys.executable, "facts.py"], cwd=folder, check=True)
    done = subprocess.run([DW, "push", "facts"], cwd=folder, env=deployed.environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    athena = deployed.aws.client("athena")
    ids = athena.list_query_executions()["QueryExecutionIds"]
    found = [athena.get_query_execution(QueryExecutionId=id)["QueryExecution"] for id in ids]
    assert {one["WorkGroup"] for one in found if '"facts"' in one["Query"]} == {deployed.at["workgroups"]["batch"]}


def test_ctrl_c_stops_the_statement_in_athena(deployed):
    slow = f"select count(*) as c from {', '.join(f'facts f{n}' for n in range(40))} where length(f0.thing) > 1000"
    body = b'{"thing": "hat"}\n' * 9
    deployed.aws.client("s3").put_object(Bucket=deployed.at["data_bucket"], Key="facts/facts.json", Body=body)
    process = deployed.start("query", slow)
    deployed.until(lambda: slow in queries(deployed))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=patient(30))
    assert (process.returncode, out, err) == (130, "", "")


# -- who may start queries


def graph_of(declared, **arguments):
    return deploy(lambda: ServerlessDataWarehouse("analytics_dw", {"warehouse": declared, **arguments}) and None)


def starters(graph, workgroup):
    """The names of the roles of a graph that may start queries in a workgroup."""
    arn = f"arn:{PARTITION}:athena:{REGION}:{ACCOUNT}:workgroup/analytics_dw-dev-{workgroup}"
    starting = ("StartQueryExecution", "StartSession", "StartCalculationExecution", "UpdateWorkGroup")
    return {
        role.name
        for role in graph.all("Role")
        for action in starting
        if policies.allowed(policies.role_documents(graph, role), f"athena:{action}", arn)
    }


PAGE = Path(__file__).parents[2] / "docs" / "guides" / "deploy-to-aws.md"
GUARDS = {"require_partition_filter": True, "partitions_max": 744}


@pytest.mark.parametrize("declared", [compacted, in_iceberg], ids=["every kind of table", "Iceberg"])
@pytest.mark.parametrize("key", [{}, {"kms_key_arn": "arn:aws:kms:eu-west-1:123456789012:key/1"}], ids=["", "a key"])
def test_no_other_role_of_the_graph_starts_queries_in_a_guarded_workgroup(declared, key):
    declared = declared().with_workgroup("adhoc", **GUARDS).with_workgroup("analysts", partitions_max=24)
    graph = graph_of(declared.with_workgroup("batch", **GUARDS), reader_account_ids=["210987654321"], **key)
    for guarded in ("adhoc", "analysts"):
        assert starters(graph, guarded) == {"analytics_dw-gateway-role"}
    assert "analytics_dw-gateway-role" not in starters(graph, "production") | starters(graph, "batch")
    jobs = {role.name for role in graph.all("Role") if "-job-" in role.name or "-compaction-" in role.name}
    assert starters(graph, "batch") == jobs and starters(graph, "readers") == {"analytics_dw-reader-role"}
    invokers = [role.name for role in graph.all("Role")
                for text in policies.role_documents(graph, role)
                if policies.allowed([text], "lambda:InvokeFunction",
                                    graph.one("Function", "analytics_dw-gateway-function").outputs["arn"])]  # fmt: skip
    assert invokers == []
    assert graph.exports == {} and not [
        node for node in graph.all("Permission") if "gateway" in str(node.inputs.get("function"))
    ]


def test_a_gateway_is_there_where_the_declaration_has_a_guarded_workgroup():
    def gateways(*declared):
        warehouse = Warehouse("w")
        for name, limits in declared:
            warehouse.with_workgroup(name, **limits)
        return [node.name for node in graph_of(warehouse).all("Function") if "gateway" in node.name]

    assert gateways() == [] and [each.name for each in DEFAULTS if each.require_partition_filter] == ["adhoc"]
    assert gateways(("adhoc", {"scan_bytes_max": 10**9}), ("batch", GUARDS), ("readers", GUARDS)) == []
    assert gateways(("adhoc", GUARDS)) == gateways(("few", {"partitions_max": 5})) == ["analytics_dw-gateway-function"]


def test_the_policy_of_an_analyst():
    """It has the right for each call of the command, and no other."""

    def program():
        made = ServerlessDataWarehouse("analytics_dw", {"warehouse": Warehouse("w").with_workgroup("adhoc", **GUARDS)})
        return {"policy": made.gateway.analyst_policy("adhoc"), "results": made.query_results_bucket.bucket}

    graph = deploy(program)
    text, results = graph.exports["policy"], graph.exports["results"]
    assert policies.findings(text, "RolePolicy") == ()
    function = graph.one("Function", "analytics_dw-gateway-function").outputs["arn"]
    workgroup = f"arn:{PARTITION}:athena:{REGION}:{ACCOUNT}:workgroup/analytics_dw-dev-adhoc"
    needed = {
        ("lambda:InvokeFunction", function),
        *((f"athena:{action}", workgroup) for action in ("GetQueryExecution", "GetQueryResults", "StopQueryExecution")),
        ("s3:GetObject", f"arn:{PARTITION}:s3:::{results}/adhoc/*"),
    }
    granted = {
        (action, one["Resource"]) for one in policies.statements(text) for action in policies.as_list(one["Action"])
    }
    assert granted == needed
    [shown] = [
        block for block in re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL) if "InvokeFunction" in block
    ]
    here = shown.replace(
        "function:analytics_dw-gateway-function-1f2e3d4", function.partition(":lambda:")[2].split(":", 2)[2]
    )
    assert json.loads(here.replace("analytics-dw-query-results-4d3e2f1", results)) == json.loads(text)
