"""Whether the files of scratch tables that a query reads are what was written."""

from __future__ import annotations

from pathlib import Path

from datawarehouse.catalog.records import LiveFile
from datawarehouse.errors import FileDamaged, QueryFailed
from datawarehouse.query.readable import Made
from datawarehouse.query.verify import Verifier
from datawarehouse.scratch.store import is_listed
from datawarehouse.sql.names import shown


def check_scratch(made: Made, own: str, lake: Path, verifier: Verifier, deadline: float) -> None:
    """own: the schema of the scratch of whoever asks. Raises FileDamaged, QueryFailed if the table was replaced
    meanwhile, or TimeoutError at `deadline` (of time.monotonic)."""
    name = shown(f"{made.own}.{made.table.name}", own)
    for path, file in zip(made.paths, made.table.files, strict=True):
        place = str(Path(path).relative_to(lake))
        try:
            verifier.check(
                name, [LiveFile(place, 1, file.bytes, file.digest, file.inode, file.modified_ns, None)], deadline
            )
        except FileDamaged as error:
            if not is_listed(Path(path)):
                raise QueryFailed(f"The table {name!r} was replaced while the query began; ask again.") from None
            raise FileDamaged(
                f"Table {name!r}: its file {place} is damaged: {error.problem}. Drop the table and make it again, or "
                "restore the file from a back-up.",
                name,
                place,
                error.problem,
            ) from None
