"""Data files by their paths, and the partitions that have some: what a door for files lists and gives."""

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
    low = max(prefix, next_text(after))
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


def partitions_from(store: Store, table: str, kind: str, low: str, high: str | None, limit: int) -> list[str]:
    """The first `limit` partitions with live files from `low` to `high`, both inclusive, in their order; None means no
    bound."""
    rows = store.rows(
        "select distinct partition from files indexed by files_live where table_name = ? and kind = ?"
        " and retired_ms is null and partition >= ? and partition <= ? order by partition limit ?",
        (table, kind, low, "\U0010ffff" if high is None else high, limit),
    )
    return [partition for (partition,) in rows]


def next_text(text: str) -> str:
    """The least text that comes after one; of an empty one, itself."""
    return f"{text}\0" if text else ""
