"""Reading metrics: pages, many metrics, and what CloudWatch could not read."""

from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.stub import ANY, Stubber

from datawarehouse.errors import DataWarehouseError
from datawarehouse.operate.metrics import Metric, read_metrics

END = datetime(2026, 11, 23, tzinfo=UTC)
START = END - timedelta(days=1)


def metric(number):
    return Metric("AWS/Kinesis", "IncomingRecords", ("StreamName", f"s{number}"), "Sum")


def result(number, hours, status="Complete"):
    times = [START + timedelta(hours=hour) for hour in hours]
    return {"Id": f"m{number}", "Timestamps": times, "Values": [float(hour) for hour in hours], "StatusCode": status}


@pytest.fixture
def cloudwatch():
    client = boto3.client("cloudwatch", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stub:
        yield client, stub
        stub.assert_no_pending_responses()


def asked(**more):
    return {"MetricDataQueries": ANY, "StartTime": START, "EndTime": END, "ScanBy": ANY, **more}


def test_values_of_all_pages_belong_to_their_metrics(cloudwatch):
    client, stub = cloudwatch
    first = [result(1, [2], "PartialData"), result(0, [3])]
    stub.add_response("get_metric_data", {"MetricDataResults": first, "NextToken": "more"}, asked())
    stub.add_response("get_metric_data", {"MetricDataResults": [result(1, [1, 5])]}, asked(NextToken="more"))
    found = read_metrics(client, [metric(0), metric(1), metric(2)], START, END, 3600)
    assert {each: list(points.values()) for each, points in found.items()} == {
        metric(0): [3.0],
        metric(1): [1.0, 2.0, 5.0],
        metric(2): [],
    }


def test_more_than_500_metrics_are_several_calls(cloudwatch):
    client, stub = cloudwatch
    for count in (500, 500, 1):
        stub.add_response("get_metric_data", {"MetricDataResults": [result(count - 1, [4])]}, asked())
    found = read_metrics(client, [metric(number) for number in range(1001)], START, END, 3600)
    assert [each.dimension[1] for each, points in found.items() if points] == ["s499", "s999", "s1000"]


@pytest.mark.parametrize("status", ["InternalError", "Forbidden"])
def test_what_could_not_be_read_is_no_zero(cloudwatch, status):
    client, stub = cloudwatch
    stub.add_response("get_metric_data", {"MetricDataResults": [result(0, [], status)]}, asked())
    with pytest.raises(DataWarehouseError, match=f"could not read IncomingRecords of s0: {status}"):
        read_metrics(client, [metric(0)], START, END, 3600)
