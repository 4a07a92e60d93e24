"""Answered means durable, whatever the disk does with what was not synced (ARCHITECTURE.md, invariants 1 and 2)."""

import random
from pathlib import Path

import pytest
from power_loss import PowerLoss, PowerLossDisk

from datawarehouse.durable import ASIDE_SUFFIX, make_folder, publish, replace
from datawarehouse.journal.block import IdempotencyKeys
from datawarehouse.journal.journal import Journal, entry_of
from datawarehouse.journal.opening import Start
from datawarehouse.journal.read import Damage, read_spans

RUNS = 1000
ROOT = Path("/data")


class Clock:
    def __init__(self):
        self.now = 1_795_000_000_000

    def now_ms(self):
        self.now += 1
        return self.now


class World:
    """What survives outside the disk: what clients were told, and what the catalog committed."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.clock = Clock()
        self.acknowledged = {}  # record number -> bytes
        self.keys = {}  # idempotency key -> first record
        self.converted = Start()
        self.published = {}  # path -> content
        self.versions = [b"1"]
        self.sent = 0

    def records(self):
        found = []
        for _ in range(self.random.randint(1, 4)):
            self.sent += 1
            found.append(b"%d:" % self.sent + self.random.randbytes(self.random.choice((0, 5, 200, 1500))))
        return found


def work(world, disk):
    """Random appends, rolls, trims and publications, until the power goes."""
    make_folder(disk, Path("/"), ROOT)
    journal = Journal(ROOT, "clicks", world.clock, disk, world.converted, segment_bytes=3000)
    check(world, disk, journal)
    while True:
        pick = world.random.random()
        if pick < 0.6:
            append(world, journal)
        elif pick < 0.8:
            convert(world, disk, journal)
        elif pick < 0.9:
            publish_one(world, disk)
        else:
            content = b"%d" % (len(world.versions) + 1)
            world.versions.append(content)
            replace(disk, ROOT / "FORMAT", content)
            world.versions = [content]


def append(world, journal):
    groups = [world.records() for _ in range(world.random.randint(1, 3))]
    keys = [
        IdempotencyKeys(world.random.randbytes(16), bytes(16)) if world.random.random() < 0.5 else None for _ in groups
    ]
    tickets = [journal.enqueue(entry_of(group, keys=key)) for group, key in zip(groups, keys, strict=True)]
    journal.flush()
    for group, key, ticket in zip(groups, keys, tickets, strict=True):
        appended = ticket.outcome()
        for offset, record in enumerate(group):
            assert appended.first_record + offset not in world.acknowledged
            world.acknowledged[appended.first_record + offset] = record
        if key:
            world.keys[key.key] = appended.first_record


def convert(world, disk, journal):
    """As conversion does: read a part, commit the position (the catalog is durable by itself), then trim."""
    spans = journal.spans(world.converted.position, 1500)
    if not spans:
        return
    position, record, arrival = world.converted.position, world.converted.record, world.converted.arrival_ms
    for block in read_spans(spans, disk, record, 1500):
        assert not isinstance(block, Damage)
        position, record, arrival = block.end, block.first_record + block.count, block.arrival_ms
    world.converted = Start(position, record, arrival)
    journal.trim(position)


def publish_one(world, disk):
    target = ROOT / f"{len(world.published)}.parquet"
    content = world.random.randbytes(2000)
    aside = target.with_name(target.name + ASIDE_SUFFIX)
    if disk.exists(aside):
        disk.remove(aside)
    file = disk.open(aside, new=True)
    file.write([content])
    file.close()
    world.published[target] = (content, False)
    publish(disk, aside, target)
    world.published[target] = (content, True)


def check(world, disk, journal):
    """Everything acknowledged and not converted is there once, in order; everything published is whole."""
    found = {}
    spans = journal.spans(world.converted.position, 10**9)
    for block in read_spans(spans, disk, world.converted.record, 10**9):
        assert not isinstance(block, Damage)
        for offset, record in enumerate(block.records()):
            number = block.first_record + offset
            assert number not in found, "a record number was given twice"
            found[number] = record
    expected = {number: record for number, record in world.acknowledged.items() if number >= world.converted.record}
    assert {number: found.get(number) for number in expected} == expected
    # What was written and not acknowledged may be there; whoever reads it reads all of it.
    assert list(found) == list(range(world.converted.record, journal.next_record))
    for number, record in found.items():
        world.acknowledged[number] = record
    for key, first in world.keys.items():
        seen = journal.seen(IdempotencyKeys(key, bytes(16)))
        assert seen is not None
        assert (seen[0], seen[1].first_record) == (True, first)
    for path, (content, returned) in world.published.items():
        if returned or disk.exists(path):
            assert disk.read(path) == content
    if disk.exists(ROOT / "FORMAT"):
        assert disk.read(ROOT / "FORMAT") in world.versions
        world.versions = [disk.read(ROOT / "FORMAT")]
    else:
        assert world.versions[0] == b"1", "a version that was written is gone"


def run(seed):
    world = World(seed)
    disk = PowerLossDisk(world.random, power_until=world.random.randint(1, 60))
    for _ in range(4):
        with pytest.raises(PowerLoss):
            work(world, disk)
        disk = disk.restarted(power_until=world.random.randint(1, 120))
    disk = disk.restarted()
    make_folder(disk, Path("/"), ROOT)
    check(world, disk, Journal(ROOT, "clicks", world.clock, disk, world.converted, segment_bytes=3000))
    return len(world.acknowledged)


@pytest.mark.parametrize("first", range(0, RUNS, 100))
def test_what_was_acknowledged_survives_power_loss(first):
    acknowledged = 0
    for seed in range(first, first + 100):
        try:
            acknowledged += run(seed)
        except BaseException as error:
            raise AssertionError(f"run({seed}) replays this") from error
    assert acknowledged > 1000, "the runs must get to acknowledge records"
