"""Data files by their paths: what a door for files lists and gives."""

from __future__ import annotations

from typing import NamedTuple

from datawarehouse.catalog.store import Store

_COLUMNS = "path, bytes, digest, created_ms, damage"


class FileByPath(NamedTuple):
    """See `records.File`."""

    path: str
    bytes: int
    digest: str
    created_ms: int
    damage: str | None


def live_after(store: Store, table: str, kind: str, prefix: str, after: str, limit: int) -> list[FileByPath]:
    """The first `limit` live files of a table, in the order of their paths, whose path begins with `prefix` and comes
    after `after`."""
    low = prefix if after < prefix else f"{after}\0"  # the least text that comes after it
    rows = store.rows(
        f"select {_COLUMNS} from files where path >= ? and path < ? and +table_name = ? and +kind = ?"
        " and retired_ms is null order by path limit ?",
        (low, f"{prefix}\U0010ffff", table, kind, limit),
    )
    return [FileByPath(*row) for row in rows]


def file_at(store: Store, table: str, kind: str, path: str) -> FileByPath | None:
    """A file that is live, or was replaced and is kept for those who know of it."""
    rows = store.rows(
        f"select {_COLUMNS} from files where path = ? and table_name = ? and kind = ?", (path, table, kind)
    )
    return FileByPath(*rows[0]) if rows else None
