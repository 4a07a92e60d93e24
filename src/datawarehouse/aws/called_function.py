"""A Lambda function that somebody calls and waits for, with its role and log: what fails is the caller's to repeat."""

from collections.abc import Callable, Mapping
from typing import Any

import pulumi
import pulumi_aws as aws

from datawarehouse.aws.naming import FUNCTION_MAX, POLICY_MAX, ROLE_MAX, short_name
from datawarehouse.aws.packaging import ARCHITECTURE, RUNTIME, Code
from datawarehouse.aws.policies import Statement, document, function_logs, trust


def called_function(
    parent: pulumi.ComponentResource,
    name: str,
    code: Code,
    rights: Callable[[pulumi.Output[str]], pulumi.Output[list[Statement]]],
    environment: Mapping[str, pulumi.Input[str]],
    settings: Mapping[str, Any],
) -> aws.lambda_.Function:
    """Create them as children of `parent`, named after `name`.

    rights: what the role may do besides writing its log, from the ARN of that. settings: memory_mb, timeout_seconds,
    log_retention_days, and maybe kms_key_arn (of the log) and region.
    """
    child, region = pulumi.ResourceOptions(parent=parent), settings.get("region")
    role = aws.iam.Role(
        f"{name}-role",
        name=short_name(f"{name}-role", ROLE_MAX),
        assume_role_policy=trust("lambda.amazonaws.com"),
        opts=child,
    )
    log = aws.cloudwatch.LogGroup(
        f"{name}-log",
        retention_in_days=settings["log_retention_days"],
        kms_key_id=settings.get("kms_key_arn"),
        region=region,
        opts=child,
    )
    policy = aws.iam.RolePolicy(
        f"{name}-policy",
        name=short_name(f"{name}-policy", POLICY_MAX),
        role=role.name,
        policy=pulumi.Output.all(log.arn, rights(log.arn)).apply(
            lambda found: document([*function_logs(found[0]), *found[1]])
        ),
        opts=child,
    )
    return aws.lambda_.Function(
        f"{name}-function",
        name=short_name(f"{name}-function", FUNCTION_MAX),
        runtime=RUNTIME,
        architectures=[ARCHITECTURE],
        code=code.archive(),
        handler=code.handler,
        role=role.arn,
        timeout=settings["timeout_seconds"],
        memory_size=settings["memory_mb"],
        environment={"variables": dict(environment)},
        logging_config={"log_format": "JSON", "log_group": log.name},
        region=region,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[policy]),
    )
