"""The tables of the catalog, and how the catalog of an earlier release is upgraded to this release.

commits      the number of the last commit (see `commits.py`)
notes        what is known of the folder as a whole, as JSON: files that are not ours, the last audit, the last back-up,
             the counts of keys that no column has, by table; the workgroups
streams      closed_ms: no record will ever have arrived before it
files        compacted: how compaction has arranged the rows; null if it has not. digest: of the file's bytes; inode,
             modified_ns: what the file system said of it when the digest was right; damage: what is wrong with it
partitions   those that a user registered; `key` is the JSON list of their values
ledger       per partition: stored_rows = live rows + deduplicated_rows + expired_rows + lost_rows, and
             rejected_records = live rejects + expired_records + lost_records; lost: in damaged files, set aside
runs         every attempt of every job; ended_ms is null while it runs
schedules    up to which instant the schedule of a job has been attended to
event_times  for each live file of rows of a table that declares its event time: the first and the last, and `counts`,
             how many rows there are of each hour (see `event_times.py`); null if that is not known
event_hour_changes  events that came after a job had begun to count their hour of event time, `partition`: `events` that
             no run has taken over, the first of which arrived in the hour `arrival`, and those that `run` took over
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

VERSION = 5
"""Of these tables; the format of the data folder that they first came with."""

_JOBS = """
create table runs (
    id integer primary key,
    job text not null,
    scheduled_ms integer not null,
    partition text not null,
    attempt integer not null,
    cause text not null,
    started_ms integer not null,
    ended_ms integer,
    outcome text not null,
    row_count integer,
    error text
) strict;
create index runs_of_job on runs (job, scheduled_ms);
create index runs_of_partition on runs (job, partition);
create table schedules (
    job text primary key,
    reached_ms integer not null
) strict;
"""

_COMMITS = """
create table commits (
    number integer not null
) strict;
insert into commits values (0);
create table notes (
    name text primary key,
    value text not null
) strict;
"""

_EVENT_TIMES = """
create table event_times (
    file integer primary key,
    of_table text not null,
    column_name text not null,
    least_ms integer not null,
    greatest_ms integer not null,
    counts text
) strict;
create index event_times_of_table on event_times (of_table, greatest_ms, least_ms);
create trigger files_get_event_times after insert on files when new.kind = 'rows' begin
    insert into event_times (file, of_table, column_name, least_ms, greatest_ms, counts)
    select new.id, name, event_time, -4611686018427387904, 4611686018427387904, null from tables
    where name = new.table_name and event_time is not null;
end;
create trigger files_lose_event_times after delete on files begin
    delete from event_times where file = old.id;
end;
"""

_EVENT_HOUR_CHANGES = """
create table event_hour_changes (
    job text not null,
    partition text not null,
    of_table text not null,
    arrival text not null,
    events integer not null,
    taken integer not null,
    run integer,
    primary key (job, partition, of_table)
) strict;
"""

SCHEMA = f"""
create table warehouse (
    name text not null
) strict;
create table tables (
    name text primary key,
    kind text not null,
    partition_keys text not null,
    data_format text not null,
    schema_version integer not null,
    declared integer not null,
    event_time text
) strict;
create table schemas (
    table_name text not null,
    version integer not null,
    columns text not null,
    primary key (table_name, version)
) strict;
create table streams (
    table_name text primary key,
    position integer not null,
    next_record integer not null,
    arrival_ms integer not null,
    closed_ms integer not null default 0
) strict;
create table files (
    id integer primary key,
    table_name text not null,
    kind text not null,
    partition text not null,
    path text not null unique,
    schema_version integer not null,
    spans text not null,
    records integer not null,
    row_count integer not null,
    bytes integer not null,
    fresh integer not null,
    created_ms integer not null,
    retired_ms integer,
    compacted text,
    digest text not null default '',
    inode integer not null default 0,
    modified_ns integer not null default 0,
    damage text
) strict;
create index files_live on files (table_name, kind, partition) where retired_ms is null;
create index files_fresh on files (table_name, partition) where fresh and retired_ms is null;
create index files_retired on files (retired_ms) where retired_ms is not null;
create index files_damaged on files (path) where damage is not null;
create table partitions (
    table_name text not null,
    key text not null,
    location text,
    primary key (table_name, key)
) strict;
create table ledger (
    table_name text not null,
    partition text not null,
    received_records integer not null,
    stored_records integer not null,
    stored_rows integer not null,
    rejected_records integer not null,
    deduplicated_rows integer not null default 0,
    expired_rows integer not null default 0,
    expired_records integer not null default 0,
    lost_rows integer not null default 0,
    lost_records integer not null default 0,
    primary key (table_name, partition)
) strict;
{_JOBS}
{_COMMITS}
{_EVENT_TIMES}
{_EVENT_HOUR_CHANGES}
pragma user_version = {VERSION};
"""

_UPGRADES = {
    1: f"""
alter table ledger add column deduplicated_rows integer not null default 0;
alter table ledger add column expired_rows integer not null default 0;
alter table ledger add column expired_records integer not null default 0;
alter table streams add column closed_ms integer not null default 0;
alter table files add column compacted text;
{_JOBS}
""",
    2: f"""
alter table files add column digest text not null default '';
alter table files add column inode integer not null default 0;
alter table files add column modified_ns integer not null default 0;
alter table files add column damage text;
create index files_damaged on files (path) where damage is not null;
alter table ledger add column lost_rows integer not null default 0;
alter table ledger add column lost_records integer not null default 0;
{_COMMITS}
update commits set number = 1;  -- for the log does not begin with this one
""",
    3: f"""
alter table tables add column event_time text;
{_EVENT_TIMES}
""",
    4: _EVENT_HOUR_CHANGES,
}
"""Version -> what makes the next one. The first had no number; SQLite reads that as 0."""


def upgrade(path: Path, version: int) -> None:
    """Upgrade the catalog in `path` from `version` to the next version, completely or not at all; may be repeated."""
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.execute("pragma synchronous = full")
        made = db.execute("select 1 from sqlite_schema where name = 'tables'").fetchone()
        if made and max(1, db.execute("pragma user_version").fetchone()[0]) == version:
            db.executescript(f"begin immediate; {_UPGRADES[version]} pragma user_version = {version + 1}; commit;")
    finally:
        db.close()
