"""The CloudWatch dashboard of a warehouse: the state of all alarms; for each stream what comes in, is delivered and is
rejected, and how late; the runs of all functions. Its body: CloudWatch API, "Dashboard body structure and syntax"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from datawarehouse.aws.alarms import delivery_metrics
from datawarehouse.aws.input_stream import InputStream
from datawarehouse.aws.lambda_cron import LambdaCronJob
from datawarehouse.aws.naming import dashboard_name
from datawarehouse.aws.policies import Place

ALARMS_MAX = 100
"""In one widget."""
STREAMS_MAX, FUNCTIONS_MAX = 100, 400
"""A stream has four widgets and six metrics, a function four metrics; a dashboard takes 500 widgets and 2,500 metrics,
a widget 500 (CloudWatch user guide, "CloudWatch service quotas")."""
_PERIOD_SECONDS = 300
_COLUMNS, _HEIGHT = 24, 6


class Dashboard:
    """A dashboard, created before what it shows: its body is computed when the program first awaits something."""

    def __init__(
        self, warehouse: str, topic_arn: pulumi.Output[str], place: Mapping[str, Any], opts: pulumi.ResourceOptions
    ) -> None:
        """topic_arn: of the topic of alarms, in the Region of everything that is shown."""
        self._streams: dict[str, InputStream] = {}
        self._functions: list[LambdaCronJob] = []
        self._topic_arn = topic_arn
        self._is_settled = False
        body: pulumi.Output[str] = pulumi.Output.from_input(0).apply(lambda _: self._body())
        self.resource = aws.cloudwatch.Dashboard(
            f"{warehouse}-dashboard",
            dashboard_name=dashboard_name(warehouse),
            dashboard_body=body,
            **place,
            opts=opts,
        )

    def add(self, table: str, *shown: InputStream | LambdaCronJob) -> None:
        """Show what fills a table."""
        if self._is_settled:
            pulumi.log.warn(
                f"Table {table!r} is not on the dashboard, which is computed when the program first awaits something. "
                "Declare the table before that.",
                self.resource,
            )
        for each in shown:
            if isinstance(each, InputStream):
                self._streams[table] = each
            else:
                self._functions.append(each)

    def _body(self) -> pulumi.Output[str]:
        self._is_settled = True
        watched: list[InputStream | LambdaCronJob] = [*self._streams.values(), *self._functions]
        alarms = [alarm.arn for each in watched for alarm in each.alarms]
        converters = sum(stream.converter is not None for stream in self._streams.values())
        left_out = [
            *list(self._streams)[STREAMS_MAX:],
            *(["some functions"] if len(self._functions) + converters > FUNCTIONS_MAX else []),
        ]
        if left_out:
            pulumi.log.warn(
                f"The dashboard has no room for {', '.join(left_out)}; its alarms are all there.", self.resource
            )
        region = self._topic_arn.apply(lambda arn: Place.of(arn).region)
        return pulumi.Output.json_dumps(_widgets(region, self._streams, self._functions, alarms))


_Text = pulumi.Input[str]
_Metric = tuple[str, str, str, _Text, str]
"""(namespace, metric, name of its dimension, value of that, statistic)."""
_Widget = tuple[str, Mapping[str, Any]]


def _widgets(
    region: _Text, streams: Mapping[str, InputStream], functions: Sequence[LambdaCronJob], alarms: Sequence[_Text]
) -> dict[str, Any]:
    stream_rows = [_stream_row(table, stream) for table, stream in list(streams.items())[:STREAMS_MAX]]
    converters = [stream.converter.function.name for stream in streams.values() if stream.converter]
    rows = [*_alarm_rows(alarms), *stream_rows, *_function_rows(functions, converters)]
    widgets = []
    for number, row in enumerate(rows):
        width = _COLUMNS // len(row)
        for place, (kind, properties) in enumerate(row):
            at = {"x": place * width, "y": number * _HEIGHT, "width": width, "height": _HEIGHT}
            placed = properties if kind == "alarm" else {**properties, "region": region}
            widgets.append({"type": kind, **at, "properties": placed})
    return {"widgets": widgets}


def _alarm_rows(alarms: Sequence[_Text]) -> Iterator[list[_Widget]]:
    for start in range(0, len(alarms), ALARMS_MAX):
        yield [("alarm", {"title": "Alarms", "alarms": list(alarms[start : start + ALARMS_MAX])})]


def _stream_row(table: str, shown: InputStream) -> list[_Widget]:
    stream = ("StreamName", shown.input_stream.name)
    converter = shown.converter.function.name if shown.converter else None
    freshness, delivered, rejected = delivery_metrics(shown.delivery_stream.name, converter)
    return [
        _graph(
            f"{table}: records that arrive",
            ("AWS/Kinesis", "IncomingRecords", *stream, "Sum"),
            ("AWS/Kinesis", "WriteProvisionedThroughputExceeded", *stream, "Sum"),
        ),
        _graph(
            f"{table}: delivered and rejected",
            (*delivered, "Sum"),
            (*rejected, "Sum"),
        ),
        _graph(
            f"{table}: age of the oldest record in delivery, in s",
            (*freshness, "Maximum"),
        ),
        _graph(
            f"{table}: age of the last record that was read, in ms",
            ("AWS/Kinesis", "GetRecords.IteratorAgeMilliseconds", *stream, "Maximum"),
        ),
    ]


def _function_rows(functions: Sequence[LambdaCronJob], converters: Sequence[_Text]) -> Iterator[list[_Widget]]:
    if not functions and not converters:
        return
    every = (*(each.function.name for each in functions), *converters)
    names = [("FunctionName", name) for name in every[:FUNCTIONS_MAX]]
    queues = [("QueueName", each.dead_letter_queue.name) for each in functions[:FUNCTIONS_MAX]]
    row = [
        _graph("Runs of functions", *(("AWS/Lambda", "Invocations", *name, "Sum") for name in names)),
        _graph("Failed runs", *(("AWS/Lambda", "Errors", *name, "Sum") for name in names)),
        _graph("Duration of runs, in ms", *(("AWS/Lambda", "Duration", *name, "Maximum") for name in names)),
    ]
    if queues:
        waiting = (("AWS/SQS", "ApproximateNumberOfMessagesVisible", *queue, "Maximum") for queue in queues)
        row.append(_graph("Events whose runs all failed", *waiting))
    yield row


def _graph(title: str, *metrics: _Metric) -> _Widget:
    shown = [[*metric[:4], {"stat": metric[4]}] for metric in metrics]
    return "metric", {"title": title, "view": "timeSeries", "period": _PERIOD_SECONDS, "metrics": shown}
