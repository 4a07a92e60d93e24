"""The warehouse of warehouse.py in your AWS account: `pulumi up`. See docs/guides/deploy-to-aws.md."""

from pathlib import Path

import pulumi
import pulumi_aws as aws
from warehouse import warehouse

from datawarehouse.aws import EventGenerator, ServerlessDataWarehouse

dev = pulumi.Config().get_bool("dev") or False
deployed = ServerlessDataWarehouse("analytics_dw", {"warehouse": warehouse, "is_dev": dev})

pulumi.export("warehouse", deployed.addresses)  # for `dw ... --on aws`
pulumi.export("impression_input_stream", deployed.get_input_stream("impressions").name)
pulumi.export("click_input_stream", deployed.get_input_stream("clicks").name)
pulumi.export("database_name", deployed.database.name)
pulumi.export("impression_table_name", deployed.get_table("impressions").name)
pulumi.export("click_table_name", deployed.get_table("clicks").name)
pulumi.export("athena_results_bucket", deployed.query_results_bucket.bucket)

aws.s3.BucketObject(
    "facts",
    bucket=deployed.data_warehouse_bucket.bucket,
    key="facts/facts.json",
    content=(Path(__file__).parent / "facts.json").read_text(),
    content_type="application/json",
)

if dev:
    for name in ("impressions", "clicks"):
        stream = deployed.get_input_stream(name)
        EventGenerator(
            f"{name}-generator",
            {"table": warehouse.get_table(name), "stream_name": stream.name, "stream_arn": stream.arn},
            # Firehose reads a stream from when it was created.
            pulumi.ResourceOptions(depends_on=[deployed]),
        )
