"""The shapes of what routes answer, as JSON Schema (draft 2020-12, which OpenAPI 3.1 uses)."""

from __future__ import annotations

from typing import Any

Shape = dict[str, Any]

TEXT: Shape = {"type": "string"}
TIME: Shape = {"type": "string", "format": "date-time"}
NUMBER: Shape = {"type": "number"}
WHOLE: Shape = {"type": "integer"}
COUNT: Shape = {"type": "integer", "minimum": 0}
TRUTH: Shape = {"type": "boolean"}


def many(items: Shape) -> Shape:
    return {"type": "array", "items": items}


def by_name(values: Shape) -> Shape:
    return {"type": "object", "additionalProperties": values}


def or_null(shape: Shape) -> Shape:
    return {"anyOf": [shape, {"type": "null"}]}


def fields(required: dict[str, Shape], optional: dict[str, Shape] | None = None) -> Shape:
    """An object. Later releases may add fields, so that others may be there."""
    return {"type": "object", "required": list(required), "properties": required | (optional or {})}


def ref(name: str) -> Shape:
    return {"$ref": f"#/components/schemas/{name}"}


ERROR = fields({"code": TEXT, "message": TEXT}, {"line": COUNT, "column": COUNT})

_PROGRESS = fields(
    {"partitions": COUNT, "files": COUNT, "bytes": COUNT, "rows": COUNT,
     "share": or_null({"type": "number", "minimum": 0, "maximum": 1})}
)  # fmt: skip
_QUERY = fields(
    {
        "id": {"type": "string", "pattern": "^[0-9a-f-]+$"},
        "who": TEXT,
        "workgroup": TEXT,
        "sql": TEXT,
        "state": {"type": "string", "enum": ["waiting", "running", "succeeded", "failed", "ended"]},
        "asked_at": TIME,
        "started_at": or_null(TIME),
        "ended_at": or_null(TIME),
        "progress": _PROGRESS,
        "result": or_null(fields({"format": TEXT, "pages": COUNT, "bytes": COUNT})),
        "error": or_null(ERROR),
    }
)
_TABLE = fields(
    {"table": TEXT, "kind": TEXT},
    {
        **dict.fromkeys(
            ("received", "stored", "rejected", "rows", "deduplicated", "expired", "lost", "lost_rejects", "files"),
            COUNT,
        ),
        **dict.fromkeys(("bytes", "pending", "journal_bytes"), COUNT),
        "unknown_keys": by_name(COUNT),
        "held_until": TIME,
        "lag_s": NUMBER,
    },
)
_BACKUP = fields(
    {"result": {"type": "string", "enum": ["complete", "incomplete", "failed"]}, "at": or_null(TIME),
     "age_s": or_null(NUMBER), "to": TEXT}
)  # fmt: skip
_ALERT = fields(
    {"id": TEXT, "alert": TEXT, "table": or_null(TEXT), "cause": TEXT, "next_step": TEXT, "began": TIME},
    {"value": {}, "threshold": {}, "unit": {}, "total": {}},
)
_LATEST_RUN = fields(
    {
        "job": TEXT,
        **{name: or_null(TEXT) for name in ("scheduled", "partition", "started", "outcome", "error")},
        "rows": or_null(COUNT),
        "seconds": or_null(NUMBER),
    }
)
_STATUS = fields(
    {
        "warehouse": TEXT,
        "folder": TEXT,
        "tables": many(_TABLE),
        "jobs": many(_LATEST_RUN),
        "undeclared_tables": many(TEXT),
        "damaged_files": many(fields({"table": TEXT, "path": TEXT, "problem": TEXT})),
        "audit": {"type": "object"},
        "foreign_files": many(TEXT),
        "backup": or_null(_BACKUP),
        "set_aside_files": COUNT,
        "settings": many(fields({"name": TEXT, "value": {}, "unit": or_null(TEXT), "source": TEXT})),
        "alerts": many(_ALERT),
        "alert_deliveries": many(fields({"to": TEXT, "delivered": COUNT, "failed": COUNT, "waiting": COUNT})),
        "thread_faults": by_name(COUNT),
        "changed_files": many(TEXT),
        "clock": fields({"now": TIME, "ahead_s": NUMBER, "is_guarding": TRUTH}),
        "keys": many(ref("ListedKey")),
        "refused_without_key": by_name(COUNT),
    }
)
_RUN = fields(
    {
        "job": TEXT,
        "scheduled": TIME,
        "partition": TEXT,
        "attempt": COUNT,
        "cause": TEXT,
        "outcome": TEXT,
        "rows": or_null(COUNT),
        "started": TIME,
        "seconds": or_null(NUMBER),
        "error": or_null(TEXT),
    }
)
_LISTED_KEY = fields(
    {
        "name": TEXT,
        "id": TEXT,
        "kind": {"type": "string", "enum": ["key", "public token"]},
        "state": {"type": "string", "enum": ["valid", "expired", "revoked"]},
        "may": many(TEXT),
        "workgroup": TEXT,
        "origins": many(TEXT),
        "limits": by_name(COUNT),
        "created_ms": WHOLE,
        "expires_ms": or_null(WHOLE),
        "revoked_ms": or_null(WHOLE),
        "refused": by_name(COUNT),
    }
)
_NEW_KEY = fields(
    {"name": TEXT, "id": TEXT, "token": TEXT, "may": many(TEXT), "workgroup": TEXT, "origins": many(TEXT),
     "expires_ms": or_null(WHOLE)},
    {"secret": TEXT},
)  # fmt: skip
SHAPES: dict[str, Shape] = {
    "Error": fields({"error": ERROR}),
    "Accepted": fields(
        {"accepted": COUNT},
        {"again": TRUTH, "refused": many(fields({"event": {"type": "integer", "minimum": 1}, "message": TEXT}))},
    ),
    "Query": _QUERY,
    "Queries": fields({"queries": many(ref("Query"))}),
    "Decision": fields(
        {
            "allowed": TRUTH,
            "refusals": many(TEXT),
            "rewritten": or_null(TEXT),
            "estimate": fields({"partitions": COUNT, "files": COUNT, "bytes": COUNT, "athena_usd": NUMBER}),
            "text": TEXT,
        }
    ),
    "Status": _STATUS,
    "Complete": fields({"identity": TEXT, "until_ms": by_name(WHOLE)}),
    "Flushed": fields({"flushed": TRUTH}),
    "Registered": fields({"registered": TRUTH}),
    "Behind": fields(
        {"behind": many(fields({"table": TEXT, "records": COUNT, "doing": TEXT, "seconds": NUMBER, "failures": COUNT}))}
    ),
    "Run": _RUN,
    "Compacted": fields({"files_before": COUNT, "files_after": COUNT, "removed_rows": COUNT, "bytes": COUNT}),
    "Expired": fields({"partitions": many({"type": "object"}), "runs": COUNT}),
    "AcceptedClock": fields({"moved_s": NUMBER, "set_back": many(TEXT)}),
    "ListedKey": _LISTED_KEY,
    "NewKey": _NEW_KEY,
    "RevokedKeys": fields({"revoked": many(TEXT)}),
}
