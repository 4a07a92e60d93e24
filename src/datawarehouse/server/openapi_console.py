"""The routes behind the console, as `openapi_routes` describes the others."""

from __future__ import annotations

from datawarehouse.errors import FolderError, Throttled, UnknownName, UnknownQuery
from datawarehouse.query.messages import CONTENT_TYPES
from datawarehouse.server.bodies import BackfillBody, JobRunBody, SavedQueryBody, SessionBody
from datawarehouse.server.openapi_model import (
    ID,
    OF_QUERIES,
    TABLE,
    WAIT,
    Answer,
    Errors,
    Parameter,
    Route,
    body_of,
    json_answer,
)
from datawarehouse.server.openapi_shapes import (
    COUNT,
    NUMBER,
    TEXT,
    TIME,
    TRUTH,
    WHOLE,
    Shape,
    by_name,
    fields,
    many,
    or_null,
    ref,
)

_SESSION: Shape = fields(
    {
        "needs_key": TRUTH,
        "signed_in": TRUTH,
        "name": or_null(TEXT),
        "expires_at": or_null(TIME),
        "warehouse": or_null(TEXT),
        "version": or_null(TEXT),
        "may": fields(
            {"query": many(TEXT), "query_all": TRUTH, "put": TRUTH, "monitor": TRUTH, "administer": TRUTH}
        ),
    }
)  # fmt: skip
_ATTENTION = fields(
    {
        "id": TEXT, "alert": TEXT, "severity": {"type": "string", "enum": ["bad", "warn", "note"]},
        "table": or_null(TEXT), "text": TEXT, "next_step": TEXT, "page": TEXT,
    }
)  # fmt: skip
_OVERVIEW = fields(
    {
        "warehouse": TEXT,
        "now": TIME,
        "since": TIME,
        "attention": many(_ATTENTION),
        "tables": many(
            fields(
                {
                    "table": TEXT,
                    "kind": TEXT,
                    **dict.fromkeys(("events_per_s", "rejected_per_s", "lag_s"), or_null(NUMBER)),
                    **dict.fromkeys(("received", "stored", "rejected", "pending", "journal_bytes"), or_null(WHOLE)),
                    "newest_hour": or_null(TEXT),
                    "rows": COUNT,
                    "files": COUNT,
                    "bytes": COUNT,
                    "recent": or_null(many(WHOLE)),
                }
            )
        ),
        "disk_free_bytes": or_null(COUNT),
        "backup": or_null(fields({"at": or_null(TIME), "age_s": or_null(NUMBER)})),
        "queries": many(ref("Query")),
    }
)
_COUNTS = dict.fromkeys(("received", "stored", "rejected", "rows", "files", "bytes"), COUNT)
_COLUMN = fields({"name": TEXT, "type": TEXT})
_TABLES = fields(
    {
        "tables": many(
            fields(
                {"table": TEXT, "kind": TEXT, "event_time": or_null(TEXT), "partition_keys": many(TEXT),
                 "may_query": TRUTH}
            )
        )
    }
)  # fmt: skip
_TABLE = fields(
    {
        "table": TEXT,
        "kind": TEXT,
        "event_time": or_null(TEXT),
        "data_format": TEXT,
        "columns": many(fields({"name": TEXT, "type": TEXT, "json_key": TEXT})),
        "partition_keys": many(_COLUMN),
        "first_hour": or_null(TEXT),
        "newest_hour": or_null(TEXT),
        **_COUNTS,
        "unknown_keys": by_name(COUNT),
        "complete_until": or_null(TIME),
    }
)
_HOURS = fields(
    {
        "table": TEXT,
        "from": TEXT,
        "to": TEXT,
        "complete_until": or_null(TEXT),
        "hour": many(TEXT),
        **dict.fromkeys(_COUNTS, many(WHOLE)),
        "state": {"type": "string", "pattern": "^[ockd]*$"},
    }
)
_LATE = {
    **dict.fromkeys(("events", "without", "unknown"), COUNT),
    **dict.fromkeys(("p50", "p99", "p99.9", "maximum"), or_null(WHOLE)),
}
_LATENESS = fields(
    {
        "table": TEXT, "event_time": TEXT, "unit": TEXT, "from": TEXT, "to": TEXT, "all": fields(_LATE),
        "hours": many(fields({"hour": TEXT, **_LATE})),
    }
)  # fmt: skip
_FILES = fields(
    {
        "table": TEXT,
        "files": many(
            fields(
                {"path": TEXT, "hour": TEXT, "kind": TEXT, "rows": COUNT, "bytes": COUNT, "compacted": TRUTH,
                 "damage": or_null(TEXT), "created_at": TIME}
            )
        ),
        "more": COUNT,
    }
)  # fmt: skip
_PROFILE = fields(
    {
        "table": TEXT,
        "hours": many(TEXT),
        "rows": COUNT,
        "columns": many(
            fields(
                {"name": TEXT, "type": TEXT, "nulls": COUNT, "null_share": NUMBER, "least": {}, "greatest": {},
                 "distinct": or_null(COUNT), "top": many(fields({"value": {}, "count": COUNT}))}
            )
        ),
        "sample": many({"type": "object"}),
    }
)  # fmt: skip
_RECORD: dict[str, Shape] = {
    "text": TEXT, "base64": or_null(TEXT), "truncated": TRUTH, "before": COUNT, "bytes": COUNT,
}  # fmt: skip
_MARK = {"start": or_null(COUNT), "end": or_null(COUNT)}
_TAIL = fields(
    {
        "cursor": TEXT,
        "received": COUNT,
        "shown": COUNT,
        "sampled": TRUTH,
        "rejected": COUNT,
        "events": many(
            fields(
                {
                    "number": COUNT,
                    "arrived_at": TIME,
                    "ok": TRUTH,
                    **_RECORD,
                    "reason": or_null(fields({"code": TEXT, "column": or_null(TEXT), "message": TEXT, **_MARK})),
                }
            )
        ),
    }
)
_QUARANTINE = fields(
    {
        "table": TEXT,
        "from": TEXT,
        "to": TEXT,
        "rejected": COUNT,
        "trend": fields({"hour": many(TEXT), "rejected": many(COUNT), "received": many(COUNT)}),
        "causes": many(
            fields(
                {"error_code": TEXT, "column_name": TEXT, "expected": or_null(TEXT), "records": COUNT, "first": TIME,
                 "latest": TIME}
            )
        ),
    }
)  # fmt: skip
_SAMPLES = fields(
    {
        "table": TEXT,
        "samples": many(
            fields(
                {
                    "arrived_at": TIME,
                    **dict.fromkeys(("sequence_number", "error_code", "error_message", "column_name"), TEXT),
                    **dict.fromkeys(("expected", "received"), or_null(TEXT)),
                    **_RECORD,
                    **_MARK,
                }
            )
        ),
    }
)
_COMPLETION = fields(
    {
        "tables": many(
            fields(
                {"name": TEXT, "columns": many(_COLUMN), "first_hour": or_null(TEXT), "newest_hour": or_null(TEXT)}
            )
        ),
        "functions": many(fields({"name": TEXT, "kind": TEXT})),
        "keywords": many(TEXT),
        "workgroups": many(TEXT),
    }
)  # fmt: skip
_HISTORY = fields(
    {
        "queries": many(
            fields(
                {
                    "number": COUNT,
                    **dict.fromkeys(("id", "who", "workgroup", "sql", "outcome"), TEXT),
                    "asked_at": TIME,
                    "started_at": or_null(TIME),
                    "ended_at": or_null(TIME),
                    **dict.fromkeys(("files", "bytes", "rows"), COUNT),
                    "error": or_null(TEXT),
                }
            )
        )
    }
)
_SAVED = fields({"name": TEXT, "sql": TEXT, "saved_at": TIME})
_WINDOW = fields(
    {"columns": many(TEXT), "types": many(TEXT), "offset": COUNT, "rows": many({"type": "array"}), "total": COUNT,
     "is_complete": TRUTH}
)  # fmt: skip
_JOBS = fields(
    {
        "from": TEXT,
        "to": TEXT,
        "jobs": many(
            fields(
                {
                    "job": TEXT,
                    "schedule": TEXT,
                    "run_when_complete": TRUTH,
                    **dict.fromkeys(("reruns", "waiting_hours", "left_out_hours", "left_out_events"), COUNT),
                    "runs": many(
                        fields(
                            {
                                "id": COUNT, "hour": TEXT, "scheduled_at": TIME, "outcome": TEXT, "attempts": COUNT,
                                "rows": or_null(COUNT), "seconds": or_null(NUMBER), "cause": TEXT,
                                "ended_at": or_null(TIME),
                            }
                        )
                    ),
                }
            )
        ),
        "may_run": TRUTH,
    }
)  # fmt: skip
_TASK = fields(
    {
        **dict.fromkeys(("id", "job", "who"), TEXT),
        "kind": {"type": "string", "enum": ["run", "backfill"]},
        "state": {"type": "string", "enum": ["running", "done", "ended"]},
        **dict.fromkeys(("total", "done", "failed", "left_out"), COUNT),
        "asked_at": TIME,
        "errors": many(TEXT),
    }
)
CONSOLE_SHAPES = {
    "Jobs": _JOBS,
    "Runs": fields({"runs": many(ref("Run"))}),
    "JobTask": fields({"task": _TASK}),
    "JobTasks": fields({"tasks": many(_TASK)}),
    "Cost": fields(
        {"days": COUNT, "streams": many({"type": "object"}), "usd_per_day": NUMBER, "lines": many({"type": "object"})}
    ),
    "Completion": _COMPLETION,
    "History": _HISTORY,
    "SavedQuery": _SAVED,
    "SavedQueries": fields({"queries": many(ref("SavedQuery"))}),
    "Removed": fields({"removed": TRUTH}),
    "Window": _WINDOW,
    "Tail": _TAIL,
    "Quarantine": _QUARANTINE,
    "Samples": _SAMPLES,
    "Session": _SESSION,
    "Overview": _OVERVIEW,
    "Tables": _TABLES,
    "Table": _TABLE,
    "Hours": _HOURS,
    "Lateness": _LATENESS,
    "Files": _FILES,
    "Profile": _PROFILE,
}

_HOUR_PATTERN = "^([0-9]{4}/[0-9]{2}/[0-9]{2}/[0-9]{2})?$"  # an empty one is as none
_HOUR_SHAPE = {"type": "string", "pattern": _HOUR_PATTERN, "example": "2026/11/30/08"}
_PERIOD = (
    Parameter("from", "query", "The first hour; by default a week ago.", _HOUR_SHAPE),
    Parameter("to", "query", "The hour after the last one; by default the next one.", _HOUR_SHAPE),
)
_READ = {"X-DW-Query": TEXT, "X-DW-Files": TEXT, "X-DW-Bytes": TEXT}
_AGAIN = {"Retry-After": {"type": "string", "pattern": "^[0-9]+$"}}
_NAME = Parameter(
    "name", "path", "The name of a saved statement.", {"type": "string", "pattern": "^[^/]+$", "maxLength": 100}
)
_JOB = Parameter("job", "path", "A batch input table.", {"type": "string", "pattern": "^[^/]+$"})
_HOUR = Parameter("hour", "query", "An hour of arrival.", _HOUR_SHAPE)
_FORM = Parameter("format", "query", "What the answer is.", {"type": "string", "enum": ["json", "csv"]})


def _whole(name: str, means: str, default: int, low: int, high: int) -> Parameter:
    return Parameter(name, "query", means, {"type": "integer", "minimum": low, "maximum": high, "default": default})


def _limit(default: int, most: int) -> Parameter:
    return _whole("limit", "How many at most.", default, 1, most)


def _of_table(
    path: str,
    id: str,
    summary: str,
    shape: str,
    parameters: tuple[Parameter, ...] = (),
    errors: Errors = (),
    right: str = "",
) -> Route:
    content = {"application/json": ref(shape)} | ({"text/csv; charset=utf-8": TEXT} if _FORM in parameters else {})
    answers = {200: Answer("It.", content)}
    table = Parameter("table", "path", "A table.", TABLE.shape)
    errors = (UnknownName, *errors)
    return Route(
        "GET", f"/v1/tables/{{table}}{path}", id, summary, answers, errors, right or _SEEN, (table, *parameters)
    )


_SEEN = "query, or monitor, or administer; tables that it may not query are left out"

CONSOLE = (
    Route(
        "GET", "/v1/session", "getSession", "Who asks, and what they may.",
        {200: json_answer("It.", "Session")},
        is_open=True,
    ),
    Route(
        "POST", "/v1/session", "signIn", "Sign in with a key from a browser; the answer has a cookie.",
        {200: json_answer("Signed in.", "Session")},
        (Throttled,),
        body=body_of(SessionBody),
        is_open=True,
    ),
    Route(
        "DELETE", "/v1/session", "signOut", "Sign out.",
        {200: json_answer("Signed out.", "Session")},
        is_open=True,
    ),
    Route(
        "GET", "/v1/overview", "getOverview", "What is going on, and what needs attention.",
        {200: json_answer("It.", "Overview")},
        right=_SEEN,
    ),
    Route(
        "GET", "/v1/tables", "listTables", "The tables.",
        {200: json_answer("They.", "Tables")},
        right=_SEEN,
    ),
    _of_table("", "describeTable", "A table: its columns and counts.", "Table"),
    _of_table("/hours", "listHours", "What each hour of a table has, as lists.", "Hours", (*_PERIOD, _FORM)),
    _of_table("/lateness", "getLateness", "How late events came, by their hour of arrival.", "Lateness",
              (*_PERIOD, _FORM)),
    _of_table("/files", "listFiles", "The live files of an hour, or the newest.", "Files", (_HOUR, _limit(200, 1000))),
    _of_table("/profile", "profileTable", "What a sample of the newest rows says of each column.", "Profile",
              (_whole("rows", "How many rows.", 2000, 1, 10_000),), OF_QUERIES, "query, or query:TABLE"),
    _of_table("/tail", "followTable", "The newest events, good and bad, as they come.", "Tail",
              (_whole("after", "The cursor of the answer before.", 0, 0, 2**62),
               _whole("wait_s", "For how many seconds to wait for new ones at most.", 0, 0, 60), _limit(50, 200)),
              (Throttled,), "query, or query:TABLE"),
    _of_table("/quarantine", "getQuarantine", "Why events were rejected, and when.", "Quarantine", (*_PERIOD, _FORM),
              OF_QUERIES, "query, or query:TABLE_quarantine"),
    _of_table("/quarantine/samples", "sampleQuarantine", "Some rejected events, with the part at fault.", "Samples",
              (*_PERIOD, _limit(20, 100), Parameter("error_code", "query", "Only of this one.", TEXT),
               Parameter("column_name", "query", "Only of this column; empty: of records as a whole.", TEXT)),
              OF_QUERIES, "query, or query:TABLE_quarantine"),
    Route(
        "GET", "/v1/query", "download", "Ask a query, and get its result as a file.",
        {200: Answer("The result.", {**dict.fromkeys(CONTENT_TYPES.values(), TEXT), "application/json": {}}, _READ)},
        OF_QUERIES,
        "query, or query:TABLE",
        (Parameter("sql", "query", "The statement.", TEXT),
         Parameter("format", "query", "Of the file.", {"type": "string", "enum": ["csv", *CONTENT_TYPES]}),
         Parameter("workgroup", "query", "Whose rules hold for it.", TEXT),
         Parameter("download", "query", "The name of the file, without its ending.", TEXT)),
    ),
    Route(
        "GET", "/v1/queries/{id}/rows", "getRows", "Some rows of the result of a submitted query.",
        {200: json_answer("They.", "Window"),
         202: Answer("The state: there are no rows yet.", {"application/json": ref("Query")}, _AGAIN)},
        (UnknownQuery, *OF_QUERIES),
        "query, or administer to see those of others",
        (ID, _whole("offset", "The first one, from 0 on.", 0, 0, 2**53), _limit(100, 1000), WAIT),
        has_other_404=True,
    ),
    Route(
        "GET", "/v1/queries/history", "listHistory", "The queries of before, the newest first.",
        {200: json_answer("They.", "History")},
        right="query, or administer to see those of others",
        parameters=(_limit(100, 1000), _whole("before", "Only those before this number.", 2**62, 1, 2**62)),
    ),
    Route(
        "GET", "/v1/jobs", "listJobs", "The jobs, with the last run of each hour.",
        {200: json_answer("They.", "Jobs")},
        right=_SEEN,
        parameters=_PERIOD,
    ),
    Route(
        "GET", "/v1/jobs/{job}/runs", "listRuns", "Runs of a job with their errors, the newest first.",
        {200: json_answer("They.", "Runs")},
        (UnknownName,),
        "administer",
        (_JOB, _HOUR, _limit(20, 500)),
    ),
    Route(
        "POST", "/v1/jobs/{job}/runs", "runJobAgain", "Run a job; the answer does not wait for it.",
        {202: json_answer("It will run.", "JobTask")},
        (UnknownName, Throttled),
        "administer",
        (_JOB,),
        body_of(JobRunBody),
    ),
    Route(
        "POST", "/v1/jobs/{job}/backfills", "backfillJob", "Run a job for a period; the answer does not wait for it.",
        {202: json_answer("It will run.", "JobTask")},
        (UnknownName, Throttled),
        "administer",
        (_JOB,),
        body_of(BackfillBody),
    ),
    Route(
        "GET", "/v1/job-tasks", "listJobTasks", "How far the runs have come that somebody asked for.",
        {200: json_answer("They.", "JobTasks")},
        right="administer",
    ),
    Route(
        "DELETE", "/v1/job-tasks/{id}", "endJobTask", "Start no further run of a task.",
        {200: json_answer("It.", "JobTask")},
        (UnknownName,),
        "administer",
        (Parameter("id", "path", "The id of a task.", ID.shape),),
        has_other_404=True,
    ),
    Route(
        "GET", "/v1/cost", "getCost", "What what arrived would cost on AWS.",
        {200: json_answer("It.", "Cost")},
        right="monitor, administer, or query",
        parameters=(_whole("days", "Of how many days.", 7, 1, 90),),
    ),
    Route(
        "GET", "/v1/completion", "complete", "The names that a statement can have.",
        {200: json_answer("They.", "Completion")},
        right=_SEEN,
    ),
    Route(
        "GET", "/v1/saved-queries", "listSavedQueries", "The statements that one has saved.",
        {200: json_answer("They.", "SavedQueries")},
        (FolderError,),
        "query, or query:TABLE",
    ),
    Route(
        "PUT", "/v1/saved-queries/{name}", "saveQuery", "Save a statement.",
        {200: json_answer("It.", "SavedQuery")},
        (FolderError,),
        "query, or query:TABLE",
        (_NAME,),
        body_of(SavedQueryBody),
    ),
    Route(
        "DELETE", "/v1/saved-queries/{name}", "removeSavedQuery", "Remove a statement that was saved.",
        {200: json_answer("Whether there was one.", "Removed")},
        (FolderError,),
        "query, or query:TABLE",
        (_NAME,),
    ),
)  # fmt: skip
