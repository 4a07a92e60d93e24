"""Lambda functions, their variables and retries, and the rules of EventBridge that call them."""

from __future__ import annotations

import json
import re

from graph import Node, has_unknown

from datawarehouse.definition.schedule import parse_schedule
from datawarehouse.errors import DataWarehouseError
from house.archives import handler_errors
from house.identity import granted, waits_for_rights
from house.world import Errors, World, about, get, number_in

ENVIRONMENT_BYTES_MAX = 4096
_RESERVED = re.compile(r"AWS_|_HANDLER$|_X_AMZN|LAMBDA_|PYTHONPATH$|TZ$")


CONVERT = "datawarehouse.functions.convert_events.handler"
GATEWAY = "datawarehouse.functions.gateway.handler"
MEMORY_MB_MAX = 3008  # of new accounts; others may have 10,240


@about("Function")
def function_rule(node: Node, world: World) -> Errors:
    """One runtime and processor for all; a log that ends; what failed is kept. Developer guide, "Lambda quotas"."""
    inputs = node.inputs
    if inputs.get("runtime") != "python3.13":
        yield f"runtime is {inputs.get('runtime')!r}, not python3.13"
    if inputs.get("architectures") != ["arm64"]:
        yield f"architectures are {inputs.get('architectures')!r}, not arm64"
    if not number_in(inputs.get("timeout"), 1, 900):
        yield f"timeout is {inputs.get('timeout')!r}, not 1 to 900 s"
    if not number_in(inputs.get("memorySize"), 128, MEMORY_MB_MAX):
        yield f"memorySize is {inputs.get('memorySize')!r}, not 128 to {MEMORY_MB_MAX} MB"
    if inputs.get("packageType", "Zip") != "Zip":
        yield f"packageType is {inputs.get('packageType')!r}"
    if get(inputs, "loggingConfig.logGroup") is None:
        yield "no log group is given: Lambda would make one that is never emptied"
    if get(inputs, "loggingConfig.logFormat") not in ("JSON", "Text"):
        yield f"logFormat is {get(inputs, 'loggingConfig.logFormat')!r}"
    yield from handler_errors(node)
    configs = world.pointing("FunctionEventInvokeConfig", "functionName", node)
    # Firehose, or somebody who asks, waits for the answer, and repeats the call.
    is_asked = inputs.get("handler") in (CONVERT, GATEWAY)
    if len(configs) != (not is_asked):
        yield f"{len(configs)} event invoke configs"
    role = world.at(inputs.get("role"))
    if role is None or role.kind != "Role":
        yield f"role is {inputs.get('role')!r}, no role of this stack"
        return
    rights = granted(world, role)
    group = world.named("LogGroup", get(inputs, "loggingConfig.logGroup"))
    for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
        if group and not {(action, f"{group.outputs.get('arn')}:{end}") for end in ("*", "log-stream:*")} & rights:
            yield f"its role may not {action} in its log group"
    for config in configs:
        target = world.at(get(config.inputs, "destinationConfig.onFailure.destination"))
        if target is not None:
            action = {"Queue": "sqs:SendMessage", "Topic": "sns:Publish"}.get(target.kind)
            if (action, target.outputs.get("arn")) not in rights:
                yield f"its role may not {action} to the destination of failures"
    if not waits_for_rights(node, role, world):
        yield "does not wait for the policy of its role"


# Variables of our functions: pattern of the value. Which of them a function needs: `_WANTED`.
_VARIABLES = {
    "DW_BUCKET": r"[a-z0-9.-]+",
    "DW_COMPACTED": r"[a-z0-9_]+",
    "DW_DATABASE": r"[a-z0-9_]+",
    "DW_DEDUPE_KEY": r"[a-z0-9_]+",
    "DW_HOURS_AHEAD": r"[1-9]\d{0,2}",
    "DW_LOOK_BACK_HOURS": r"[1-9]\d{1,3}",
    "DW_JOB": r"[\w.]+:\w+",
    "DW_RERUN": r"yes",
    "DW_RETENTION_DAYS": r"[1-9]\d{0,4}",
    "DW_RESULTS": r"s3://[a-z0-9.-]+",
    "DW_SETTLED_MINUTES": r"[1-5]?\d",
    "DW_SORT_BY": r"[a-z0-9_]+(,[a-z0-9_]+)*",
    "DW_STREAM": r"[\w.-]+",
    "DW_TABLE": r"[a-z0-9_]+",
    "DW_TABLES": r"[a-z0-9_]+(,[a-z0-9_]+)*",
    "DW_WATCHED": r"[a-z0-9_]+(,[a-z0-9_]+)*",
    "DW_WORKGROUP": r"[\w.-]+",
}
_WANTED = {
    CONVERT: {"DW_BUCKET", "DW_DATABASE", "DW_TABLE"},
    GATEWAY: {"DW_BUCKET", "DW_DATABASE", "DW_RESULTS"},
    "datawarehouse.functions.register_partitions.handler": {"DW_DATABASE", "DW_TABLES"},
    "datawarehouse.functions.run_job.handler": {"DW_DATABASE", "DW_TABLE", "DW_JOB", "DW_WORKGROUP", "DW_RESULTS"},
    "datawarehouse.functions.run_sql.handler": {"DW_DATABASE", "DW_TABLE", "DW_WORKGROUP", "DW_RESULTS"},
    "datawarehouse.functions.generate_events.handler": {"DW_STREAM"},
    "datawarehouse.functions.compact.handler": {
        *("DW_DATABASE", "DW_TABLE", "DW_WORKGROUP", "DW_RESULTS", "DW_SETTLED_MINUTES", "DW_LOOK_BACK_HOURS")
    },
}


@about("Function")
def environment_rule(node: Node, world: World) -> Errors:
    """Developer guide, "Working with Lambda environment variables"; and the variables that our functions read."""
    variables = get(node.inputs, "environment.variables") or {}
    if has_unknown(variables) or not isinstance(variables, dict):
        return
    total = sum(len(key.encode()) + len(str(value).encode()) for key, value in variables.items())
    if total >= ENVIRONMENT_BYTES_MAX:
        yield f"environment variables take {total} bytes of at most {ENVIRONMENT_BYTES_MAX}"
    handler = node.inputs.get("handler")
    ours = isinstance(handler, str) and handler.startswith("datawarehouse.functions.")
    if ours and (missing := _WANTED.get(handler, set()) - variables.keys()):
        yield f"{handler} needs {sorted(missing)}"
    for key, value in variables.items():
        if not re.fullmatch(r"[A-Za-z]\w+", key) or _RESERVED.match(key):
            yield f"variable {key!r} has a name that Lambda refuses or reserves"
        if key in _VARIABLES:
            if not re.fullmatch(_VARIABLES[key], str(value)):
                yield f"variable {key} is {value!r}"
        elif ours:
            yield f"variable {key!r} is read by no function of ours"
    for watched in str(variables.get("DW_WATCHED") or "").split(","):
        if watched and world.named("CatalogTable", watched) is None:
            yield f"watched table {watched!r} is not in this stack"
    if "DW_WATCHED" in variables and "DW_LOOK_BACK_HOURS" not in variables:
        yield "DW_WATCHED needs DW_LOOK_BACK_HOURS"
    if "DW_RERUN" in variables and "DW_WATCHED" not in variables:
        yield "DW_RERUN needs DW_WATCHED"
    columns = [name for key in ("DW_SORT_BY", "DW_DEDUPE_KEY") for name in str(variables.get(key) or "").split(",")]
    if any(columns):
        table = world.named("CatalogTable", variables.get("DW_TABLE"))
        known = {one.get("name") for one in get(table.inputs, "storageDescriptor.columns") or []} if table else set()
        yield from (f"column {name!r} is not in its table" for name in columns if name and name not in known)
    if variables.get("DW_COMPACTED") not in (None, *str(variables.get("DW_TABLES")).split(",")):
        yield f"DW_COMPACTED is {variables['DW_COMPACTED']!r}, none of its tables"
    database = variables.get("DW_DATABASE")
    for table in str(variables.get("DW_TABLES", variables.get("DW_TABLE", ""))).split(","):
        found = world.named("CatalogTable", table)
        if table and (found is None or found.inputs.get("databaseName") != database):
            yield f"table {table!r} is not in the database {database!r}"


@about("FunctionEventInvokeConfig")
def invoke_config_rule(node: Node, world: World) -> Errors:
    """Lambda API, PutFunctionEventInvokeConfig: its limits. What failed for good goes to a queue or a topic."""
    if not number_in(node.inputs.get("maximumRetryAttempts"), 0, 2):
        yield f"maximumRetryAttempts is {node.inputs.get('maximumRetryAttempts')!r}, not 0 to 2"
    if not number_in(node.inputs.get("maximumEventAgeInSeconds"), 60, 21_600):
        yield f"maximumEventAgeInSeconds is {node.inputs.get('maximumEventAgeInSeconds')!r}, not 60 to 21600"
    target = world.at(get(node.inputs, "destinationConfig.onFailure.destination"))
    if target is None or target.kind not in ("Queue", "Topic"):
        yield "failures go nowhere: no queue or topic of this stack as on-failure destination"


STATEMENT_CHARACTERS_MAX = 100  # AddPermission, StatementId


@about("Permission")
def permission_rule(node: Node, world: World) -> Errors:
    """EventBridge user guide, "Using resource-based policies": a rule calls a function if a permission says so."""
    if node.inputs.get("action") != "lambda:InvokeFunction":
        yield f"action is {node.inputs.get('action')!r}, not lambda:InvokeFunction"
    if node.inputs.get("principal") != "events.amazonaws.com":
        yield f"principal is {node.inputs.get('principal')!r}, not events.amazonaws.com"
    if len(str(node.outputs.get("statementId", ""))) > STATEMENT_CHARACTERS_MAX:
        yield f"statementId {node.outputs['statementId']!r} has more than {STATEMENT_CHARACTERS_MAX} characters"
    source = world.at(node.inputs.get("sourceArn"))
    function = world.named("Function", node.inputs.get("function"))
    if source is None or source.kind != "EventRule":
        yield f"sourceArn is {node.inputs.get('sourceArn')!r}, no rule of this stack"
    elif function and not any(
        world.at(one.inputs.get("arn")) is function for one in world.pointing("EventTarget", "rule", source)
    ):
        yield f"the rule {source.physical_name} does not call {function.physical_name}"


@about("Invocation")
def invocation_rule(node: Node) -> Errors:
    """A deployment calls the registrar, which asks whether it is one that calls."""
    try:
        event = json.loads(node.inputs.get("input", ""))
    except (TypeError, ValueError):
        event = None
    if not isinstance(event, dict) or event.get("source") != "deployment":
        yield f"input is {node.inputs.get('input')!r}, not the JSON of {{'source': 'deployment'}}"
    if node.inputs.get("lifecycleScope", "CREATE_ONLY") not in ("CREATE_ONLY", "CRUD"):
        yield f"lifecycleScope is {node.inputs.get('lifecycleScope')!r}"


@about("EventRule")
def schedule_rule(node: Node, world: World) -> Errors:
    """EventBridge user guide, "Creating an Amazon EventBridge rule that runs on a schedule"; API, PutTargets."""
    expression = node.inputs.get("scheduleExpression")
    try:
        parse_schedule(expression)
    except (DataWarehouseError, TypeError, AttributeError) as error:
        yield f"scheduleExpression: {error}"
    if node.inputs.get("state", "ENABLED") not in ("ENABLED", "DISABLED"):
        yield f"state is {node.inputs['state']!r}"
    if node.inputs.get("eventBusName", "default") != "default":
        yield "scheduled rules exist on the default bus only"
    targets = world.pointing("EventTarget", "rule", node)
    if not 1 <= len(targets) <= 5:
        yield f"{len(targets)} targets, not 1 to 5"


@about("EventTarget")
def target_rule(node: Node, world: World) -> Errors:
    """What cannot be delivered goes to a queue; the event keeps its `time`.

    EventBridge API, RetryPolicy: its limits; user guide, "Using dead-letter queues to process undelivered events".
    """
    function = world.at(node.inputs.get("arn"))
    rule = world.named("EventRule", node.inputs.get("rule"))
    if function is None or function.kind != "Function":
        yield f"arn is {node.inputs.get('arn')!r}, no function of this stack"
    elif rule and not any(
        world.at(one.inputs.get("sourceArn")) is rule for one in world.pointing("Permission", "function", function)
    ):
        yield "no permission lets the rule call the function"
    if not re.fullmatch(r"[.\-_A-Za-z0-9]{1,64}", str(node.inputs.get("targetId", "generated"))):
        yield f"targetId is {node.inputs['targetId']!r}"
    if any(node.inputs.get(key) is not None for key in ("input", "inputPath", "inputTransformer")):
        yield "an input of its own takes the time from the event"
    queue = world.at(get(node.inputs, "deadLetterConfig.arn"))
    if queue is None or queue.kind != "Queue":
        yield "what cannot be delivered is lost: no queue of this stack in deadLetterConfig"
    elif rule and not any(
        rule.outputs.get("arn") in [text for _, text in one.texts]
        for one in world.all("QueuePolicy")
        if one.inputs.get("queueUrl") == queue.outputs.get("url")
    ):
        yield "the policy of the dead-letter queue does not let the rule send"
    if not number_in(get(node.inputs, "retryPolicy.maximumEventAgeInSeconds"), 60, 86_400):
        yield "retryPolicy.maximumEventAgeInSeconds is not 60 to 86400"
    if not number_in(get(node.inputs, "retryPolicy.maximumRetryAttempts"), 0, 185):
        yield "retryPolicy.maximumRetryAttempts is not 0 to 185"
