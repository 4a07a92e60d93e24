"""What each route below /v1 takes and answers. A route that is not here is not served (`openapi.methods_of`), and a
status that is not here fails the tests that meet it.

The errors of a route are classes of `errors`, which have their statuses.
"""

from __future__ import annotations

from datawarehouse.access.keys import Wanted
from datawarehouse.errors import (
    BackupError,
    ConversionStalled,
    FileDamaged,
    FolderError,
    Throttled,
    UnknownName,
    UnknownQuery,
    WorkerDied,
)
from datawarehouse.query.messages import CONTENT_TYPES
from datawarehouse.server.bodies import (
    BackupBody,
    CompactBody,
    KeyBody,
    PartitionBody,
    QueryBody,
    RotatedKeyBody,
    RunBody,
)
from datawarehouse.server.openapi_console import CONSOLE
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
from datawarehouse.server.openapi_shapes import TEXT, ref

_ANY_RESULT = dict.fromkeys(CONTENT_TYPES.values(), TEXT)


_PAGE = Parameter("n", "path", "A page, from 0 on.", {"type": "integer", "minimum": 0, "maximum": 999_999_999})
_KEY = Parameter("Idempotency-Key", "header", "With it, a repeated request counts once.", TEXT)
_ENCODING = Parameter(
    "Content-Encoding", "header", "How the body is packed.", {"type": "string", "enum": ["gzip", "identity"]}
)
_READ = {"X-DW-Query": TEXT, "X-DW-Files": TEXT, "X-DW-Bytes": TEXT}
_AGAIN = {"Retry-After": {"type": "string", "pattern": "^[0-9]+$"}}

_EVENTS = (
    Route(
        "POST", "/v1/tables/{table}/events", "sendEvents", "Send events to a streaming input table.",
        {200: json_answer("The events are durable, those that are malformed in the quarantine.", "Accepted")},
        (UnknownName, Throttled),
        "put, or put:TABLE",
        (TABLE, _KEY, _ENCODING),
        {"application/x-ndjson": TEXT, "application/json": {}},
        {413: "Accepted"},
        ("bearer", "basic", "awsSigv4", "publicToken"),
    ),
)  # fmt: skip
_QUERIES = (
    Route(
        "POST", "/v1/query", "query", "Ask a query, and get its result as it is computed.",
        {200: Answer("The result, or with dry_run what would be read.",
                     {**_ANY_RESULT, "application/json": {"anyOf": [{"type": "array"}, ref("Decision")]}}, _READ)},
        OF_QUERIES,
        "query, or query:TABLE",
        body=body_of(QueryBody),
    ),
    Route(
        "POST", "/v1/queries", "submitQuery", "Submit a query whose result is kept.",
        {202: json_answer("Its state.", "Query")},
        (Throttled,),
        "query, or query:TABLE",
        body=body_of(QueryBody),
    ),
    Route(
        "GET", "/v1/queries", "listQueries", "The queries that wait or run, and those whose result is kept.",
        {200: json_answer("Their states.", "Queries")},
        right="query, or administer to see those of others",
    ),
    Route(
        "GET", "/v1/queries/{id}", "getQuery", "The state of a query.",
        {200: json_answer("Its state.", "Query")},
        (UnknownQuery,),
        "query, or administer to see those of others",
        (ID, WAIT),
        has_other_404=True,
    ),
    Route(
        "DELETE", "/v1/queries/{id}", "endQuery", "End a query, or remove the result of one that is over.",
        {200: json_answer("Its state.", "Query")},
        (UnknownQuery,),
        "query, or administer to end those of others",
        (ID,),
        has_other_404=True,
    ),
    Route(
        "GET", "/v1/queries/{id}/pages/{n}", "getPage", "A page of the result of a submitted query.",
        {200: Answer("The page.", {**_ANY_RESULT, "application/json": {}}),
         202: Answer("The state: the page is not there yet.", {"application/json": ref("Query")}, _AGAIN)},
        (UnknownQuery, *OF_QUERIES),
        "query, or administer to see those of others",
        (ID, _PAGE, WAIT),
        has_other_404=True,
    ),
    Route(
        "GET", "/v1/openapi.json", "describe", "This description.",
        {200: Answer("It.", {"application/json": {"type": "object"}})},
    ),
)  # fmt: skip
_PROTOCOL = "Trino's client protocol: "
_TRINO_ANSWER = Answer("As Trino answers; errors of the statement too.", {"application/json": {"type": "object"}})
_TRINO = (
    Route(
        "POST", "/v1/statement", "submitStatement", _PROTOCOL + "submit a statement.",
        {200: _TRINO_ANSWER},
        (Throttled,),
        "query, or query:TABLE",
        body={"text/plain": TEXT},
    ),
    Route(
        "GET", "/v1/statement/{id}/{n}", "getStatementPage", _PROTOCOL + "a page of the result, from 1 on.",
        {200: _TRINO_ANSWER},
        (UnknownQuery,),
        "query, or query:TABLE",
        (ID, _PAGE),
        has_other_404=True,
    ),
    Route(
        "DELETE", "/v1/statement/{id}/{n}", "endStatement", _PROTOCOL + "end the query.",
        {204: Answer("It has ended.", {})},
        (UnknownQuery,),
        "query, or query:TABLE",
        (ID, _PAGE),
        has_other_404=True,
    ),
    Route(
        "GET", "/v1/info", "getInfo", _PROTOCOL + "what clients ask first.",
        {200: _TRINO_ANSWER},
        right="query, or query:TABLE",
    ),
)  # fmt: skip
_ADMIN = ("bearer", "basic", "awsSigv4")


def _admin(
    method: str, name: str, id: str, summary: str, answer: str, errors: Errors = (), body: type | None = None,
    status: int = 200,
) -> Route:  # fmt: skip
    taken = body_of(body) if body else {}
    answers = {status: json_answer("What came of it.", answer)}
    return Route(method, f"/v1/admin/{name}", id, summary, answers, errors, "administer", body=taken, security=_ADMIN)


_ADMINISTRATION = (
    _admin("GET", "status", "getStatus", "What `dw status` shows.", "Status"),
    _admin("GET", "complete", "getComplete", "Up to when each table can no longer change.", "Complete"),
    _admin("POST", "flush", "flush", "Make all events visible that were taken until now.", "Flushed",
           (ConversionStalled,)),
    _admin("GET", "flush", "getBehind", "What a flush waits for.", "Behind"),
    _admin("POST", "run", "runJob", "Run a job now.", "Run", (UnknownName, FolderError), RunBody),
    _admin("POST", "compact", "compact", "Compact the closed hours of a table.", "Compacted",
           (UnknownName, FileDamaged, WorkerDied), CompactBody),
    _admin("POST", "expire", "expire", "Delete hours older than retention_days.", "Expired"),
    _admin("POST", "accept-clock", "acceptClock", "Believe the machine's clock as it is now.", "AcceptedClock"),
    _admin("POST", "partitions", "registerPartition", "Register a partition of a table that its user fills.",
           "Registered", (UnknownName,), PartitionBody),
    Route(
        "POST", "/v1/admin/backup", "backup", "Make a back-up.",
        {200: Answer("Lines of JSON: {\"progress\": ...} now and then, and at last {\"made\": ...} or "
                     "{\"error\": {\"code\": ..., \"message\": ...}}.", {"application/x-ndjson": TEXT})},
        (BackupError,),
        "administer",
        body=body_of(BackupBody),
        security=_ADMIN,
    ),
    Route(
        "GET", "/v1/admin/keys", "listKeys", "The keys, without their secrets.",
        {200: Answer("They.", {"application/json": {"type": "array", "items": ref("ListedKey")}})},
        right="administer",
        security=_ADMIN,
    ),
    _admin("POST", "keys", "createKey", "Make a key; its secret is in this answer alone.", "NewKey", (FolderError,),
           Wanted, 201),
    _admin("POST", "keys/revoke", "revokeKey", "End a key now.", "RevokedKeys", (UnknownName, FolderError), KeyBody),
    _admin("POST", "keys/rotate", "rotateKey", "Give a key a new secret.", "NewKey", (UnknownName, FolderError),
           RotatedKeyBody, 201),
)  # fmt: skip

ROUTES = (*_EVENTS, *_QUERIES, *_TRINO, *_ADMINISTRATION, *CONSOLE)
