"""Statements that are not queries: why each needs a person, and what takes its place in this warehouse."""

from __future__ import annotations

import re

_TABLE = (
    "declare the table in warehouse.py (with_streaming_input_table for events, with_batch_input_table for a job's "
    "result): there is no CREATE TABLE"
)
_DETAILS = (
    (r"\bDISTKEY\b|\bDISTSTYLE\b",
     "DISTKEY and DISTSTYLE have nothing in their place: files lie on S3, and no node keeps rows"),
    (r"\bSORTKEY\b", "SORTKEY: sort_by of the declaration sorts the rows of a file, and hours are partitions"),
    (r"\bENCODE\b", "ENCODE: Parquet chooses its own encodings"),
    (r"\bIDENTITY\b", "IDENTITY has nothing in its place: give events an id where they are made"),
    (r"\bPRIMARY\s+KEY\b|\bFOREIGN\s+KEY\b|\bUNIQUE\b|\bREFERENCES\b",
     "keys are not enforced, in Redshift neither; dedupe_key of the declaration leaves out duplicates"),
    (r"\bDEFAULT\b", "DEFAULT: an event without a value has NULL; coalesce in the query"),
    (r"\bSUPER\b", "SUPER: declare a struct, an array or a map"),
    (r"\b(?:VAR)?CHAR\s*\(", "lengths of texts are not limited, and not filled with blanks"),
    (r"\bTIMESTAMPTZ\b|\bWITH\s+TIME\s+ZONE\b", "times with a zone: a timestamp here is in UTC"),
)  # fmt: skip
_FORMS = (
    (r"CREATE\s+(?:LOCAL\s+)?(?:TEMP|TEMPORARY)\s+TABLE|CREATE\s+TABLE\s+#",
     "a temporary table: name its query with WITH"),
    (r"CREATE\s+TABLE\b.*?\bAS\s*\(?\s*(?:SELECT|WITH)\b",
     "a table that is made of a query: declare a batch input table whose job is this query (job=sql_job(...))"),
    (r"CREATE\s+(?:EXTERNAL\s+)?TABLE\b", _TABLE),
    (r"CREATE\s+(?:OR\s+REPLACE\s+)?(?:MATERIALIZED\s+)?VIEW\b",
     "a view: write its query with WITH, or declare a batch input table whose job is this query"),
    (r"CREATE\s+(?:OR\s+REPLACE\s+)?(?:FUNCTION|PROCEDURE)\b|CALL\b",
     "functions and procedures are not run; a job in Python is"),
    (r"CREATE\b", "what it makes is declared in warehouse.py, or is a matter of AWS"),
    (r"COPY\b",
     "COPY loads files: events are sent (`dw send FILE`, or Kinesis), and files of others are a table that you fill"),
    (r"UNLOAD\b",
     "UNLOAD writes files: `dw query --output parquet` or csv writes a result, a batch input table keeps it"),
    (r"INSERT\b", "INSERT: events are sent (`dw send`), and a result is kept by the job of a batch input table"),
    (r"(?:DELETE|TRUNCATE)\b",
     "rows are not deleted one by one: retention_days deletes hours, a job replaces its partition"),
    (r"UPDATE\b", "rows do not change: send a newer event and ask for the latest (row_number() over (...) = 1)"),
    (r"MERGE\b", "MERGE: send the newer events and ask for the latest of each key, or let a job write the result"),
    (r"ALTER\s+TABLE\b.*\bAPPEND\b",
     "ALTER TABLE APPEND moves blocks of a node; a job reads one table and writes the other"),
    (r"ALTER\b", "change the declaration: columns can be added there"),
    (r"DROP\b", "take the table out of the declaration"),
    (r"VACUUM\b", "VACUUM: compaction merges and sorts files by itself, `dw compact` at once; leave it out"),
    (r"ANALYZE\b", "ANALYZE: the footers of files have the statistics; leave it out"),
    (r"(?:GRANT|REVOKE)\b", "rights: keys and workgroups here (`dw keys`), IAM on AWS"),
    (r"(?:BEGIN|START\s+TRANSACTION|COMMIT|END|ROLLBACK|ABORT|LOCK)\b",
     "there are no transactions: each query sees one moment; leave it out"),
    (r"(?:SET|RESET)\b", "there are no settings of a session; leave it out, and look what rested on it"),
    (r"(?:PREPARE|EXECUTE|DEALLOCATE)\b", "give the parameters with the query: ? and --param"),
    (r"(?:DECLARE|FETCH|CLOSE)\b", "there are no cursors: a result is read in batches over HTTP"),
    (r"(?:SHOW|DESC|DESCRIBE)\b", "SHOW and DESCRIBE have other forms: SHOW TABLES, SHOW COLUMNS IN t, DESCRIBE t"),
    (r"(?:REFRESH|COMMENT|CANCEL|USE|IMPORT|ATTACH|DETACH)\b", "it has nothing in its place here"),
)  # fmt: skip
_INNER = (
    re.compile(r"UNLOAD\s*\(\s*'(?P<text>(?:[^'\\]|\\.|'')*)'\s*\)", re.IGNORECASE | re.DOTALL),
    re.compile(r"UNLOAD\s*\(\s*\$\$(?P<query>.*?)\$\$\s*\)", re.IGNORECASE | re.DOTALL),
    re.compile(
        r"(?:CREATE\b.*?\bAS|INSERT\s+INTO\s+[^\s(]+(?:\s*\([^)]*\))?)\s*\(?\s*(?P<query>(?:SELECT|WITH)\b.*)",
        re.IGNORECASE | re.DOTALL,
    ),
)
_BINDING = re.compile(r"\s+WITH\s+NO\s+SCHEMA\s+BINDING\s*$", re.IGNORECASE)
_COMMENTS = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)


def reasons(sql: str) -> list[str]:
    """Why a statement that is not a query needs a person; empty for a query."""
    text = _COMMENTS.sub(" ", sql).strip().lstrip("(").lstrip()
    if re.match(r"(?:SELECT|WITH)\b", text, re.IGNORECASE):
        return []
    if found := re.match(r"EXPLAIN\b", text, re.IGNORECASE):
        return [f"{found[0].upper()}: write EXPLAIN before the translated query."]
    for form, reason in _FORMS:
        if re.match(form, text, re.IGNORECASE | re.DOTALL):
            found_details = [detail for part, detail in _DETAILS if _has(part, text)]
            return [f"{each}." for each in (reason, *(found_details if text[:6].upper() == "CREATE" else ()))]
    if not text:
        return ["it is empty."]
    return [f"it begins with {text.split(None, 1)[0][:30]!r}, and is not a statement that is translated."]


def inner_query(sql: str) -> str | None:
    """The query in a statement that keeps or writes its result."""
    for form in _INNER:
        found = form.match(_COMMENTS.sub(" ", sql).strip())
        if found and found.groupdict().get("text") is not None:
            return found["text"].replace("\\'", "'").replace("''", "'")
        if found:
            query = _BINDING.sub("", found["query"]).strip()
            return query[:-1] if query.endswith(")") and query.count(")") > query.count("(") else query
    return None


def _has(pattern: str, text: str) -> bool:
    return re.search(pattern, text, re.IGNORECASE) is not None
