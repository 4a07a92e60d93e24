"""What happens on either side before, between and after calls of `dw push`."""

import itertools
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from pushing import DECLARATION, QUERIES, Sides

from datawarehouse.aws.glue_tables import error_documents_of, table_of
from datawarehouse.clock import WallClock
from datawarehouse.definition.partition import start_of
from datawarehouse.operate.clients import Clients
from datawarehouse.operate.deployment import find_deployment
from datawarehouse.operate.push import Push
from datawarehouse.operate.push_survey import THREADS, Here
from datawarehouse.runtime.reader import Reader
from datawarehouse.settings import resolve

HOURS = 4
_NUMBERS = itertools.count()
CLICKS = """
from datawarehouse import Warehouse

warehouse = Warehouse("shop").with_streaming_input_table(
    "clicks", {"id": "string", "n": "int"}, dedupe_key="id", retention_days=1
)
"""


@pytest.fixture
def sides(aws, stack, tmp_path):
    return Sides(aws, f"meanwhile_{next(_NUMBERS)}", tmp_path, CLICKS)


@contextmanager
def pushing(sides, opened):
    """A call that works beside a warehouse in this process, whose time the test moves."""
    with Reader(sides.data, resolve()) as reader:
        complete = opened.complete()
        here = Here(reader.catalog, sides.data, complete["identity"], complete["until_ms"])
        deployment = find_deployment(str(sides.folder / "outputs.json"), sides.folder / "dw.toml")
        yield Push(here, deployment, Clients("us-east-1"), reader.engine.query)


def planned(push, opened):
    return push.plan([], opened.clock.now_ms())


def put_hour(opened, hour, ids=3):
    """An hour of events in two files."""
    for half in range(2):
        opened.put("clicks", [{"id": f"{hour}-{half}-{n}", "n": n} for n in range(ids)])
        opened.advance("30m")


def test_files_that_are_merged_between_the_plan_and_the_push(sides):
    with sides.simulated(HOURS, query_time_max_s=1, compact_after_hours=1) as opened:
        for hour in range(HOURS):
            put_hour(opened, hour)
        with pushing(sides, opened) as push:
            plan = planned(push, opened)
            before = {file.path for lane in plan.lanes for file in lane.files}
            opened.advance("1h")
            opened.compact("clicks")
            opened.advance("1h")  # retired files are deleted
            gone = [path for path in before if not (sides.data / path).exists()]
            assert gone
            [clicks, _] = push.run(plan, lambda size: None)
        assert (clicks.hours, clicks.refused) == (HOURS, {})
        sides.assert_equal("clicks")


def test_files_that_are_merged_when_their_turn_has_nearly_come(sides):
    """Hours for which no thread is free yet lose their files while those of others are put."""
    hours = THREADS + 2
    with sides.simulated(hours, query_time_max_s=1, compact_after_hours=hours - 1) as opened:
        for hour in range(hours):
            put_hour(opened, hour)
        with pushing(sides, opened) as push:
            plan, merging, merged = planned(push, opened), threading.Lock(), []
            last = plan.lanes[0].hours[-1]

            def merge(size):
                with merging:
                    if not merged:
                        merged.append(True)
                        opened.advance(timedelta(hours=hours))

            [clicks, _] = push.run(plan, merge)
        assert len(last.files) > 1 and not any((sides.data / file.path).exists() for file in last.files)
        assert (clicks.hours, clicks.refused) == (hours, {})
        sides.assert_equal("clicks")


def test_files_that_are_merged_after_some_of_them_were_put(sides, monkeypatch):
    with sides.simulated(HOURS, query_time_max_s=1, compact_after_hours=3) as opened:
        for hour in range(HOURS):
            put_hour(opened, hour)
        with pushing(sides, opened) as push:
            plan = planned(push, opened)
            several = [hour for hour in plan.lanes[0].hours if len(hour.files) > 1]
            assert several
            seen = itertools.count()

            def stop(size):
                if next(seen) >= 2:
                    raise KeyboardInterrupt

            with pytest.raises(KeyboardInterrupt):
                push.run(plan, stop)
        put = set(sides.objects("clicks/"))
        assert any("/pushed-" in key for key in put)
        opened.advance("6h")
        opened.compact("clicks")
        opened.advance("1h")
        with pushing(sides, opened) as push:
            [clicks, _] = push.run(planned(push, opened), lambda size: None)
        assert not clicks.refused
        sides.assert_equal("clicks")
        assert put - set(sides.objects("clicks/")), "nothing had to be deleted"


def test_an_hour_that_expires_meanwhile_is_taken_back(sides):
    with sides.simulated(HOURS, query_time_max_s=1) as opened:
        for hour in range(HOURS):
            put_hour(opened, hour)
        with pushing(sides, opened) as push:
            plan = planned(push, opened)
            opened.advance("26h")
            [clicks, _] = push.run(plan, lambda size: None)
        assert len(clicks.expired) >= 1 and clicks.hours + len(clicks.expired) == HOURS
        sides.assert_equal("clicks")


def test_duplicates_that_are_removed_after_the_hour_was_pushed_are_told(sides):
    with sides.simulated(HOURS, compact_after_hours=2) as opened:
        opened.put("clicks", [{"id": "same", "n": n} for n in range(4)])
        opened.advance("1h")
        with pushing(sides, opened) as push:
            push.run(planned(push, opened), lambda size: None)
        sides.assert_equal("clicks")
        before = sides.objects()
        opened.advance("4h")
        with pushing(sides, opened) as push:
            [clicks, _] = push.run(planned(push, opened), lambda size: None)
    assert sides.objects() == before
    [why] = clicks.refused.values()
    assert "it had 4 rows when it was pushed, and other ones, 1, are here now" in why


def begun(sides, opened):
    """Push until two files are there; returns the hours."""
    with pushing(sides, opened) as push:
        plan, seen = planned(push, opened), itertools.count()

        def stop(size):
            if next(seen) >= 1:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            push.run(plan, stop)
    return [hour.partition for hour in plan.lanes[0].hours]


def test_an_hour_that_the_deployed_warehouse_gets_after_it_was_begun_is_given_back(sides):
    with sides.simulated(HOURS) as opened:
        for hour in range(HOURS):
            put_hour(opened, hour)
        hours = begun(sides, opened)
        theirs = {f"clicks/{hour}/theirs.parquet" for hour in hours}
        for key in theirs:
            sides.s3.put_object(Bucket=sides.bucket, Key=key, Body=b"")
        with pushing(sides, opened) as push:
            [clicks, _] = push.run(planned(push, opened), lambda size: None)
    assert set(clicks.refused) == set(hours)
    assert set(sides.objects()) == theirs


def test_rows_that_come_while_an_hour_is_put_are_counted(sides):
    """The hour is told, and given back by the next call."""
    with sides.simulated(HOURS) as opened:
        for hour in range(HOURS):
            put_hour(opened, hour)
        with pushing(sides, opened) as push:
            plan = planned(push, opened)
            hour = plan.lanes[0].hours[0]
            late = f"clicks/{hour.partition}/late.parquet"

            def deliver(size):
                body = (sides.data / hour.files[0].path).read_bytes()
                sides.s3.put_object(Bucket=sides.bucket, Key=late, Body=body)

            [clicks, _] = push.run(plan, deliver)
        [(partition, why)] = clicks.refused.items()
        assert partition == hour.partition and "Athena counts 12 rows in it where the ledger has 6" in why
        with pushing(sides, opened) as push:
            [clicks, _] = push.run(planned(push, opened), lambda size: None)
    assert list(clicks.refused) == [hour.partition]
    assert list(sides.objects(f"clicks/{hour.partition}/")) == [late]


def test_hours_that_athena_projects_are_not_registered_and_those_before_are_refused(sides):
    first = f"{datetime.now(UTC) - timedelta(hours=HOURS - 2):%Y/%m/%d/%H}"
    for table in (table_of, error_documents_of):
        each = table(sides.warehouse.get_table("clicks"))
        parameters = each.arguments("")["parameters"] | {
            "projection.enabled": "true",
            "projection.inserted_at.type": "date",
            "projection.inserted_at.range": f"{first},NOW+1HOURS",
            "storage.location.template": f"s3://{sides.bucket}/{each.folder}${{inserted_at}}/",
        }
        sides.change(each.name, Parameters=parameters)
    sides.fill(HOURS)
    told, said = sides.push(code=1)
    assert set(told["clicks"]["refused"]) == {hour for hour in sides.hours if hour < first} != set()
    assert f"Athena sees no hour before {first} there" in said
    assert told["clicks"]["hours"] == sum(hour >= first for hour in sides.hours) > 0
    assert not sides.stack.partitions("clicks")


# -- tables that are not filled by a stream


@pytest.fixture
def shop(aws, stack, tmp_path):
    made = Sides(aws, f"meanwhile_{next(_NUMBERS)}", tmp_path, DECLARATION)
    made.fill(2)
    return made


def first_run(shop):
    """The instant for which the jobs ran first: the end of the first hour."""
    return f"{start_of(shop.hours[0]) + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"


def test_the_hour_of_a_job_that_ran_again_here_is_replaced(shop):
    shop.push("hourly", "lines", "loose")
    before = shop.objects()
    for job in ("hourly", "lines", "loose"):
        assert shop.dw("run", job, "--at", first_run(shop)).returncode == 0
    told, said = shop.push("hourly", "lines", "loose", code=1)
    assert (told["hourly"]["hours"], told["lines"]["hours"]) == (1, 1)
    assert f"loose {shop.hours[0]}: it had 1 rows when it was pushed" in said
    shop.assert_equal("hourly", "lines", "loose")
    assert before.keys() <= shop.objects().keys(), "a query may still be reading the earlier run"
    assert shop.push("hourly", "lines")[0]["hourly"]["there_already"] == 2
    assert before.keys() <= shop.objects().keys()
    with shop.simulated() as opened, pushing(shop, opened) as push:
        in_time = push.plan(["hourly", "lines"], WallClock().now_ms() + 59 * 60_000)
        assert not any(lane.replaced for lane in in_time.lanes)
        later = push.plan(["hourly", "lines"], WallClock().now_ms() + 62 * 60_000)
        push.run(later, lambda size: None)
        assert not any(lane.replaced for lane in push.plan(["hourly", "lines"], 2**50).lanes)
    gone = before.keys() - shop.objects().keys()
    assert len(gone) == 4  # of each table the rows of a run and its mark
    assert all(key.startswith(("hourly/", "lines/")) for key in gone)
    shop.assert_equal("hourly", "lines", "loose")


def test_the_hour_of_a_job_that_ran_again_on_both_sides_is_refused(shop):
    shop.push("hourly")
    theirs = f"hourly/{shop.hours[0]}/20991101T000000.000000Z-0123/theirs"
    shop.s3.put_object(Bucket=shop.bucket, Key=theirs, Body=b"")
    assert shop.push("hourly")[0]["hourly"]["there_already"] == 2
    assert shop.dw("run", "hourly", "--at", first_run(shop)).returncode == 0
    told, _ = shop.push("hourly", code=1)
    assert list(told["hourly"]["refused"]) == shop.hours[:1]


def own(shop, name, text):
    path = shop.data / "facts" / "de" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    assert shop.dw("partition", "facts", "de").returncode == 0


def test_a_users_file_that_changed_here_replaces_its_object(shop):
    own(shop, "a.json", '{"color": "red"}\n')
    shop.push("facts")
    own(shop, "a.json", '{"color": "blue"}\n{"color": "green"}\n')
    own(shop, "b.json", '{"color": "black"}\n')
    assert shop.push("facts")[0]["facts"] == {
        "table": "facts", "hours": 0, "rows": 3, "files": 2, "bytes": 56, "there_already": 0, "refused": {},
        "expired": [], "open_hours": 0,
    }  # fmt: skip
    shop.assert_equal("facts")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", '{"color": "red"}\n', None),
        ("a.json", '{"color": "RED"}\n', "has another s3://"),
        ("c.json", '{"color": "red"}\n', "has files of its own there, such as s3://"),
    ],
)
def test_a_users_file_beside_objects_of_the_deployed_warehouse(shop, name, text, message):
    shop.s3.put_object(Bucket=shop.bucket, Key=f"facts/de/{name}", Body=text.encode())
    before = shop.objects()
    own(shop, "a.json", '{"color": "red"}\n')
    told, said = shop.push("facts", code=1 if message else 0)
    assert (message or "To put: 0 B") in said
    assert list(told["facts"]["refused"]) == (["de"] if message else [])
    assert shop.objects() == before


def test_a_file_that_is_put_in_parts_arrives_whole_and_once(shop):
    shop.push()
    text = "".join(f'{{"color": "{number:08d}{"x" * 1_000_000}"}}\n' for number in range(70))
    assert len(text) > 64 * 1024 * 1024
    own(shop, "large.json", text)
    told, _ = shop.push("facts")
    assert (told["facts"]["files"], told["facts"]["rows"]) == (1, 70)
    [etag] = [etag for key, (etag, _) in shop.objects("facts/").items() if key.endswith("large.json")]
    assert etag.strip('"').endswith("-2"), "it was not put in parts"
    assert shop.push("facts")[0]["facts"]["there_already"] == 1
    assert len({color for _, color in shop.there(QUERIES["facts"])}) == 70


def test_a_line_that_cannot_be_read_is_told_and_the_other_tables_go(shop):
    own(shop, "a.json", '{"color": "red"}\n{"color"')
    told, said = shop.push(code=1)
    assert "facts: its files are there, and its rows could not be counted" in said
    assert told["hourly"]["hours"] == 2
