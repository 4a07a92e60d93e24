"""The topic that all alarms of a warehouse go to, and the addresses that it is sent to."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from datawarehouse.aws.policies import alarms_by_tls


def alarm_topic(
    name: str,
    emails: Sequence[str],
    key_arn: pulumi.Input[str] | None,
    place: Mapping[str, Any],
    opts: pulumi.ResourceOptions,
) -> aws.sns.Topic:
    """The topic `<name>-alarms`, to which the alarms of its account may publish, with a subscription for each address.

    key_arn: what its messages are encrypted with, if anything. place: the Region, if it is not the provider's.
    """
    topic = aws.sns.Topic(f"{name}-alarms", kms_master_key_id=key_arn, **place, opts=opts)
    aws.sns.TopicPolicy(
        f"{name}-alarms-policy", arn=topic.arn, policy=topic.arn.apply(alarms_by_tls), **place, opts=opts
    )
    for number, address in enumerate(emails):
        aws.sns.TopicSubscription(
            f"{name}-alarms-email-{number}", topic=topic.arn, protocol="email", endpoint=address, **place, opts=opts
        )
    return topic
