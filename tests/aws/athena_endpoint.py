"""A small Athena: its HTTP API over the emulator's Glue and S3, with DuckDB as the engine.

It stands in for MiniStack's own Athena, which takes the value of a partition from folders named key=value. Ours are
named YYYY/MM/DD/HH; the value is the one that Glue has for a partition, as in AWS. SQL is translated by
`datawarehouse.sql`. Behaviour that is not obvious is what was measured against the real service: a first row of names
for SELECT alone, NULL as a datum without VarCharValue, parameters that are read as SQL expressions, a syntax error at
StartQueryExecution, an UNLOAD whose target must be empty.

A table's rows are all objects under the locations that the partitions name, which is where a statement's WHERE still
prunes; a partition without a SerDe fails. Not there: DDL, INSERT, CTAS, workgroup settings, "$file_size" and the like.
"""

import base64
import csv
import io
import json
import re
import threading
import time
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import sqlglot
from emulator import Emulator, emulator

from datawarehouse.convert.rows import RowConverter
from datawarehouse.definition.partition import HOUR_MS, partition_of, start_ms
from datawarehouse.definition.tables import Column
from datawarehouse.definition.types import parse_type
from datawarehouse.errors import DataWarehouseError, QueryRefused, SqlSyntaxError
from datawarehouse.parquet.schema import arrow_schema
from datawarehouse.query.result import tuples
from datawarehouse.query.sources import duckdb_type
from datawarehouse.sql.plan import SETTING, TableSchema, plan
from datawarehouse.sql.statement import read

_UNLOAD = re.compile(
    r"\s*UNLOAD\s*\((?P<query>.*)\)\s*TO\s*'(?P<target>[^']*)'\s*WITH\s*\((?P<options>[^)]*)\)\s*;?\s*",
    re.IGNORECASE | re.DOTALL,
)
_MARKS = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|(\?)""")
_PRECISION = {"integer": 10, "bigint": 19, "double": 17, "float": 17, "timestamp": 3, "varbinary": 1073741824}


@contextmanager
def emulator_with_athena():
    """A running emulator whose Athena is the one of this module, for its clients and for the functions that it runs."""
    endpoint = Endpoint()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(endpoint))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="athena")
    thread.start()
    try:
        with emulator(athena=f"http://127.0.0.1:{server.server_port}") as started:
            endpoint.emulator = started
            yield started
            endpoint.stop_all()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Refused(Exception):
    """An answer of status 400. code: the AthenaErrorCode."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Failed(Exception):
    """A statement that started and cannot be computed."""


@dataclass
class Execution:
    """One statement. header: whether results begin with the names of the columns."""

    id: str
    given: dict
    state: str = "QUEUED"
    reason: str | None = None
    kind: tuple[str, str] = ("DML", "SELECT")
    columns: list[dict] = field(default_factory=list)
    rows: list[list[str | None]] = field(default_factory=list)
    header: bool = True
    scanned: int = 0
    connection: duckdb.DuckDBPyConnection | None = None
    thread: threading.Thread | None = None


class Endpoint:
    """The operations, by the names of their methods."""

    emulator: Emulator

    def __init__(self) -> None:
        self.executions: dict[str, Execution] = {}
        self._by_token: dict[str, str] = {}

    def stop_all(self) -> None:
        for execution in self.executions.values():
            _cancel(execution)
            execution.thread.join()

    def StartQueryExecution(self, given: dict) -> dict:
        if not given.get("ClientRequestToken"):
            raise Refused("INVALID_INPUT", "clientRequestToken is null or empty")
        if given["ClientRequestToken"] in self._by_token:
            return {"QueryExecutionId": self._by_token[given["ClientRequestToken"]]}
        if not given.get("ResultConfiguration", {}).get("OutputLocation", "").startswith("s3://"):
            raise Refused("INVALID_INPUT", "No output location provided.")
        text = _with_parameters(given["QueryString"], given.get("ExecutionParameters", []))
        unload = _UNLOAD.fullmatch(text)
        try:
            statement = read(unload["query"] if unload else text)
        except SqlSyntaxError as error:
            raise Refused("MALFORMED_QUERY", str(error)) from None
        except QueryRefused as error:
            raise Refused("INVALID_INPUT", str(error)) from None
        execution = Execution(str(uuid.uuid4()), given)
        if unload:
            execution.kind, execution.header = ("DML", "UNLOAD"), False
        elif statement.kind != "select":
            execution.kind, execution.header = ("UTILITY", statement.kind.upper()), False
        self.executions[execution.id] = execution
        self._by_token[given["ClientRequestToken"]] = execution.id
        execution.thread = threading.Thread(target=self._run, args=(execution, text, unload), name="statement")
        execution.thread.start()
        return {"QueryExecutionId": execution.id}

    def GetQueryExecution(self, given: dict) -> dict:
        execution = self._execution(given)
        status = {"State": execution.state}
        if execution.reason:
            status["StateChangeReason"] = execution.reason
        location = execution.given["ResultConfiguration"]["OutputLocation"]
        return {
            "QueryExecution": {
                "QueryExecutionId": execution.id,
                "Query": execution.given["QueryString"],
                "StatementType": execution.kind[0],
                "SubstatementType": execution.kind[1],
                "ResultConfiguration": {"OutputLocation": f"{location}{execution.id}.csv"},
                "Status": status,
                "Statistics": {"DataScannedInBytes": execution.scanned, "TotalExecutionTimeInMillis": 1},
                "WorkGroup": execution.given.get("WorkGroup", "primary"),
            }
        }

    def GetQueryResults(self, given: dict) -> dict:
        execution = self._execution(given)
        if execution.state in ("QUEUED", "RUNNING"):
            raise Refused("INVALID_QUERY_EXECUTION_STATE", "Query has not yet finished. Current state: RUNNING")
        if execution.state == "FAILED":
            raise Refused(
                "INVALID_QUERY_EXECUTION_STATE", "Query did not finish successfully. Final query state: FAILED"
            )
        if execution.state == "CANCELLED":
            raise Refused("RESULT_NOT_FOUND", "Could not find results")
        names = [[column["Name"] for column in execution.columns]] if execution.header else []
        rows = names + execution.rows
        start, most = int(given.get("NextToken", "0")), given.get("MaxResults", 1000)
        page = rows[start : start + most]
        answer = {
            "UpdateCount": 0,
            "ResultSet": {
                "Rows": [{"Data": [{} if text is None else {"VarCharValue": text} for text in row]} for row in page],
                "ResultSetMetadata": {"ColumnInfo": execution.columns},
            },
        }
        if start + most < len(rows):
            answer["NextToken"] = str(start + most)
        return answer

    def ListQueryExecutions(self, given: dict) -> dict:
        return {"QueryExecutionIds": list(self.executions)}

    def StopQueryExecution(self, given: dict) -> dict:
        _cancel(self._execution(given))
        return {}

    def _execution(self, given: dict) -> Execution:
        id = given["QueryExecutionId"]
        if id not in self.executions:
            raise Refused("QUERY_EXECUTION_NOT_FOUND", f"QueryExecution {id} was not found")
        return self.executions[id]

    # -- a statement, in a thread of its own

    def _run(self, execution: Execution, text: str, unload: re.Match | None) -> None:
        try:
            self._compute(execution, text, unload)
            if execution.state != "CANCELLED":
                execution.state = "SUCCEEDED"
        except Exception as error:  # whatever it is, the client must be told
            if execution.state != "CANCELLED":
                execution.state, execution.reason = "FAILED", f"{error}"
                if not isinstance(error, Failed | DataWarehouseError | duckdb.Error):
                    execution.reason = f"GENERIC_INTERNAL_ERROR: {error!r}"

    def _compute(self, execution: Execution, text: str, unload: re.Match | None) -> None:
        if execution.state == "QUEUED":
            execution.state = "RUNNING"
        database = execution.given["QueryExecutionContext"]["Database"]
        pages = self.emulator.client("glue").get_paginator("get_tables").paginate(DatabaseName=database)
        tables = {table["Name"]: table for page in pages for table in page["TableList"]}
        schemas = {
            name: TableSchema(name, _columns(table["StorageDescriptor"]["Columns"]), _columns(table["PartitionKeys"]))
            for name, table in tables.items()
            if table.get("TableType") != "VIRTUAL_VIEW"
        }
        views = {name: table for name, table in tables.items() if name not in schemas}
        planned = plan(_with_views(unload["query"] if unload else text, views, database), schemas, database)
        if planned.kind == "show_tables":
            execution.columns = [_column_info("tab_name", "varchar")]
            execution.rows = [[name] for name in sorted(tables)]
            return
        if planned.kind != "select":
            raise Failed(f"NOT_SUPPORTED: {planned.kind}")
        with duckdb.connect(config={"threads": 1}) as connection:
            execution.connection = connection
            for statement in (SETTING, *planned.macros):
                connection.execute(statement)
            selects = {}
            for number, scan in enumerate(planned.scans):
                schema = schemas[scan.table]
                rows = self._rows(execution, tables[scan.table], schema, scan.predicate)
                connection.register(f"scan_{number}", rows)
                outputs = ", ".join(
                    f'cast("{column.name}" as {duckdb_type(column.type)}) as "{column.name}"'
                    for column in (*schema.columns, *schema.partition_keys)
                ) + (', "$path"' if scan.hidden_columns else "")
                selects[scan.id] = f"(select {outputs} from scan_{number})"
            relation = connection.sql(planned.render(selects), params=dict(planned.parameters))
            found = relation.to_arrow_table().rename_columns(list(planned.column_names))
        if unload:
            self._unload(found, unload)
            execution.columns = [_column_info("rows", "bigint")]
            return
        execution.columns = [
            _column_info(name, kind) for name, kind in zip(planned.column_names, planned.column_types, strict=True)
        ]
        execution.rows = [[as_text(value) for value in row] for row in tuples(found)]
        self._put_csv(execution)

    def _rows(self, execution: Execution, table: dict, schema: TableSchema, predicate) -> pa.Table:
        """The rows of the partitions that a scan needs, with their values."""
        converter, parts = RowConverter(schema.columns), []
        hidden = (*schema.partition_keys, Column("$path", parse_type("string")))
        for values, storage in self._partitions(table, schema, predicate):
            serde = storage.get("SerdeInfo", {}).get("SerializationLibrary", "")
            if not serde:
                raise Failed(f"HIVE_INVALID_METADATA: partition {values} of {schema.name} has no SerDe")
            for url, data in self._objects(storage["Location"]):
                execution.scanned += len(data)
                rows = _parquet(data, schema) if "parquet" in serde.lower() else _json(url, data, converter)
                for one, value in zip(arrow_schema(hidden), (*values, url), strict=True):
                    rows = rows.append_column(one, pa.array([value] * len(rows), pa.string()).cast(one.type))
                parts.append(rows)
        return pa.concat_tables([arrow_schema((*schema.columns, *hidden)).empty_table(), *parts])

    def _partitions(self, table: dict, schema: TableSchema, predicate):
        """(values, StorageDescriptor) of the partitions that may hold matching rows."""
        storage, parameters = table["StorageDescriptor"], table.get("Parameters", {})
        if not schema.partition_keys:
            yield (), storage
        elif parameters.get("projection.enabled") == "true":
            [key] = schema.partition_keys
            template = parameters["storage.location.template"]
            if parameters[f"projection.{key.name}.type"] == "date":
                first = start_ms(parameters[f"projection.{key.name}.range"].partition(",")[0])
                for value in map(partition_of, range(first, time.time_ns() // 10**6 + HOUR_MS, HOUR_MS)):
                    if predicate.matches({key.name: value}):
                        yield (value,), {**storage, "Location": template.replace(f"${{{key.name}}}", value)}
                return
            low, high = predicate.bounds(key.name)
            if low is None or low != high:
                raise Failed(
                    f"CONSTRAINT_VIOLATION: For the injected projected partition column {key.name}, the WHERE clause "
                    "must contain only static equality conditions, and at least one such condition must be present."
                )
            yield (
                (low,),
                {**storage, "Location": template.replace(f"${{{key.name}}}", low)},
            )
        else:
            pages = (
                self.emulator.client("glue")
                .get_paginator("get_partitions")
                .paginate(DatabaseName=table["DatabaseName"], TableName=table["Name"])
            )
            names = [key.name for key in schema.partition_keys]
            for partition in (partition for page in pages for partition in page["Partitions"]):
                if predicate.matches(dict(zip(names, partition["Values"], strict=True))):
                    yield partition["Values"], partition["StorageDescriptor"]

    def _objects(self, location: str):
        """(URL, bytes) of the objects below a location whose names are not hidden."""
        bucket, _, prefix = location.removeprefix("s3://").partition("/")
        s3 = self.emulator.client("s3")
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for each in page.get("Contents", []):
                hidden = any(part.startswith(("_", ".")) for part in each["Key"].removeprefix(prefix).split("/"))
                if each["Size"] and not hidden:
                    url = f"s3://{bucket}/{each['Key']}"
                    yield url, s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read()

    def _unload(self, found: pa.Table, unload: re.Match) -> None:
        options = dict(re.findall(r"(\w+)\s*=\s*'([^']*)'", unload["options"].lower()))
        if options.get("format") != "parquet":
            raise Failed(f"NOT_SUPPORTED: UNLOAD WITH ({unload['options']})")
        url = urlsplit(unload["target"])
        bucket, prefix = url.netloc, url.path.lstrip("/")
        s3 = self.emulator.client("s3")
        if s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1).get("KeyCount"):
            raise Failed(f"HIVE_PATH_ALREADY_EXISTS: Target directory for table '{unload['target']}' already exists")
        out = io.BytesIO()
        pq.write_table(found, out, compression=options.get("compression", "gzip"), coerce_timestamps="ms")
        s3.put_object(Bucket=bucket, Key=f"{prefix}{uuid.uuid4()}", Body=out.getvalue())

    def _put_csv(self, execution: Execution) -> None:
        location = execution.given["ResultConfiguration"]["OutputLocation"]
        bucket, _, prefix = location.removeprefix("s3://").partition("/")
        out = io.StringIO()
        writer = csv.writer(out, quoting=csv.QUOTE_NOTNULL if hasattr(csv, "QUOTE_NOTNULL") else csv.QUOTE_ALL)
        writer.writerows([[column["Name"] for column in execution.columns], *execution.rows])
        self.emulator.client("s3").put_object(
            Bucket=bucket, Key=f"{prefix}{execution.id}.csv", Body=out.getvalue().encode()
        )


def _cancel(execution: Execution) -> None:
    if execution.state in ("QUEUED", "RUNNING"):
        execution.state, execution.reason = "CANCELLED", "Query cancelled by user"
        threading.Thread(target=_interrupt, args=(execution,), name="interrupt").start()


def _interrupt(execution: Execution) -> None:
    """Interrupt a statement until it has ended: an interrupt before DuckDB has begun is lost, and it would compute for
    as long as the tests run."""
    while execution.thread.is_alive():
        if execution.connection:
            with suppress(duckdb.Error):  # it is closed already
                execution.connection.interrupt()
        execution.thread.join(0.05)


def _columns(found: list[dict]) -> tuple[Column, ...]:
    return tuple(Column(column["Name"], parse_type(column["Type"])) for column in found)


def _parquet(data: bytes, schema: TableSchema) -> pa.Table:
    """The columns of a file, by name; NULL where it has none."""
    found = pq.read_table(io.BytesIO(data))
    wanted = arrow_schema(schema.columns)
    columns = [
        found[one.name].cast(one.type) if one.name in found.column_names else pa.nulls(len(found), one.type)
        for one in wanted
    ]
    return pa.table(columns, schema=wanted)


def _json(url: str, data: bytes, converter: RowConverter) -> pa.Table:
    """The rows of JSON documents, one after the other."""
    rows = converter.convert([data])
    for _, reject in rows.rejects:
        raise Failed(f"HIVE_BAD_DATA: {url}: {reject.message}")
    return pa.Table.from_batches(rows.batches, converter.schema)


def _with_views(sql: str, views: dict, database: str) -> str:
    """A statement with the views that it names as its first WITH, which is what Athena reads in their place. A view has
    to be as Trino reads it: ViewReaderUtil."""
    read = ""
    for name, view in views.items():
        if not re.search(rf"\b{name}\b", sql):
            continue
        if (parameters := view["Parameters"]).get("presto_view") != "true" or parameters.get(
            "comment"
        ) != "Presto View":
            raise Failed(f"HIVE_UNSUPPORTED_FORMAT: {name} is a view of Hive")
        encoded = re.fullmatch(r"/\* Presto View: (.+) \*/", view["ViewOriginalText"])[1]
        described = json.loads(base64.b64decode(encoded, validate=True))
        if (described["catalog"], described["schema"]) != ("awsdatacatalog", database):
            raise Failed(f"SCHEMA_NOT_FOUND: {described['catalog']}.{described['schema']}")
        names = [column["Name"] for column in view["StorageDescriptor"]["Columns"]]
        if names != [column["name"] for column in described["columns"]]:
            raise Failed(f"INVALID_VIEW: the columns of {name} are not those of its description")
        read += f'"{name}" AS ({described["originalSql"]}), '
    if not read:
        return sql
    own = re.match(r"\s*with\b", sql, re.IGNORECASE)
    return f"WITH {read}{sql[own.end() :]}" if own else f"WITH {read[:-2]} {sql}"


def _with_parameters(sql: str, values: list[str]) -> str:
    """A statement with the expressions in the place of its `?`."""
    wanted = sum(1 for found in _MARKS.finditer(sql) if found[1])
    if not wanted:
        return sql
    if wanted != len(values):
        raise Refused("INVALID_PARAMETER_USAGE", f"Incorrect number of parameters: expected {wanted}")
    given = iter(values)
    return _MARKS.sub(lambda found: _expression(next(given)) if found[1] else found[0], sql)


def _expression(value: str) -> str:
    """A parameter as SQL: itself if it is an expression without identifiers, else a string."""
    try:
        tree = sqlglot.parse_one(value, dialect="trino")
    except sqlglot.errors.SqlglotError:
        tree = None
    if tree is None or tree.find(sqlglot.exp.Column):
        return "'" + value.replace("'", "''") + "'"
    return value


def _column_info(name: str, kind: str) -> dict:
    base = kind.partition("(")[0].strip()
    if base == "timestamp" and kind.endswith("with time zone"):
        base = "timestamp with time zone"
    base = {"real": "float"}.get(base, base)
    digits = re.fullmatch(r"decimal\((\d+),(\d+)\)", kind)
    return {
        "CatalogName": "hive",
        "SchemaName": "",
        "TableName": "",
        "Name": name,
        "Label": name,
        "Type": base,
        "Precision": int(digits[1]) if digits else 2147483647 if base == "varchar" else _PRECISION.get(base, 0),
        "Scale": int(digits[2]) if digits else 0,
        "Nullable": "UNKNOWN",
        "CaseSensitive": base in ("varchar", "char"),
    }


def as_text(value) -> str | None:
    """A value as a result has it. Nested text is not quoted."""
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case float():
            return _java(value)
        case Decimal():
            return f"{value:f}"
        case bytes():
            return value.hex(" ")
        case list():
            return f"[{', '.join(_inner(item) for item in value)}]"
        case dict():
            return "{" + ", ".join(f"{_inner(key)}={_inner(item)}" for key, item in sorted(value.items())) + "}"
        case _ if hasattr(value, "hour"):
            zone = " UTC" if value.tzinfo else ""
            return value.replace(tzinfo=None).isoformat(" ", "milliseconds") + zone
        case _:
            return str(value)


def _inner(value) -> str:
    return "null" if value is None else str(as_text(value))


def _java(value: float) -> str:
    """As Java's Double.toString."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(value)
    digits = Decimal(repr(value)).as_tuple()
    text = "".join(map(str, digits.digits)).rstrip("0") or "0"
    exponent = len(digits.digits) + digits.exponent - 1
    return f"{'-' if digits.sign else ''}{text[0]}.{text[1:] or '0'}E{exponent}"


def _handler(endpoint: Endpoint) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            operation = self.headers["X-Amz-Target"].rpartition(".")[2]
            try:
                if operation.startswith("_") or operation[:1].islower() or not hasattr(endpoint, operation):
                    raise Refused("INVALID_INPUT", f"{operation} is not here")
                status, answer = 200, getattr(endpoint, operation)(given)
            except Refused as error:
                status = 400
                answer = {
                    "__type": "InvalidRequestException",
                    "AthenaErrorCode": error.code,
                    "Message": str(error),
                }
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
