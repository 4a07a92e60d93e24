"""The schemas of scratch as the catalogs of Athena and Glue tell of them: one's own and those of its workgroup."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from datawarehouse.access.identity import Identity
from datawarehouse.errors import FolderError
from datawarehouse.scratch.store import Place, Scratch, ScratchTable
from datawarehouse.server.query import asker_of
from datawarehouse.sql.names import SCRATCH, schema_of


@dataclass(frozen=True, slots=True)
class ScratchSchemas:
    scratch: Scratch

    def of(self, identity: Identity, *, must: bool = False) -> dict[str, Mapping[str, ScratchTable]]:
        """Tables and views by schema and name, as far as what they are made of may be queried. One's own schema is
        `scratch`, and is there without a table too. must: whether one of them is asked for. Raises FolderError if it
        cannot be told then what there is; otherwise there is nothing."""
        if not identity.rights.may_query:
            return {}
        asker, names = asker_of(identity), identity.rights.queryable
        found: dict[str, Mapping[str, ScratchTable]] = {SCRATCH: {}}
        for key in {asker.key, *self.scratch.keys(asker.group)}:
            try:
                made = self.scratch.tables(Place(asker.group, key))
            except FolderError:
                if must:
                    raise
                made = {}
            tables = {
                name: table for name, table in sorted(made.items()) if names is None or names.issuperset(table.reads)
            }
            if key == asker.key:
                found[SCRATCH] = tables
            elif tables:
                found[schema_of(key)] = tables
        return dict(sorted(found.items()))

    def named(self, identity: Identity, name: str) -> Mapping[str, ScratchTable] | None:
        """The tables and views of a schema, by name; None if there is none of that name."""
        wanted = name.lower()
        if wanted == asker_of(identity).own:
            wanted = SCRATCH
        return self.of(identity, must=True).get(wanted) if wanted.startswith(SCRATCH) else None
