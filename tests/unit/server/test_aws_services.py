"""Which service of AWS a request is for."""

import pytest

from datawarehouse.server.aws_services import service_of
from datawarehouse.server.http import Request

SIGNED = "AWS4-HMAC-SHA256 Credential=ID/20260101/eu-west-1/{}/aws4_request, SignedHeaders=host, Signature=00"


def request(query="", **headers):
    named = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return Request("POST", "/", query, named, None)


@pytest.mark.parametrize(
    ("headers", "service"),
    [
        ({"x_amz_target": "Kinesis_20131202.PutRecords"}, "kinesis"),
        ({"x_amz_target": "AmazonAthena.GetQueryResults"}, "athena"),
        ({"x_amz_target": "AmazonAthena.GetQueryResults", "authorization": SIGNED.format("kinesis")}, "athena"),
        ({"x_amz_target": "Firehose_20150804.PutRecord"}, "kinesis"),
        ({"x_amz_target": ""}, "kinesis"),
        ({"authorization": SIGNED.format("execute-api")}, ""),
        ({"authorization": "Bearer athena"}, ""),
        ({}, ""),
    ],
)
def test_a_header_names_the_service_and_a_signature_does_where_there_is_none(headers, service):
    assert service_of(request(**headers)) == service
