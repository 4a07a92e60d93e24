"""The example program, unmodified, on the stand-in engine: preview and up, in development and in production.

The files in golden/ have its URNs. A URN that changes replaces a resource, a bucket with its data included, unless an
alias tells the old one: change a golden file only together with an alias, or before anybody has deployed.
"""

import json
import os
from collections import Counter
from pathlib import Path

import pytest
from engine import Engine

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "acme_ads"
GOLDEN = Path(__file__).parent / "golden"
OUTPUTS = {
    "warehouse",
    "impression_input_stream",
    "click_input_stream",
    "database_name",
    "impression_table_name",
    "click_table_name",
    "athena_results_bucket",
}
CADENCE = {
    "false": {"rate(1 hour)", "cron(20 * * * ? *)"},
    "true": {"rate(1 minute)"},
}


def run(dev, *, preview=False, stack="dev", seed="0"):
    done = Engine(project="acme-ads", stack=stack).run(
        EXAMPLE, preview=preview, config={"acme-ads:dev": dev}, env={"PYTHONHASHSEED": seed}
    )
    assert done.code == 0, done.messages
    assert not done.errors
    return done


@pytest.fixture(scope="module", params=["false", "true"], ids=["production", "development"])
def dev(request):
    return request.param


@pytest.fixture(scope="module")
def up(dev):
    return run(dev)


def test_up_gives_its_outputs(up):
    assert up.outputs.keys() == OUTPUTS
    assert up.outputs["database_name"] == "analytics_dw_dev"
    assert (up.outputs["impression_table_name"], up.outputs["click_table_name"]) == ("impressions", "clicks")
    streams = {node.outputs["name"] for node in up.graph.all("Stream")}
    assert {up.outputs["impression_input_stream"], up.outputs["click_input_stream"]} == streams
    assert up.outputs["athena_results_bucket"].startswith("analytics-dw-query-results-")


def test_it_says_what_kind_of_stack_it_is(up, dev):
    said = [text for severity, text in up.log if severity == "INFO"]
    if dev == "true":
        assert said == ["Stack 'dev' is for development (is_dev); its data is disposable: pulumi destroy deletes it."]
    else:
        assert said == [
            "Stack 'dev' is for production; its data is protected. Nobody gets its alarms by e-mail (alarm_emails)."
        ]


def test_preview_shows_what_up_makes(up, dev):
    preview = run(dev, preview=True)
    assert preview.outputs.keys() == OUTPUTS
    assert preview.graph.nodes.keys() == up.graph.nodes.keys()


def test_a_second_run_has_equal_inputs(up, dev):
    """What the engine would compare: a difference is a resource that each `pulumi up` updates for nothing."""
    again = run(dev, seed="1")
    first = {urn: json.dumps(node.inputs, sort_keys=True) for urn, node in up.graph.nodes.items()}
    assert {urn: json.dumps(node.inputs, sort_keys=True) for urn, node in again.graph.nodes.items()} == first


def test_the_cadence_is_that_of_the_stage(up, dev):
    assert {node.inputs["scheduleExpression"] for node in up.graph.all("EventRule")} == CADENCE[dev]
    seconds = {
        node.inputs["extendedS3Configuration"]["bufferingInterval"] for node in up.graph.all("FirehoseDeliveryStream")
    }
    assert seconds == {60 if dev == "true" else 900}
    assert len(up.graph.all("EventGenerator")) == (2 if dev == "true" else 0)


def test_nothing_is_sent_before_firehose_reads(up):
    """It reads a stream from when it was created: generators are registered once that is done."""
    created = max(node.order for node in up.graph.all("FirehoseDeliveryStream"))
    assert all(generator.order > created for generator in up.graph.all("EventGenerator"))


def test_the_facts_are_uploaded(up):
    facts = up.graph.one("BucketObject").inputs
    table = up.graph.one("CatalogTable", "analytics_dw-facts").inputs["storageDescriptor"]
    assert f"s3://{facts['bucket']}/{facts['key']}".startswith(table["location"])
    columns = {column["name"] for column in table["columns"]}
    assert all(json.loads(line).keys() == columns for line in facts["content"].splitlines())


def test_urns_stay(up, dev):
    found = sorted(up.graph.nodes)
    golden = GOLDEN / f"acme_ads_{'development' if dev == 'true' else 'production'}.txt"
    if os.environ.get("WRITE_GOLDEN"):
        golden.write_text("\n".join(found) + "\n")
    assert found == golden.read_text().splitlines()


def test_every_resource_type_with_its_count(up, dev):
    """The list is also in docs/guides/deploy-to-aws.md."""
    counts = Counter(node.type.split(":")[1].split("/")[0] + " " + node.kind for node in up.graph.custom)
    page = (ROOT / "docs" / "guides" / "deploy-to-aws.md").read_text()
    column = 2 if dev == "true" else 1
    listed = {}
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and cells[column].isdigit():
            listed[cells[0].strip("`")] = int(cells[column])
    assert listed.pop("in all") == sum(listed.values())
    assert {kind: count for kind, count in listed.items() if count} == counts
