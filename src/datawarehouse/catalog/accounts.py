"""What an audit needs of the catalog, and what it stores there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from datawarehouse.catalog.store import Store
from datawarehouse.definition.tables import Table


@dataclass(frozen=True, slots=True)
class Account:
    """The ledger of one partition, in records and rows; see `schema.py` for the equations."""

    partition: str
    received: int
    stored: int
    stored_rows: int
    rejected: int
    deduplicated_rows: int
    expired_rows: int
    expired_records: int
    lost_rows: int
    lost_records: int

    @property
    def is_whole(self) -> bool:
        """Whether nothing that was stored in it has gone."""
        return not (
            self.deduplicated_rows or self.expired_rows or self.expired_records or self.lost_rows or self.lost_records
        )


class Accounts:
    """The part of the catalog that audits use."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def tables(self) -> list[str]:
        """The tables that the warehouse fills, also those that are no longer declared."""
        return [
            name for (name,) in self._store.rows("select name from tables where kind != ? order by name", (Table.kind,))
        ]

    def ledger(self, table: str, low: str | None, high: str | None) -> list[Account]:
        """The ledger of the partitions from `low` to the one before `high`; None means no bound."""
        rows = self._store.rows(
            "select partition, received_records, stored_records, stored_rows, rejected_records, deduplicated_rows,"
            " expired_rows, expired_records, lost_rows, lost_records from ledger"
            " where table_name = ? and partition >= ? and partition < ? order by partition",
            (table, low or "", high or "\U0010ffff"),
        )
        return [Account(*row) for row in rows]

    def is_live(self, path: str) -> bool:
        return bool(self._store.rows("select 1 from files where path = ? and retired_ms is null", (path,)))

    def found_right(self, files: Iterable[tuple[str, str, int, int]]) -> None:
        """Store of live files that their bytes are what was written: (path, digest, inode, modified_ns).

        The digest of a file that has none is stored as well, and a mark of damage is lifted.
        """
        with self._store.transaction():
            self._store.execute_many(
                "update files set digest = ?, inode = ?, modified_ns = ?, damage = null"
                " where path = ? and retired_ms is null and digest in ('', ?)",
                [(digest, inode, modified_ns, path, digest) for path, digest, inode, modified_ns in files],
            )
