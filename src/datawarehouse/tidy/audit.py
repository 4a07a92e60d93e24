"""What an audit proves from the catalog, and which files it reads. Pure.

For each table and hour, in records and rows:

  received = stored + rejected
  stored rows = live + deduplicated + expired + lost
  rejected = live + expired + lost

What is live is added up from the files, whose footers and bytes are compared with the catalog one by one. The numbers
of the records in the files are compared as well: no record is in two files, no file has more records than the ledger,
and where nothing has gone the files hold exactly the records that were received.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from zlib import crc32

from datawarehouse.catalog.accounts import Account
from datawarehouse.catalog.records import File
from datawarehouse.parquet.footer import REJECTS, ROWS, joined

CATALOG, FILES, DATA = "catalog", "files", "data"
LEVELS = (CATALOG, FILES, DATA)
"""What an audit reads: nothing but the catalog; the footer of each file; each file whole."""

MEND_FILE = "restore the file from a back-up, or `dw doctor --repair`"
MEND_LEDGER = "`dw doctor`"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong. path: of the file, empty if it is the hour as a whole. rows, records: how many are lost
    or in doubt; of rejected records there are no rows."""

    table: str
    hour: str
    path: str
    problem: str
    rows: int
    records: int
    mend: str


def of_file(file: File, problem: str) -> Finding:
    """The finding that a file is not what was written: all of it is lost."""
    rows = file.rows if file.kind == ROWS else 0
    return Finding(file.table, file.partition, file.path, problem, rows, file.records, MEND_FILE)


_NUMBER_CHARACTERS = 16  # with which the name of a data file begins; what follows is drawn


def in_share(path: str, share: int, shares: int) -> bool:
    """Whether a file is in the share of this number, counted from 0. A file stays in its share, and so does the file
    that it becomes the first part of."""
    stable = path[: path.rfind("/") + 1 + _NUMBER_CHARACTERS]
    return crc32(stable.encode()) % shares == share


def unproven(table: str, files: Sequence[File], ledger: Iterable[Account]) -> Iterator[Finding]:
    """The hours of a table of which the equations do not hold. files: its live ones, in the order of their hours."""
    accounts = {account.partition: account for account in ledger}
    held = {hour: list(group) for hour, group in groupby(files, lambda file: file.partition)}
    for hour in sorted(accounts.keys() | held.keys()):
        here, account = held.get(hour, []), accounts.get(hour)
        rows = [file for file in here if file.kind == ROWS]
        rejects = [file for file in here if file.kind == REJECTS]
        if account is None:
            lost = sum(file.rows for file in rows), sum(file.records for file in here)
            yield Finding(table, hour, "", "it has live files and is not in the ledger", *lost, MEND_LEDGER)
            continue
        for problem, lost_rows, lost_records in (
            *_unequal(account, rows, rejects),
            *_twice(rows),
            *_twice(rejects),
            *_records_unequal(account, rows, rejects),
        ):
            yield Finding(table, hour, "", problem, abs(lost_rows), abs(lost_records), MEND_LEDGER)


Problem = tuple[str, int, int]


def _unequal(account: Account, rows: Sequence[File], rejects: Sequence[File]) -> Iterator[Problem]:
    if account.received != account.stored + account.rejected:
        difference = account.received - account.stored - account.rejected
        problem = f"received {account.received} is not stored {account.stored} + rejected {account.rejected}"
        yield problem, 0, difference
    live = sum(file.rows for file in rows)
    gone = account.deduplicated_rows + account.expired_rows + account.lost_rows
    if account.stored_rows != live + gone:
        problem = (
            f"stored rows {account.stored_rows} are not live {live} + deduplicated {account.deduplicated_rows}"
            f" + expired {account.expired_rows} + lost {account.lost_rows}"
        )
        yield problem, account.stored_rows - live - gone, 0
    live = sum(file.records for file in rejects)
    gone = account.expired_records + account.lost_records
    if account.rejected != live + gone:
        problem = (
            f"rejected {account.rejected} is not live {live} + expired {account.expired_records}"
            f" + lost {account.lost_records}"
        )
        yield problem, 0, account.rejected - live - gone


def _records_unequal(account: Account, rows: Sequence[File], rejects: Sequence[File]) -> Iterator[Problem]:
    """The records whose numbers the files have, compared with those of the ledger; a job's output has no numbers."""
    if not account.received and not any(file.spans for file in (*rows, *rejects)):
        return
    stored = sum(file.records for file in rows)
    if stored > account.stored or (account.is_whole and stored != account.stored):
        yield f"stored {account.stored}, and the files of rows hold {stored} records", 0, account.stored - stored
    spans = joined(span for file in (*rows, *rejects) for span in file.spans)
    covered = sum(last - first + 1 for first, last in spans)
    if covered > account.received or (account.is_whole and covered != account.received):
        problem = f"received {account.received}, and the files are of {covered} records"
        yield problem, 0, account.received - covered


def _twice(files: Sequence[File]) -> Iterator[Problem]:
    """Files of one kind that hold the same records."""
    spans = sorted((first, last, file.path) for file in files for first, last in file.spans)
    for (_, last, one), (first, end, other) in pairwise(spans):
        if first <= last:
            yield f"{one} and {other} both hold record {first}", 0, min(last, end) - first + 1
