"""IAM policies of the gateway and of those who ask through it: pure functions, as in `policies`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from datawarehouse.aws.policies import READ_BUCKET, READ_TABLE, WRITE_OBJECTS, Place, Statement, allow, bucket_key


@dataclass(frozen=True, slots=True)
class GatewayRights:
    """What the gateway may use. workgroups: the names in Athena of the guarded ones, by audience."""

    place: Place
    database: str
    data_bucket: str
    results_bucket: str
    workgroups: Mapping[str, str]
    key_arn: str | None = None


def gateway(rights: GatewayRights) -> list[Statement]:
    """What the gateway needs: to count what statements would read, to start them, and what Athena does to answer
    them."""
    place, results = rights.place, rights.results_bucket
    return [
        allow("Start", ["athena:StartQueryExecution"], [place.workgroup(name) for name in rights.workgroups.values()]),
        allow(
            "ReadDatabases",
            ["glue:GetDatabase", "glue:GetDatabases"],
            [*place.glue(rights.database, []), place.default_database()],
        ),
        allow("ReadTables", [*READ_TABLE, "glue:GetTables"], place.glue(rights.database, ["*"])),
        allow("Buckets", READ_BUCKET, [place.bucket(rights.data_bucket), place.bucket(results)]),
        allow("Uploads", ["s3:ListBucketMultipartUploads"], place.bucket(results)),
        allow("ReadData", ["s3:GetObject"], place.objects(rights.data_bucket, "")),
        allow(
            "Results",
            ["s3:GetObject", *WRITE_OBJECTS],
            [place.objects(results, f"{audience}/") for audience in rights.workgroups],
        ),
        *([bucket_key(place, rights.key_arn)] if rights.key_arn else []),
    ]


def analyst(
    gateway_arn: str, workgroup: str, results_bucket: str, audience: str, key_arn: str | None = None
) -> list[Statement]:
    """What somebody needs who asks through the gateway in one guarded workgroup: to call it, to wait for the query or
    to stop it, and to read its result (Amazon Athena API reference, GetQueryResults)."""
    place = Place.of(gateway_arn)
    key_condition = {"StringEquals": {"kms:ViaService": place.key_service("s3")}}
    return [
        allow("Ask", ["lambda:InvokeFunction"], gateway_arn),
        allow(
            "Follow",
            ["athena:GetQueryExecution", "athena:GetQueryResults", "athena:StopQueryExecution"],
            place.workgroup(workgroup),
        ),
        allow("Results", ["s3:GetObject"], place.objects(results_bucket, f"{audience}/")),
        *([allow("BucketKey", ["kms:Decrypt"], key_arn, key_condition)] if key_arn else []),
    ]
