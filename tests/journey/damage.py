"""A warehouse with every kind of data file, and ways to damage one as disks, editors and copies do."""

import os
from datetime import UTC, datetime

from datawarehouse import Warehouse
from datawarehouse.testing import simulate

START = datetime(2026, 3, 1, 7, tzinfo=UTC)
COLUMNS = {"id": "string", "n": "int", "x": "double"}


def every_hour(job):
    return [{"n": n} for n in range(20)]


def declared():
    return (
        Warehouse("shop")
        .with_streaming_input_table("clicks", COLUMNS, sort_by=["n"])
        .with_streaming_input_table("views", COLUMNS, dedupe_key="id")
        .with_batch_input_table("counts", {"n": "int"}, every_hour, "rate(1 hour)", {"hour": "string"})
        .with_table("facts", {"thing": "string"})
    )


def events(first, count=40):
    good = [{"id": f"{n:08d}", "n": (n * 7) % 100, "x": n / 3} for n in range(first, first + count)]
    return [*good, b"{", b'{"n": "text"}']


def opened(folder, start=START, **settings):
    return simulate(declared(), folder, start=start, settings=settings)


def fill(warehouse, hours=3):
    """Some hours of events; the last one has fresh files, the others are merged and compacted."""
    for hour in range(hours):
        for part in range(3):
            for table in ("clicks", "views"):
                warehouse.put(table, events(hour * 1000 + part * 30))  # some ids twice: views are deduplicated
            warehouse.flush()
        if hour < hours - 1:
            warehouse.advance("1h")


def live(warehouse, *tables):
    """The live files of tables, or of all."""
    catalog = warehouse.catalog
    return [file for table in tables or catalog.accounts.tables() for file in catalog.files_between(table, None, None)]


def flip(path, bit):
    """Flip a bit as an editor does: the file is written anew."""
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


def rot(path, bit):
    """Flip a bit as a disk does: what the file system says of the file stays."""
    said = path.stat()
    with path.open("r+b") as file:
        file.seek(bit // 8)
        byte = file.read(1)[0]
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))
    os.utime(path, ns=(said.st_atime_ns, said.st_mtime_ns))
    now = path.stat()
    assert (now.st_ino, now.st_size, now.st_mtime_ns) == (said.st_ino, said.st_size, said.st_mtime_ns)
