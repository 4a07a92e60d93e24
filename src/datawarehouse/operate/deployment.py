"""Where the parts of a deployed warehouse are: read from what its Pulumi program exports.

The program exports one value, `pulumi.export("warehouse", deployed.addresses)`. It is found, in this order, in the file
that is named (`--outputs`), as `[aws]` in dw.toml says, or by `pulumi stack output --json` in the present folder. A
file has all outputs of a stack or that one value. `[aws]` has `outputs` (a file), or `program` (the folder of the
Pulumi program) and `stack`, each of which can be left out.
"""

from __future__ import annotations

import json
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datawarehouse.definition.tables import BatchInputTable, StreamingInputTable, Table
from datawarehouse.errors import BadRequest, UnknownName, Unreachable
from datawarehouse.settings import FILE_NAME

_PULUMI_S = 120.0
_EXPORT = 'pulumi.export("warehouse", deployed.addresses)'
_KEYS = {"outputs", "program", "stack"}


@dataclass(frozen=True, slots=True)
class DeployedTable:
    """A table of the deployed warehouse.

    stream, delivery: the names of the Kinesis stream and of the Firehose of a streaming input table. registrar: of the
    function that registers its hours, None if they are projected. converter: of the function that converts records for
    an Iceberg table. function, schedule: of the job of a batch input table; the schedule is the declared one.
    event_time, hours: the columns of event time and of arrival, of a streaming input table that declares the first.
    """

    name: str
    kind: str
    stream: str | None = None
    delivery: str | None = None
    registrar: str | None = None
    converter: str | None = None
    function: str | None = None
    schedule: str | None = None
    event_time: str | None = None
    hours: str | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployed warehouse. workgroups: names by audience. alarm_topic: the ARN of the topic of its alarms; None if an
    earlier release has exported the addresses. gateway: the function that starts the queries of a guarded workgroup,
    by audience."""

    warehouse: str
    region: str
    database: str
    data_bucket: str
    results_bucket: str
    workgroups: Mapping[str, str]
    tables: Mapping[str, DeployedTable]
    alarm_topic: str | None = None
    gateway: Mapping[str, str] = field(default_factory=dict)

    def table(self, name: str) -> DeployedTable:
        """Raises UnknownName, with the tables that there are."""
        if name not in self.tables:
            raise UnknownName(f"The deployed warehouse has no table {name!r}; it has {_listed(list(self.tables))}.")
        return self.tables[name]

    def streaming(self, name: str) -> DeployedTable:
        """A streaming input table. Raises UnknownName."""
        return self._of_kind(name, StreamingInputTable)

    def batch(self, name: str) -> DeployedTable:
        """A batch input table. Raises UnknownName."""
        return self._of_kind(name, BatchInputTable)

    def _of_kind(self, name: str, kind: type[Table]) -> DeployedTable:
        found = self.table(name)
        if found.kind != kind.kind:
            others = [each.name for each in self.tables.values() if each.kind == kind.kind]
            raise UnknownName(f"Table {name!r} is a {found.kind}; the {kind.kind}s are {_listed(others)}.")
        return found


def find_deployment(outputs: str | None, settings_file: Path) -> Deployment:
    """The deployed warehouse. outputs: the file that was named. settings_file: dw.toml, which need not exist.

    Raises BadRequest if what is found does not describe one warehouse, Unreachable if Pulumi does not answer.
    """
    if outputs:
        return _from_file(Path(outputs))
    said = _said(settings_file)
    if "outputs" in said:
        return _from_file(settings_file.parent / said["outputs"])
    return _from_pulumi(settings_file.parent / said.get("program", "."), said.get("stack"))


def _said(settings_file: Path) -> dict[str, str]:
    """The table [aws] of dw.toml."""
    try:
        said = tomllib.loads(settings_file.read_text()).get("aws", {}) if settings_file.exists() else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"{settings_file} is not valid TOML: {error}.") from None
    if not isinstance(said, dict) or set(said) - _KEYS or not all(isinstance(text, str) for text in said.values()):
        raise BadRequest(
            f"[aws] in {settings_file} is {said!r}; valid are outputs = FILE, or program = FOLDER and stack = NAME."
        )
    return said


def _from_file(path: Path) -> Deployment:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(
            f"The outputs of the deployment cannot be read from {path}: {error}. `pulumi stack output --json` in the "
            "folder of the Pulumi program writes them."
        ) from None
    return _described(text, str(path))


def _from_pulumi(folder: Path, stack: str | None) -> Deployment:
    command = ["pulumi", "stack", "output", "--json", "--non-interactive", *(["--stack", stack] if stack else [])]
    shown = f"`{' '.join(command)}` in {folder.resolve()}"
    instead = f"Name a file with the outputs: --outputs FILE, or outputs = FILE in [aws] of {FILE_NAME}"
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_PULUMI_S)
    except (FileNotFoundError, NotADirectoryError):
        lacking = "there is no such folder" if not folder.is_dir() else "the Pulumi CLI is not installed"
        raise BadRequest(f"{shown} cannot run: {lacking}. {instead}.") from None
    except subprocess.TimeoutExpired:
        raise Unreachable(f"{shown} did not end in {_PULUMI_S:g} s. {instead}.") from None
    if done.returncode:
        told = " ".join((done.stderr or done.stdout).split())
        raise BadRequest(f"{shown} failed: {told}. {instead}, or run in the folder of the Pulumi program.")
    return _described(done.stdout, shown)


def _described(text: str, source: str) -> Deployment:
    try:
        outputs = json.loads(text)
    except ValueError as error:
        raise BadRequest(f"What {source} has is not JSON: {error}.") from None
    if _is_address_book(outputs):
        return _parsed(outputs, source)
    found = [value for value in outputs.values() if _is_address_book(value)] if isinstance(outputs, dict) else []
    if not found:
        raise BadRequest(
            f"{source} has no addresses of a warehouse. Export them in the Pulumi program, {_EXPORT}, and run "
            "`pulumi up`."
        )
    if len(found) > 1:
        raise BadRequest(
            f"{source} has the addresses of {len(found)} warehouses. Write those of one to a file, e.g. by "
            "`pulumi stack output --json NAME`, and name it: --outputs FILE."
        )
    return _parsed(found[0], source)


def _is_address_book(value: Any) -> bool:
    return isinstance(value, dict) and {"warehouse", "database", "workgroups", "tables"} <= value.keys()


def _parsed(given: Mapping[str, Any], source: str) -> Deployment:
    """What is not known here was exported by a later release, and is left out."""
    known = DeployedTable.__dataclass_fields__
    try:
        return Deployment(
            **{
                name: _text(given, name)
                for name in ("warehouse", "region", "database", "data_bucket", "results_bucket")
            },
            workgroups={audience: _text(given["workgroups"], audience) for audience in given["workgroups"]},
            tables={
                name: DeployedTable(name, **{key: _text(told, key) for key in told if key in known})
                for name, told in given["tables"].items()
            },
            alarm_topic=_text(given, "alarm_topic") if "alarm_topic" in given else None,
            gateway={audience: _text(given["gateway"], audience) for audience in given.get("gateway", {})},
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise BadRequest(
            f"{source} has addresses of a warehouse that are not complete: {error}. Run `pulumi up` with this release, "
            "and read its outputs again."
        ) from None


def _text(given: Mapping[str, Any], name: str) -> str:
    found = given[name]
    if not isinstance(found, str):
        raise TypeError(f"{name} is {found!r}")
    return found


def _listed(names: list[str]) -> str:
    return ", ".join(sorted(names)) or "none"
