"""What a back-up holds, as a file of JSON: `{"digest": ..., "backup": {...}}`, with the digest of the second value.

The name of the file is the moment of the back-up, so that the names in order are the back-ups in order.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import PurePosixPath
from typing import TypeVar

import msgspec
import xxhash

from datawarehouse.definition.instants import instant_of, timestamp_ms
from datawarehouse.errors import BackupError

FORMAT = 1

T = TypeVar("T")

_NAME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d\.\d{3})Z\.json")

CATALOG, JOURNAL, LAYOUT, DATA, FILLED = "catalog", "journal", "format", "data", "filled"
"""What a file is. LAYOUT: the file FORMAT; FILLED: of a table that its user fills, or set aside."""

NEEDED = (CATALOG, JOURNAL, LAYOUT)
"""Without one of these files a back-up cannot be restored; without another, the rest of it can."""


class Kept(msgspec.Struct, frozen=True):
    """A file of a back-up: where it was in the data folder, and which copy holds its bytes (see `store.py`).

    modified_ns: of a file that its user may change, when it was changed last.
    """

    path: str
    kind: str
    bytes: int
    digest: str
    modified_ns: int = 0


class Problem(msgspec.Struct, frozen=True):
    """A file that is not in the back-up, and why."""

    path: str
    problem: str


class Manifest(msgspec.Struct, frozen=True):
    """A back-up: every event that was acknowledged before `moment_ms` is in it.

    commit: the last one of its catalog. left_out: what a back-up never holds, in words.
    """

    format: int
    warehouse: str
    identity: str
    moment_ms: int
    ended_ms: int
    commit: int
    files: list[Kept]
    problems: list[Problem] = []
    left_out: list[str] = []

    @property
    def is_complete(self) -> bool:
        return not self.problems

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)


class _Version(msgspec.Struct, frozen=True):
    format: int


class _Named(msgspec.Struct, frozen=True):
    digest: str


class Outline(msgspec.Struct, frozen=True):
    """What pruning needs of a manifest. A folder may have a month of them, with tens of thousands of files each."""

    files: list[_Named]
    problems: list[Problem] = []


class _Signed(msgspec.Struct, frozen=True):
    digest: str
    backup: msgspec.Raw


def encode(manifest: Manifest) -> bytes:
    text = msgspec.json.encode(manifest)
    return msgspec.json.encode(_Signed(xxhash.xxh3_128(text).hexdigest(), msgspec.Raw(text))) + b"\n"


def decode(content: bytes) -> Manifest:
    """Raises BackupError, which says what is wrong."""
    manifest = _decoded(content, Manifest)
    for file in manifest.files:
        place = PurePosixPath(file.path)
        if place.is_absolute() or ".." in place.parts or not place.parts:
            raise BackupError(f"it has a file outside the data folder: {file.path!r}")
    return manifest


def outline(content: bytes) -> Outline:
    """Raises BackupError, which says what is wrong."""
    return _decoded(content, Outline)


def _decoded(content: bytes, kind: type[T]) -> T:
    try:
        signed = msgspec.json.decode(content, type=_Signed)
        if xxhash.xxh3_128(signed.backup).hexdigest() != signed.digest:
            raise BackupError("its bytes are not those that were written")
        if msgspec.json.decode(signed.backup, type=_Version).format > FORMAT:
            raise BackupError("a newer release wrote it: pip install --upgrade serverless-datawarehouse")
        return msgspec.json.decode(signed.backup, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BackupError("it is not what a back-up writes, or only a part of it") from None


def name_of(moment_ms: int) -> str:
    """The name of a manifest's file: 2026-11-29T07-00-03.123Z.json"""
    return shown(moment_ms).replace(":", "-") + ".json"


def moment_of(name: str) -> int | None:
    """The moment in the name of a manifest's file; None if it is another file."""
    found = _NAME.fullmatch(name)
    return timestamp_ms(f"{found[1]}T{found[2]}:{found[3]}:{found[4]}Z") if found else None


def shown(moment_ms: int) -> str:
    """2026-11-29T07:00:03.123Z"""
    instant: datetime = instant_of(moment_ms)
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")
