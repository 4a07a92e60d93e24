"""A Lambda function on a schedule, with the resources that report its failures.

1. A rule calls the function with a scheduled event, whose `time` is the scheduled instant; an event that it cannot
   deliver for six hours goes to the dead-letter queue.
2. Lambda calls the function up to three times for one event, a minute and two minutes apart; if all calls fail, the
   event goes to the same queue, with the error.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from datawarehouse.aws.alarms import add_alarm, function_alarms
from datawarehouse.aws.arguments import checked_arguments, checked_name, checked_number, shown
from datawarehouse.aws.naming import (
    FUNCTION_MAX,
    POLICY_MAX,
    QUEUE_MAX,
    ROLE_MAX,
    RULE_MAX,
    STATEMENT_MAX,
    short_name,
)
from datawarehouse.aws.packaging import ARCHITECTURE, RUNTIME, Code, handler_code
from datawarehouse.aws.policies import (
    Statement,
    dead_letters,
    document,
    function_logs,
    rule_dead_letters,
    trust,
)
from datawarehouse.aws.protection import replaceable
from datawarehouse.aws.refusals import in_one_line
from datawarehouse.aws.schedules import longest_gap_hours
from datawarehouse.definition.alerts import Conditions
from datawarehouse.definition.arguments import POLICY_ARN
from datawarehouse.definition.schedule import parse_schedule
from datawarehouse.errors import DeclarationError

TIMEOUT_SECONDS = 900
MEMORY_MB = 3008
"""The most that a new account is allowed."""
RETRIES = 2
EVENT_AGE_SECONDS = 21_600
"""Six hours, the longest that Lambda keeps an event for a retry (Lambda API, PutFunctionEventInvokeConfig)."""
DEAD_LETTER_SECONDS = 1_209_600
"""Fourteen days, the longest of SQS."""
ENVIRONMENT_BYTES_MAX = 4096
"""Lambda quotas: names and values of all variables."""
_HANDLER = re.compile(r"[\w/]+(\.\w+)+")
_VARIABLE = re.compile(r"[A-Za-z][A-Za-z0-9_]+")
_RESERVED = {
    *("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    *("AWS_SESSION_TOKEN", "AWS_EXECUTION_ENV", "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"),
    *("AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME"),
    *("AWS_LAMBDA_LOG_STREAM_NAME", "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR"),
}
"""Lambda developer guide, "Defined runtime environment variables": reserved."""


class LambdaCronJobArgs(TypedDict):
    """The arguments of a LambdaCronJob.

    schedule_expression: as EventBridge reads it. job: your `function(event, context)` at the top level of a module;
    that module is uploaded, and the modules beside it that it imports. Or code and handler: the files, and the function
    in them. environment: variables, at most 4 KB in all. policy_statements: what the function may do, as IAM
    statements. policy_arns_to_attach: managed policies. timeout_seconds: 1 to 900 (default). memory_mb: 128 to 10240
    (default: 3008). retries: 0 to 2 (default). alarm_topic_arn: the SNS topic that alarms go to (default: no alarms).
    conditions: from how many failed runs on they are told, as `with_alert` has it (default: its defaults). kms_key_arn:
    what the log is encrypted with (default: the key of CloudWatch Logs). log_retention_days: default 30. region:
    default is the provider's.
    """

    schedule_expression: str
    job: NotRequired[Callable[[Any, Any], Any]]
    code: NotRequired[pulumi.Archive]
    handler: NotRequired[str]
    environment: NotRequired[Mapping[str, pulumi.Input[str]]]
    policy_statements: NotRequired[pulumi.Input[Sequence[Statement]]]
    policy_arns_to_attach: NotRequired[Sequence[pulumi.Input[str]]]
    timeout_seconds: NotRequired[int]
    memory_mb: NotRequired[int]
    retries: NotRequired[int]
    alarm_topic_arn: NotRequired[pulumi.Input[str]]
    conditions: NotRequired[Conditions]
    kms_key_arn: NotRequired[pulumi.Input[str]]
    log_retention_days: NotRequired[int]
    region: NotRequired[pulumi.Input[str]]


class LambdaCronJob(pulumi.ComponentResource):
    """A Lambda function on a schedule: role, log, retries, dead-letter queue.

    function, role, dead_letter_queue, alarms: its resources. Raises DeclarationError, before anything is created, if an
    argument is unknown, the schedule is not one, or the function could not be imported on Lambda.
    """

    function: aws.lambda_.Function
    role: aws.iam.Role
    dead_letter_queue: aws.sqs.Queue
    alarms: list[aws.cloudwatch.MetricAlarm]

    @in_one_line
    def __init__(self, name: str, args: LambdaCronJobArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        given = _checked(checked_name("LambdaCronJob", name), args)
        super().__init__("datawarehouse:index:LambdaCronJob", name, {}, opts)
        self._name = name
        self._child = pulumi.ResourceOptions(parent=self)
        self._region = given.get("region")
        self.dead_letter_queue = aws.sqs.Queue(
            f"{name}-dead-letters",
            name=short_name(f"{name}-dead-letters", QUEUE_MAX),
            message_retention_seconds=DEAD_LETTER_SECONDS,
            sqs_managed_sse_enabled=True,
            region=self._region,
            opts=self._child,
        )
        self.role = aws.iam.Role(
            f"{name}-role",
            name=short_name(f"{name}-role", ROLE_MAX),
            assume_role_policy=trust("lambda.amazonaws.com"),
            opts=self._child,
        )
        self.function = self._function(given)
        self._schedule(given["schedule_expression"])
        topic = given.get("alarm_topic_arn")
        self.alarms = self._alarms(given, topic) if topic else []
        self.register_outputs(
            {"function_name": self.function.name, "dead_letter_queue_url": self.dead_letter_queue.url}
        )

    def _alarms(self, given: Mapping[str, Any], topic: pulumi.Input[str]) -> list[aws.cloudwatch.MetricAlarm]:
        failed_runs = given["conditions"].failed_runs
        if failed_runs is None:
            return []
        gap = longest_gap_hours(given["schedule_expression"])
        failed, lost = function_alarms(failed_runs, given["retries"] + 1, gap)
        return [
            add_alarm(self._name, failed, {"FunctionName": self.function.name}, topic, self, self._region),
            add_alarm(self._name, lost, {"QueueName": self.dead_letter_queue.name}, topic, self, self._region),
        ]

    def _function(self, given: Mapping[str, Any]) -> aws.lambda_.Function:
        name = self._name
        log = aws.cloudwatch.LogGroup(
            f"{name}-log",
            retention_in_days=given["log_retention_days"],
            kms_key_id=given.get("kms_key_arn"),
            region=self._region,
            opts=self._child,
        )
        rights = aws.iam.RolePolicy(
            f"{name}-policy",
            name=short_name(f"{name}-policy", POLICY_MAX),
            role=self.role.name,
            policy=pulumi.Output.all(log.arn, self.dead_letter_queue.arn, given["policy_statements"]).apply(
                lambda found: document([*function_logs(found[0]), *dead_letters(found[1]), *found[2]])
            ),
            opts=self._child,
        )
        attached = [
            aws.iam.RolePolicyAttachment(
                f"{name}-attachment-{number}", role=self.role.name, policy_arn=arn, opts=replaceable(self)
            )
            for number, arn in enumerate(given["policy_arns_to_attach"])
        ]
        code: Code | None = given.get("packaged")
        function = aws.lambda_.Function(
            f"{name}-function",
            name=short_name(f"{name}-function", FUNCTION_MAX),
            runtime=RUNTIME,
            architectures=[ARCHITECTURE],
            code=code.archive() if code else given["code"],
            handler=code.handler if code else given["handler"],
            role=self.role.arn,
            timeout=given["timeout_seconds"],
            memory_size=given["memory_mb"],
            environment={"variables": given["environment"]} if given.get("environment") else None,
            logging_config={"log_format": "JSON", "log_group": log.name},
            region=self._region,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[rights, *attached]),
        )
        aws.lambda_.FunctionEventInvokeConfig(
            f"{name}-retries",
            function_name=function.name,
            maximum_retry_attempts=given["retries"],
            maximum_event_age_in_seconds=EVENT_AGE_SECONDS,
            destination_config={"on_failure": {"destination": self.dead_letter_queue.arn}},
            region=self._region,
            opts=self._child,
        )
        return function

    def _schedule(self, expression: str) -> None:
        name = self._name
        rule = aws.cloudwatch.EventRule(
            f"{name}-rule",
            name=short_name(f"{name}-rule", RULE_MAX),
            schedule_expression=expression,
            region=self._region,
            opts=self._child,
        )
        aws.sqs.QueuePolicy(
            f"{name}-dead-letters-policy",
            queue_url=self.dead_letter_queue.url,
            policy=pulumi.Output.all(self.dead_letter_queue.arn, rule.arn).apply(lambda arns: rule_dead_letters(*arns)),
            region=self._region,
            opts=self._child,
        )
        permission = aws.lambda_.Permission(
            f"{name}-permission",
            statement_id=short_name(f"{name}-permission", STATEMENT_MAX),
            action="lambda:InvokeFunction",
            function=self.function.name,
            principal="events.amazonaws.com",
            source_arn=rule.arn,
            region=self._region,
            opts=self._child,
        )
        aws.cloudwatch.EventTarget(
            f"{name}-target",
            rule=rule.name,
            arn=self.function.arn,
            retry_policy={"maximum_event_age_in_seconds": EVENT_AGE_SECONDS, "maximum_retry_attempts": 185},
            dead_letter_config={"arn": self.dead_letter_queue.arn},
            region=self._region,
            # A scheduled event that comes before the permission is refused and never repeated.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[permission]),
        )


def _checked(component: str, args: LambdaCronJobArgs) -> dict[str, Any]:
    """The arguments, with their defaults; `packaged` is the code of a job."""
    given = checked_arguments(component, args, LambdaCronJobArgs)
    parse_schedule(given["schedule_expression"])
    if ("job" in given) == ("code" in given) or ("code" in given) != ("handler" in given):
        raise DeclarationError(
            f"{component}: give either job, your function(event, context), or both code, an archive, and handler, "
            "'module.function' in it."
        )
    limits = {
        "timeout_seconds": (TIMEOUT_SECONDS, 1, TIMEOUT_SECONDS, "Lambda quotas"),
        "memory_mb": (MEMORY_MB, 128, 10_240, "Lambda quotas"),
        "retries": (RETRIES, 0, RETRIES, "Lambda API, PutFunctionEventInvokeConfig"),
    }
    statements = given.get("policy_statements", [])
    is_list = isinstance(statements, list | tuple) and all(map(_is_statement, statements))
    if not is_list and not isinstance(statements, pulumi.Output):
        raise DeclarationError(
            f"{component}: policy_statements is {shown(statements)}; valid is a list of IAM statements, e.g. "
            "[{'Effect': 'Allow', 'Action': ['s3:GetObject'], 'Resource': 'arn:aws:s3:::lake/*'}]."
        )
    for arn in given.get("policy_arns_to_attach", ()):
        if isinstance(arn, str) and not POLICY_ARN.fullmatch(arn):
            raise DeclarationError(
                f"{component}: policy_arns_to_attach has {arn!r}; valid are ARNs of IAM policies, e.g. "
                "'arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess'."
            )
    _check_environment(component, given.get("environment", {}))
    if "handler" in given and not _HANDLER.fullmatch(given["handler"]):
        raise DeclarationError(f"{component}: handler is {given['handler']!r}; valid is 'module.function'.")
    checked = {
        argument: checked_number(component, argument, given.get(argument, default), low, high, source)
        for argument, (default, low, high, source) in limits.items()
    }
    packaged = {"packaged": handler_code(component, given["job"])} if "job" in given else {}
    defaults: dict[str, Any] = {"policy_statements": [], "policy_arns_to_attach": [], "conditions": Conditions()}
    return {**defaults, **given, **checked, **packaged}


def _is_statement(value: Any) -> bool:
    """Whether a value has the members of an IAM statement (IAM user guide, "IAM JSON policy element reference")."""
    return (
        isinstance(value, dict)
        and value.get("Effect") in ("Allow", "Deny")
        and ("Action" in value) != ("NotAction" in value)
        and ("Resource" in value) != ("NotResource" in value)
    )


def _check_environment(component: str, variables: Mapping[Any, Any]) -> None:
    """Lambda developer guide, "Working with Lambda environment variables"; else DeclarationError."""
    for name in variables:
        if not isinstance(name, str) or not _VARIABLE.fullmatch(name) or name in _RESERVED:
            raise DeclarationError(
                f"{component}: environment has {name!r}; valid are names of letters, digits and underscores that begin "
                "with a letter and are not Lambda's own, such as AWS_REGION."
            )
    size = sum(len(text.encode()) for pair in variables.items() for text in pair if isinstance(text, str))
    if size > ENVIRONMENT_BYTES_MAX:
        raise DeclarationError(
            f"{component}: environment has {size} bytes; Lambda takes {ENVIRONMENT_BYTES_MAX}. Keep long values in an "
            "object on S3, or in the module."
        )
