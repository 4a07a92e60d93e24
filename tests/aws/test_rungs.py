"""What the declaration and the example become, through every checker; and each of their inputs spoiled in turn.

The checkers are tested by themselves in test_checks.py. Here they have to find nothing, and then something.
"""

import re
from pathlib import Path

import cloudformation
import hints
import house
import policies
import pytest
from declared import compacted, everything, in_iceberg
from engine import Engine
from mutations import mutate
from recorder import deploy

from datawarehouse import Warehouse
from datawarehouse.aws import EventGenerator, ServerlessDataWarehouse

ROOT = Path(__file__).parents[2]
CAUGHT_SHARE = 0.85
PROGRAMS = {
    "as declared": {},
    "for development": {"is_dev": True},
    "with readers and subscribers": {"reader_account_ids": ["210987654321"], "alarm_emails": ["ops@example.com"]},
    "with projected hours": {"partition_projection_start": "2026/11/01/00"},
    "with on-demand streams": {"on_demand_streams": ["clicks", "impressions"], "stream_retention_hours": 168},
    "in a Region of its own": {"region": "eu-west-1"},
    "with compaction": {"warehouse": compacted()},
    "with a guarded workgroup": {
        "warehouse": everything().with_workgroup("adhoc", require_partition_filter=True),
        "kms_key_arn": "arn:aws:kms:eu-west-1:123456789012:key/1",
    },
    "with a key of its own": {
        "kms_key_arn": "arn:aws:kms:eu-west-1:123456789012:key/1",
        "reader_account_ids": ["210987654321"],
    },
}


def program(arguments):
    def run():
        warehouse = everything()
        deployed = ServerlessDataWarehouse("analytics_dw", {"warehouse": warehouse, **arguments})
        stream = deployed.get_input_stream("clicks")
        table = warehouse.get_table("clicks")
        EventGenerator("clicks-events", {"table": table, "stream_name": stream.name, "stream_arn": stream.arn})

    return run


ICEBERG = "with a table in Iceberg"
WITH_A_KEY = "with a table in Iceberg and a key of its own"


def iceberg_program(event_time=None, **arguments):
    def run():
        declared = in_iceberg(event_time=event_time).with_batch_input_table(
            "counts",
            {"tags": "bigint"},
            schedule_expression="rate(1 hour)",
            reads=["events"],
            run_when_complete=True,
            partition_keys={"inserted_at": "string"},
            sql="select sum(cardinality(tags)) as tags from events where arrived_at = :partition",
        )
        ServerlessDataWarehouse("analytics_dw", {"warehouse": declared, **arguments})

    return run


@pytest.fixture(scope="module", params=[*PROGRAMS, ICEBERG, WITH_A_KEY, "the example"])
def graph(request):
    if request.param == ICEBERG:
        return deploy(iceberg_program())
    if request.param == WITH_A_KEY:
        return deploy(iceberg_program("event_time", **PROGRAMS["with a key of its own"]))
    if request.param == "the example":
        done = Engine(project="acme-ads").run(ROOT / "examples" / "acme_ads", config={"acme-ads:dev": "true"})
        assert done.code == 0, done.messages
        return done.graph
    return deploy(program(PROGRAMS[request.param]))


def test_every_input_has_a_name_and_a_type_that_the_provider_takes(graph):
    assert hints.check(graph) == []


def test_the_graph_keeps_the_rules_of_the_house(graph):
    assert house.check(graph) == []


def test_every_policy_grants_what_exists_on_what_it_can_be_granted(graph):
    assert policies.check(graph) == []


def test_the_graph_as_a_template_has_no_fault_in_the_eyes_of_cfn_lint(graph):
    assert cloudformation.check(graph) == []


EXPLAINED = {
    r"([Dd]escription|metricQueries\[\d+\]\.(label|id)): ": "a text for people",
    r"\.Sid: ": "the name of a statement, for people",
    r"rules\[\d+\]\.id: ": "the name of a rule, for people",
    r"alarms-email-\d+ endpoint: ": "nobody but its owner knows an address",
    r"sts:ExternalId: wrong text": "an agreed word; that there is one is checked",
    r"CatalogTable .*(columns|partitionKeys)\[\d+\]\.name: ": "as declared: test_parity.py compares both hosts",
    r"serialization\.format: dropped": "what Athena takes anyway",
    r"Workgroup .* name: wrong text": "as good a name as another, as long as all who refer to it are altered with it",
    r"Dashboard .* dashboardName: wrong text": "as good a name as another",
    r"Dashboard .*\.title: wrong text": "a text for people",
    r"Dashboard .*\.alarms\[\d+\]: dropped": "test_dashboard.py finds it",
    r"forceDestroy: (turned|dropped)": "a choice: test_warehouse.py says which stage has which",
    r"selectedEngineVersion: dropped": "the default is the newest, which is this one",
    r"publishCloudwatchMetricsEnabled: dropped": "the default",
    r"dataFormatConversionConfiguration\.enabled: dropped": "the default",
    r"schemaConfiguration\.(region|versionId): dropped": "the default",
    r"(parquetSerDe\.compression|openXJsonSerDe\.caseInsensitive): dropped": "the default",
    r"DW_HOURS_AHEAD: dropped": "the default of the function",
    r"DW_RETENTION_DAYS: dropped": "the default is for ever; test_settings.py and test_rights.py find it",
    r"datawarehouse\.retention_days: dropped": "a table of an older release has none; test_changes.py finds it",
    r"Invocation .*-now triggers\.(tables|columns): ": "what makes it register once more",
    r"okActions\[0\]: dropped": "to be told that it is over is a courtesy",
    r"DW_(COMPACTED|DEDUPE_KEY|SORT_BY): dropped": "the default is none; test_compaction.py finds it",
    r"DW_RERUN: dropped": "the default is none; test_late_hours.py finds it",
    r"gateway-function code.assets.datawarehouse/(definition|functions|sql/insertion)\b.*py: ": "a module of others, "
    "whose archives have it too; what the gateway itself imports is checked",
    r"RolePolicy .*-cron-policy .*(Action|Resource)\[\d+\]: dropped": "test_rights.py finds it",
    r"RolePolicy .*-job-cron-policy .*Statement\[\d+\]: dropped, {'Sid': 'Uploads'": "test_rights.py finds it",
    r"RolePolicy .*-reader-policy .*Statement\[\d+\]: dropped, {'Sid': 'Uploads'": "a right for large results alone",
}
"""What the checks let through, and why it is no fault or where it is found. Patterns of how a mutant is written."""


def guarded_program():
    declared = Warehouse("guarded").with_workgroup("adhoc", partitions_max=24)
    ServerlessDataWarehouse("analytics_dw", {"warehouse": declared})


@pytest.mark.parametrize(
    ("made", "least"),
    [
        (program(PROGRAMS["with readers and subscribers"] | PROGRAMS["with compaction"]), 1000),
        (iceberg_program(), 300),
        (guarded_program, 300),
    ],
    ids=["every kind of table", "a table in Iceberg", "a guarded workgroup"],
)
def test_most_of_what_can_be_spoiled_is_caught(made, least, record_property):
    report = mutate(deploy(made))
    record_property("mutants", report.total)
    record_property("caught", report.rate)
    assert report.total > least
    assert report.rate >= CAUGHT_SHARE
    texts = [str(survivor) for survivor in report.survivors]
    assert [text for text in texts if not any(re.search(pattern, text) for pattern in EXPLAINED)] == []
