"""The one list of settings: name, default, unit, help. Flags, environment, docs and `dw status` derive from it.

A value comes from, in this order: a flag (`--query-time-max-s 60`), the environment (`DW_QUERY_TIME_MAX_S=60`), the
file `dw.toml` beside the declaration (`query_time_max_s = 60`), the default. Bytes can be written as 64MiB or 1GB.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from datawarehouse.errors import BadRequest

Value = int | str | bool

KIB, MIB, GIB = 1024, 1024**2, 1024**3
_SIZES = {"": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "KIB": KIB, "MIB": MIB, "GIB": GIB}
FILE_NAME = "dw.toml"
_NEARLY = 0.85  # of a name's letters: DW_PROT and DW_PORT have 0.86


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting; `low` and `high` bound a number. The type of the default is the type of the value."""

    name: str
    default: Value
    unit: str
    help: str
    low: int = 0
    high: int = 2**63 - 1
    secret: bool = False

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        return "DW_" + self.name.upper()


SETTINGS = (
    Setting("data", "data", "folder", "Where everything is kept."),
    Setting(
        "host", "127.0.0.1", "address", "Where to listen; beyond loopback with keys (dw keys), and TLS or a proxy."
    ),
    Setting("port", 8321, "port", "Where to listen; 0 picks a free one.", 0, 65535),
    Setting("tls_cert", "", "file", "The certificate to serve TLS with, and those above it (PEM)."),
    Setting("tls_key", "", "file", "The private key of that certificate (PEM)."),
    Setting(
        "behind_proxy",
        "",
        "address",
        "The proxy, or its network (10.0.0.0/24), that ends TLS: plain HTTP comes from there or from this machine.",
    ),
    Setting("access_log", False, "yes|no", "Whether the log has a line for each request."),
    Setting("log_format", "text", "text|json", "How log lines are written on stderr."),
    # Taking events
    Setting("record_bytes_max", MIB, "bytes", "The largest record, with its partition key.", 1024, 10 * MIB),
    Setting("request_bytes_max", 32 * MIB, "bytes", "The largest body of a request, also when unpacked.", 1024),
    Setting("request_events_max", 500_000, "events", "The most events of one request, aggregated or not.", 1),
    Setting(
        "connections_max",
        4096,
        "connections",
        "How many connections are open, and requests beside the first of one (HTTP/2).",
        1,
    ),
    Setting("request_time_max_s", 120, "seconds", "A request must have arrived completely in this time.", 1, 86_400),
    Setting("keep_alive_s", 75, "seconds", "A connection without a request is closed after this time.", 1, 86_400),
    Setting("queue_bytes_max", 64 * MIB, "bytes", "Bytes taken and not yet durable, all tables together.", MIB),
    Setting("journal_bytes_max", 4 * GIB, "bytes", "Bytes taken and not yet converted, for each table.", MIB),
    Setting("disk_free_bytes_min", 128 * MIB, "bytes", "With less free disk than this, no events are taken."),
    Setting(
        "shard_rate_limited", False, "yes|no", "Whether a shard takes 1,000 records and 1 MiB a second, as on AWS."
    ),
    Setting("idempotency_window_s", 86_400, "seconds", "How long a repeated Idempotency-Key counts once.", 1),
    Setting(
        "clock_ahead_max_s",
        60,
        "seconds",
        "A wall clock that jumps further ahead than this does not decide when events arrive.",
        1,
        86_400,
    ),
    # Converting them
    Setting("convert_processes", 1, "processes", "How many processes convert.", 1, 64),
    Setting("convert_interval_ms", 500, "milliseconds", "How long events wait for conversion to begin.", 10, 60_000),
    Setting(
        "convert_time_max_s",
        300,
        "seconds",
        "A conversion, merge or compaction step that takes longer is ended and tried again (dw up).",
        1,
        86_400,
    ),
    Setting("batch_bytes_max", 32 * MIB, "bytes", "How much of a table's journal is converted at once.", 1024),
    Setting("merge_bytes", 32 * MIB, "bytes", "Fresh files of an hour are merged when they reach this size.", MIB),
    # Compacting and expiring
    Setting("compact_bytes", 128 * MIB, "bytes", "Files of a closed hour are compacted up to this size.", MIB),
    Setting("compact_after_hours", 2, "hours", "How many of the newest closed hours are not compacted yet.", 0, 8760),
    Setting(
        "compact_bytes_per_minute",
        GIB,
        "bytes",
        "How much compaction reads in a minute, in the background; 0 turns that off.",
    ),
    Setting(
        "audit_days", 30, "days", "In how many days each data file is read once, in the background; 0: not.", 0, 3650
    ),
    Setting("run_retention_days", 90, "days", "How long the records of job runs are kept.", 1, 36_500),
    Setting("export_engines", "", "engines", "Exports to refresh after each compaction: duckdb, spark, trino, glue."),
    Setting("export_folder", "export", "folder", "The folder of these exports."),
    Setting("export_location", "", "URI", "Where engines find that folder, if it is copied; glue needs one."),
    # Backing up
    Setting("backup_to", "", "folder", "Where back-ups are made on their own; without it there are none."),
    Setting("backup_every_hours", 24, "hours", "How long after a back-up the next one is made.", 1, 8760),
    Setting("backups_kept", 30, "back-ups", "How many back-ups stay in their folder, the newest; 0 keeps all."),
    # Answering queries
    Setting("query_processes", 2, "processes", "How many queries run at once.", 1, 64),
    Setting("query_waiting_max", 32, "queries", "How many queries wait for their turn; more are refused."),
    Setting("query_time_max_s", 300, "seconds", "A query is ended after this time.", 1, 86_400),
    Setting("query_memory_bytes_max", GIB, "bytes", "The memory that one query may use.", 32 * MIB),
    Setting(
        "query_memory_total_bytes", 4 * GIB, "bytes", "The memory that all queries of dw up may use together.", 32 * MIB
    ),
    Setting("query_threads", 2, "threads", "The threads that one query may use.", 1, 256),
    Setting("query_result_rows_max", 1_000_000, "rows", "The largest result of a query.", 1),
    Setting(
        "query_results_bytes_max",
        GIB,
        "bytes",
        "Results that are kept, all together; the oldest go first.",
        MIB,
    ),
    Setting("query_results_keep_s", 3600, "seconds", "How long the result of a submitted query is kept.", 1, 604_800),
    Setting(
        "scratch_bytes_max",
        GIB,
        "bytes",
        "The tables that the local user may keep in scratch; 0: none. That of a key is its workgroup's.",
    ),
    Setting("scratch_keep_days", 30, "days", "A scratch table goes this long after rows were last written.", 1, 3650),
    Setting("verify_reads", False, "yes|no", "Whether each query compares all bytes that it may read with digests."),
    # Running jobs, by default within the limits of AWS Lambda
    Setting("job_time_max_s", 900, "seconds", "A run of a job is ended after this time.", 1, 86_400),
    Setting("job_memory_bytes_max", 3 * GIB, "bytes", "The memory that a run may use (Linux).", 64 * MIB),
    Setting(
        "job_scratch_bytes_max",
        512 * MIB,
        "bytes",
        "The largest file that a run may write, and the largest total in its folder.",
        MIB,
    ),
    Setting(
        "alert_webhook_secret",
        "",
        "secret",
        "Signs alerts: whsec_ and base64, as Standard Webhooks has it; best given by the environment.",
        secret=True,
    ),
    Setting("stop_time_max_s", 10, "seconds", "How long a clean stop may take.", 1, 3600),
)

_BY_NAME = {setting.name: setting for setting in SETTINGS}


@dataclass(frozen=True, slots=True)
class Resolved:
    """A value and where it came from: "flag", "environment", "dw.toml" or "default"."""

    setting: Setting
    value: Value
    source: str

    @property
    def shown(self) -> Value:
        """The value, masked if it is a secret."""
        return "********" if self.setting.secret and self.value else self.value


class Settings(Mapping[str, Value]):
    """The value of every setting."""

    def __init__(self, resolved: Mapping[str, Resolved]) -> None:
        self.resolved = resolved

    def __getitem__(self, name: str) -> Value:
        return self.resolved[name].value

    def __iter__(self) -> Iterator[str]:
        return iter(self.resolved)

    def __len__(self) -> int:
        return len(self.resolved)

    def number(self, name: str) -> int:
        value = self[name]
        assert isinstance(value, int)
        return value

    def text(self, name: str) -> str:
        return str(self[name])

    @property
    def folder(self) -> Path:
        return Path(self.text("data")).expanduser()


def resolve(
    flags: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> Settings:
    """Every setting's value. Raises BadRequest for an unknown name, for a variable that is nearly one of a setting, or
    for a value that is not valid."""
    flags, environment = flags or {}, environment or {}
    stored = _read(file) if file and file.exists() else {}
    stored.pop("aws", None)  # where the deployed warehouse is: operate/deployment.py
    for source, names in (("option", flags), (FILE_NAME, stored)):
        for name in names:
            if name not in _BY_NAME:
                raise BadRequest(f"Unknown setting {name!r} ({source}); valid are {', '.join(_BY_NAME)}.")
    _check_variables(environment)
    resolved = {}
    for setting in SETTINGS:
        candidates = (
            ("flag", flags.get(setting.name)),
            ("environment", environment.get(setting.variable)),
            (FILE_NAME, stored.get(setting.name)),
        )
        source, given = next(((s, v) for s, v in candidates if v is not None), ("default", setting.default))
        resolved[setting.name] = Resolved(setting, _value(setting, given, source), source)
    return Settings(resolved)


def _check_variables(environment: Mapping[str, str]) -> None:
    """Raises BadRequest for one that was probably meant to be a setting's; others may be of other programs."""
    known = {setting.variable for setting in SETTINGS}
    for name in environment:
        if name.startswith("DW_") and name not in known:
            import difflib  # only here: few have such a variable

            if close := difflib.get_close_matches(name, known, 1, _NEARLY):
                raise BadRequest(f"The environment has {name}, which is no setting. Did you mean {close[0]}?")


def _read(file: Path) -> dict[str, object]:
    import tomllib  # only here: few commands have such a file, and each waits for what it imports

    try:
        return tomllib.loads(file.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"{file} is not valid TOML: {error}.") from None


def _value(setting: Setting, given: object, source: str) -> Value:
    where = {"environment": setting.variable, "flag": setting.flag}.get(source, f"{setting.name} in {source}")
    if isinstance(setting.default, bool):
        words = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
        if str(given).lower() not in words:
            raise BadRequest(f"{where} is {given!r}; valid are yes and no.")
        return words[str(given).lower()]
    if isinstance(setting.default, int):
        match = re.fullmatch(r"([0-9]+) ?([kmgi]*b?)", str(given).strip(), re.IGNORECASE)
        sizes = _SIZES if setting.unit == "bytes" else {"": 1}
        if not match or match[2].upper() not in sizes or isinstance(given, bool):
            form = "a number of bytes, such as 1048576 or 64MiB" if setting.unit == "bytes" else "a whole number"
            raise BadRequest(f"{where} is {given!r}; valid is {form} ({setting.unit}).")
        number = int(match[1]) * sizes[match[2].upper()]
        if not setting.low <= number <= setting.high:
            raise BadRequest(f"{where} is {number}; valid is {setting.low} to {setting.high} {setting.unit}.")
        return number
    if "|" in setting.unit and str(given) not in setting.unit.split("|"):
        raise BadRequest(f"{where} is {given!r}; valid are {' and '.join(setting.unit.split('|'))}.")
    return str(given)
